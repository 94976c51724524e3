//! Builds the next generation from a model and what changed in it, and keeps what outlives generations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::cluster::Authorities;
use fairway_model::gateway::{ListenerProtocol, TlsTermination};
use fairway_model::{
    Cluster, ClusterId, Delta, Endpoints, GatewayId, Listener, ListenerId, Model, SecretId,
};

use super::cluster::EndpointStates;
use super::port;
use super::route::RouteStates;
use super::{ClusterState, Generation, ListenerMode, ListenerState};
use crate::tls::{GatewayCertificates, Secrets, Tickets, UpstreamTls, server_config};

/// What cannot be served as the model says, with the reason, in words for the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) listeners: BTreeMap<ListenerId, String>,
    pub(crate) clusters: BTreeMap<ClusterId, String>,
    pub(crate) secrets: BTreeMap<SecretId, String>,
}

/// What is kept from generation to generation.
#[derive(Default)]
pub(crate) struct Builder {
    secrets: Secrets,
    tickets: Tickets,
    routes: RouteStates,
    endpoints: EndpointStates,
    /// Listeners that cannot have their sockets.
    conflicts: BTreeMap<ListenerId, String>,
}

impl Builder {
    /// Builds the generation after `before`, to whose model `delta` leads from that of `before`. It
    /// costs about what the change costs.
    pub(crate) fn build(
        &mut self,
        before: &Generation,
        model: &Model,
        delta: &Delta,
    ) -> (Generation, Refused) {
        self.secrets.change(&delta.secrets);
        for id in &delta.routes.removed {
            self.routes.forget(id);
        }
        let routes = &mut self.routes;
        let table = before.table.update(model, delta, &mut |id, route| routes.state(id, route));
        let mut ports = Arc::clone(&before.ports);
        if !delta.gateways.is_empty() || !delta.listeners.is_empty() {
            let (wanted, conflicts) = port::wanted(model);
            ports = Arc::new(wanted);
            self.conflicts = conflicts;
        }
        let next = Generation {
            number: before.number + 1,
            table,
            clusters: self.clusters(before, model, delta),
            listeners: self.listeners(before, model, delta),
            ports,
        };
        let refused = self.refused(&next);
        (next, refused)
    }

    fn listeners(
        &mut self,
        before: &Generation,
        model: &Model,
        delta: &Delta,
    ) -> Arc<BTreeMap<ListenerId, Arc<ListenerState>>> {
        let mut changed: BTreeSet<&ListenerId> = delta.listeners.put.keys().collect();
        let secrets = touched(delta);
        if !secrets.is_empty() {
            let uses = |listener: &Listener| {
                termination(&listener.protocol)
                    .is_some_and(|tls| named(tls).any(|id| secrets.contains(id)))
            };
            changed.extend(model.listeners.iter().filter(|(_, it)| uses(it)).map(|(id, _)| id));
        }
        let mut listeners = Arc::clone(&before.listeners);
        if changed.is_empty() && delta.listeners.removed.is_empty() {
            return listeners;
        }
        let map = Arc::make_mut(&mut listeners);
        for id in &delta.listeners.removed {
            map.remove(id);
            self.tickets.forget(id);
        }
        for id in changed {
            if let Some(listener) = model.listeners.get(id) {
                let mode = self.mode(id, listener);
                let (id, listener) = (id.clone(), Arc::clone(listener));
                map.insert(id.clone(), Arc::new(ListenerState { id, listener, mode }));
            }
        }
        listeners
    }

    fn mode(&mut self, id: &ListenerId, listener: &Listener) -> ListenerMode {
        let mut config = |tls: &TlsTermination, alpn: &[&str]| {
            server_config(id, tls, alpn, &self.secrets, &mut self.tickets)
        };
        let mode = match &listener.protocol {
            ListenerProtocol::Http => Ok(ListenerMode::Http),
            ListenerProtocol::Https(tls) => {
                config(tls, &["h2", "http/1.1"]).map(ListenerMode::Https)
            }
            ListenerProtocol::TlsTerminate(tls) => config(tls, &[]).map(ListenerMode::TlsTerminate),
            ListenerProtocol::TlsPassthrough => Ok(ListenerMode::TlsPassthrough),
            ListenerProtocol::Tcp => Ok(ListenerMode::Tcp),
            ListenerProtocol::Udp => Ok(ListenerMode::Udp),
        };
        mode.unwrap_or_else(|why| ListenerMode::Refused(why.into()))
    }

