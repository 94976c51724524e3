//! Makes a model whole again in which entries are missing that were refused: every Id in it points somewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{ClusterId, Model, Route, SecretId};

use super::Foreign;
use crate::codec::Kind;

/// Gives what can be served of `received`, taking from `before`, which is whole, what goes on; and what
/// cannot, with the reason. Whatever names others comes after them, so one pass is enough.
pub(super) fn repair(received: &Model, before: &Model) -> (Model, BTreeMap<Foreign, String>) {
    let mut repair = Repair { received, before, next: Model::default(), refused: BTreeMap::new() };
    repair.next.secrets = received.secrets.clone();
    repair.gateways();
    repair.listeners();
    repair.clusters();
    repair.routes();
    (repair.next, repair.refused)
}

struct Repair<'a> {
    received: &'a Model,
    before: &'a Model,
    next: Model,
    refused: BTreeMap<Foreign, String>,
}

impl Repair<'_> {
    fn refuse(&mut self, kind: Kind, id: &str, why: String) {
        self.refused.insert((kind.encode(), id.into()), why);
    }

    fn gateways(&mut self) {
        for (id, gateway) in &self.received.gateways {
            let old = self.before.gateways.get(id);
            let found = self.first(gateway, old, |repair, it| {
                it.secrets().try_for_each(|id| repair.secret(id))
            });
            match found {
                Ok(gateway) => drop(self.next.gateways.insert(id.clone(), gateway)),
                Err((instead, why)) => {
                    self.refuse(Kind::Gateway, id.as_str(), why);
                    self.next.gateways.extend(instead.map(|old| (id.clone(), old)));
                }
            }
        }
    }

    fn listeners(&mut self) {
        for (id, listener) in &self.received.listeners {
            let old = self.before.listeners.get(id);
            let found = self.first(listener, old, |repair, it| {
                if !repair.next.gateways.contains_key(&it.gateway) {
                    return Err(format!("its gateway {} is not served", it.gateway));
                }
                it.secrets().try_for_each(|id| repair.secret(id))
            });
            match found {
                Ok(listener) => drop(self.next.listeners.insert(id.clone(), listener)),
                Err((instead, why)) => {
                    self.refuse(Kind::Listener, id.as_str(), why);
                    self.next.listeners.extend(instead.map(|old| (id.clone(), old)));
                }
            }
        }
    }

    fn clusters(&mut self) {
        for (id, cluster) in &self.received.clusters {
            let old = self.before.clusters.get(id);
            let found = self.first(cluster, old, |repair, it| {
                it.secrets().try_for_each(|id| repair.secret(id))
            });
            match found {
                Ok(cluster) => drop(self.next.clusters.insert(id.clone(), cluster)),
                Err((instead, why)) => {
                    self.refuse(Kind::Cluster, id.as_str(), why);
                    self.next.clusters.extend(instead.map(|old| (id.clone(), old)));
                }
            }
        }
        let known = |id: &ClusterId| self.next.clusters.contains_key(id);
        let endpoints = self.received.endpoints.iter().filter(|(id, _)| known(id));
        let endpoints = endpoints.map(|(id, value)| (id.clone(), Arc::clone(value))).collect();
        self.next.endpoints = endpoints;
    }

    fn routes(&mut self) {
        for (id, route) in &self.received.routes {
            let cut = self.cut(route);
            let old = self.before.routes.get(id).map(|old| self.cut(old));
            let found = self.first(&cut, old.as_ref(), |repair, route| {
                if route.attachments.is_empty() {
                    return Err("none of its listeners is served".to_owned());
                }
                route.clusters().into_iter().try_for_each(|cluster| repair.cluster(cluster))
            });
            match found {
                Ok(route) => drop(self.next.routes.insert(id.clone(), route)),
                Err((instead, why)) => {
                    self.refuse(Kind::Route, id.as_str(), why);
                    self.next.routes.extend(instead.map(|old| (id.clone(), old)));
                }
            }
        }
    }

    /// Takes attachments off that lead to listeners which are not served.
    fn cut(&self, route: &Arc<Route>) -> Arc<Route> {
        let served = |attachment: &fairway_model::route::Attachment| {
            self.next.listeners.contains_key(&attachment.listener)
        };
        if route.attachments.iter().all(served) {
            return Arc::clone(route);
        }
        let mut cut = Route::clone(route);
        cut.attachments.retain(served);
        Arc::new(cut)
    }

    /// Gives the new value if it can be served; else why not, and the old one if that can.
    fn first<V>(
        &mut self,
        new: &Arc<V>,
        old: Option<&Arc<V>>,
        can: impl Fn(&mut Self, &V) -> Result<(), String>,
    ) -> Result<Arc<V>, (Option<Arc<V>>, String)> {
        match can(self, new) {
            Ok(()) => Ok(Arc::clone(new)),
            Err(why) => Err((old.filter(|old| can(self, old).is_ok()).cloned(), why)),
        }
    }

    /// Sees to it that a Secret is there, be it from before.
    fn secret(&mut self, id: &SecretId) -> Result<(), String> {
        if self.next.secrets.contains_key(id) {
            return Ok(());
        }
        let old = self.before.secrets.get(id);
        let old = old.ok_or_else(|| format!("it names {id}, which is refused"))?;
        self.next.secrets.insert(id.clone(), Arc::clone(old));
        Ok(())
    }

    /// The same for a cluster, with all that belongs to it.
    fn cluster(&mut self, id: &ClusterId) -> Result<(), String> {
        if self.next.clusters.contains_key(id) {
            return Ok(());
        }
        let before = self.before;
        let Some(old) = before.clusters.get(id) else {
            return Err(format!("it names {id}, which is refused"));
        };
        old.secrets().try_for_each(|secret| self.secret(secret))?;
        self.next.clusters.insert(id.clone(), Arc::clone(old));
        if let Some(endpoints) = before.endpoints.get(id) {
            self.next.endpoints.insert(id.clone(), Arc::clone(endpoints));
        }
        Ok(())
    }
}
