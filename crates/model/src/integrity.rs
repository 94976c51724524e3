//! Whether every Id in a model points to an entry.

use crate::cluster::Authorities;
use crate::gateway::{ListenerProtocol, TlsTermination};
use crate::id::{ClusterId, SecretId};
use crate::route::{BackendTarget, HttpAction, Rule};
use crate::{Model, Route};

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
            self.secrets_exist(holder, gateway.client_certificate.as_slice())?;
        }
        for (id, listener) in &self.listeners {
            let holder = || format!("listener {id}");
            exists(
                self.gateways.contains_key(&listener.gateway),
                holder,
                "gateway",
                &listener.gateway,
            )?;
            match &listener.protocol {
                ListenerProtocol::Https(tls) | ListenerProtocol::TlsTerminate(tls) => {
                    let TlsTermination { certificates, client_validation } = tls;
                    self.secrets_exist(holder, certificates)?;
                    if let Some(validation) = client_validation {
                        self.secrets_exist(holder, &validation.authorities)?;
                    }
                }
                ListenerProtocol::Http
                | ListenerProtocol::TlsPassthrough
                | ListenerProtocol::Tcp
                | ListenerProtocol::Udp => {}
            }
        }
        for (id, route) in &self.routes {
            let holder = || format!("route {id}");
            for attachment in &route.attachments {
                let listener = &attachment.listener;
                exists(self.listeners.contains_key(listener), holder, "listener", listener)?;
            }
            for cluster in clusters_of(route) {
                exists(self.clusters.contains_key(cluster), holder, "cluster", cluster)?;
            }
        }
        for (id, cluster) in &self.clusters {
            let bundles = match cluster.tls.as_ref().map(|tls| &tls.authorities) {
                Some(Authorities::Bundles(bundles)) => bundles.as_slice(),
                Some(Authorities::System) | None => &[],
            };
            self.secrets_exist(|| format!("cluster {id}"), bundles)?;
        }
        for id in self.endpoints.keys() {
            let holder = || format!("endpoints of {id}");
            exists(self.clusters.contains_key(id), holder, "cluster", id)?;
        }
        Ok(())
    }

    fn secrets_exist(
        &self,
        holder: impl Fn() -> String,
        named: &[SecretId],
    ) -> Result<(), Dangling> {
        named.iter().try_for_each(|id| exists(self.secrets.contains_key(id), &holder, "secret", id))
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

/// Gives the clusters that a route sends traffic to, mirrors included.
fn clusters_of(route: &Route) -> Vec<&ClusterId> {
    let mut targets: Vec<&BackendTarget> = Vec::new();
    match &route.rule {
        Rule::Http(rule) => match &rule.action {
            HttpAction::Forward(forward) => {
                targets.extend(forward.mirrors.iter().map(|mirror| &mirror.target));
                for backend in &forward.backends {
                    targets.push(&backend.target);
                    targets.extend(backend.mirrors.iter().map(|mirror| &mirror.target));
                }
            }
            HttpAction::Redirect(_) | HttpAction::Respond(_) | HttpAction::Fail(_) => {}
        },
        Rule::Stream(rule) => targets.extend(rule.backends.iter().map(|backend| &backend.target)),
    }
    let clusters = targets.into_iter().filter_map(|target| match target {
        BackendTarget::Cluster(id) => Some(id),
        BackendTarget::Fail(_) => None,
    });
    clusters.collect()
}