    fn clusters(
        &mut self,
        before: &Generation,
        model: &Model,
        delta: &Delta,
    ) -> Arc<super::Map<ClusterId, Arc<ClusterState>>> {
        let renewed = TlsRenewal::of(model, delta);
        let mut changed: BTreeSet<&ClusterId> = delta.clusters.put.keys().collect();
        changed.extend(delta.endpoints.put.keys());
        changed.extend(&delta.endpoints.removed);
        if renewed.is_possible() {
            let stale = model.clusters.iter().filter(|(_, cluster)| renewed.concerns(cluster));
            changed.extend(stale.map(|(id, _)| id));
        }
        let mut clusters = Arc::clone(&before.clusters);
        if changed.is_empty() && delta.clusters.removed.is_empty() {
            return clusters;
        }
        let certificates = GatewayCertificates::of(&model.gateways, &self.secrets);
        let map = Arc::make_mut(&mut clusters);
        for id in &delta.clusters.removed {
            map.remove(id);
        }
        for id in changed {
            let Some(cluster) = model.clusters.get(id) else { continue };
            let kept = map
                .get(id)
                .filter(|old| old.cluster.tls == cluster.tls && !renewed.concerns(cluster));
            let tls = match kept {
                Some(old) => old.tls.clone(),
                None => cluster.tls.as_ref().map(|tls| {
                    let made = UpstreamTls::new(tls, &certificates, &self.secrets);
                    made.map(Arc::new).map_err(Arc::from)
                }),
            };
            let none = Endpoints::default();
            let endpoints = model.endpoints.get(id).map_or(&none, |endpoints| endpoints);
            let cluster = Arc::clone(cluster);
            let state = ClusterState::new(id.clone(), cluster, tls, endpoints, &mut self.endpoints);
            map.insert(id.clone(), Arc::new(state));
        }
        if !delta.clusters.removed.is_empty() {
            self.endpoints.prune();
        }
        clusters
    }

    fn refused(&self, next: &Generation) -> Refused {
        let mut refused = Refused { listeners: self.conflicts.clone(), ..Refused::default() };
        for (id, listener) in next.listeners() {
            if let ListenerMode::Refused(why) = &listener.mode {
                refused.listeners.insert(id.clone(), why.to_string());
            }
        }
        for (id, cluster) in next.clusters.iter() {
            if let Some(Err(why)) = &cluster.tls {
                refused.clusters.insert(id.clone(), why.to_string());
            }
        }
        refused.secrets =
            self.secrets.broken().map(|(id, why)| (id.clone(), why.to_owned())).collect();
        refused
    }
}

/// Secrets that are not what they were.
fn touched(delta: &Delta) -> BTreeSet<&SecretId> {
    delta.secrets.put.keys().chain(&delta.secrets.removed).collect()
}

fn termination(protocol: &ListenerProtocol) -> Option<&TlsTermination> {
    match protocol {
        ListenerProtocol::Https(tls) | ListenerProtocol::TlsTerminate(tls) => Some(tls),
        ListenerProtocol::Http
        | ListenerProtocol::TlsPassthrough
        | ListenerProtocol::Tcp
        | ListenerProtocol::Udp => None,
    }
}

fn named(tls: &TlsTermination) -> impl Iterator<Item = &SecretId> {
    let authorities = tls.client_validation.iter().flat_map(|rules| &rules.authorities);
    tls.certificates.iter().chain(authorities)
}

/// Which clusters' TLS has to be made anew though they themselves did not change.
struct TlsRenewal<'a> {
    secrets: BTreeSet<&'a SecretId>,
    /// The certificates that gateways show: any change concerns every cluster with TLS.
    gateways: bool,
}

impl<'a> TlsRenewal<'a> {
    fn of(model: &Model, delta: &'a Delta) -> Self {
        let secrets = touched(delta);
        let shows = |id: &GatewayId| {
            model.gateways.get(id).is_some_and(|gateway| gateway.client_certificate.is_some())
        };
        // What a gateway showed before is not known here; a change of one is rare enough.
        let gateways = !delta.gateways.is_empty()
            || model.gateways.iter().any(|(id, gateway)| {
                shows(id)
                    && gateway.client_certificate.iter().any(|secret| secrets.contains(secret))
            });
        Self { secrets, gateways }
    }

    fn is_possible(&self) -> bool {
        self.gateways || !self.secrets.is_empty()
    }

    fn concerns(&self, cluster: &Cluster) -> bool {
        let Some(tls) = &cluster.tls else { return false };
        let signed = match &tls.authorities {
            Authorities::System => false,
            Authorities::Bundles(ids) => ids.iter().any(|id| self.secrets.contains(id)),
        };
        self.gateways || signed
    }
}
