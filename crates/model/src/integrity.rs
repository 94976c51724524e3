//! Whether every Id in a model points to an entry.

use crate::Model;
use crate::id::SecretId;

/// An Id that no entry has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{holder} names the {kind} {missing}, which the model does not hold")]
pub struct Dangling {
    /// The entry that names it, such as `route http-route/shop/cart/rule/0`.
    pub holder: String,
    /// What it should be: `listener`, `cluster`, …
    pub kind: &'static str,
    /// The Id.
    pub missing: String,
}

impl Model {
    /// Checks that every Id that an entry names is a key of the map it points into.
    ///
    /// # Errors
    /// The first one that is not.
    pub fn check(&self) -> Result<(), Dangling> {
        for (id, gateway) in &self.gateways {
            let holder = || format!("gateway {id}");
            gateway.secrets().try_for_each(|id| self.secret_exists(holder, id))?;
        }
        for (id, listener) in &self.listeners {
            let holder = || format!("listener {id}");
            exists(
                self.gateways.contains_key(&listener.gateway),
                holder,
                "gateway",
                &listener.gateway,
            )?;
            listener.secrets().try_for_each(|id| self.secret_exists(holder, id))?;
        }
        for (id, route) in &self.routes {
            let holder = || format!("route {id}");
            for attachment in &route.attachments {
                let listener = &attachment.listener;
                exists(self.listeners.contains_key(listener), holder, "listener", listener)?;
            }
            for cluster in route.clusters() {
                exists(self.clusters.contains_key(cluster), holder, "cluster", cluster)?;
            }
        }
        for (id, cluster) in &self.clusters {
            let holder = || format!("cluster {id}");
            cluster.secrets().try_for_each(|secret| self.secret_exists(holder, secret))?;
        }
        for id in self.endpoints.keys() {
            let holder = || format!("endpoints of {id}");
            exists(self.clusters.contains_key(id), holder, "cluster", id)?;
        }
        Ok(())
    }

    fn secret_exists(&self, holder: impl Fn() -> String, id: &SecretId) -> Result<(), Dangling> {
        exists(self.secrets.contains_key(id), holder, "secret", id)
    }
}

fn exists(
    found: bool,
    holder: impl Fn() -> String,
    kind: &'static str,
    id: &impl ToString,
) -> Result<(), Dangling> {
    if found { Ok(()) } else { Err(Dangling { holder: holder(), kind, missing: id.to_string() }) }
}
