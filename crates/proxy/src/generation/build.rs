//! Builds the next generation from a model and what changed in it, and keeps what outlives generations.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
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
    /// Bound instead of the gateways' own.
    addresses: Option<Vec<IpAddr>>,
    secrets: Secrets,
    tickets: Tickets,
    routes: RouteStates,
    endpoints: EndpointStates,
    /// Listeners that cannot have their sockets.
    conflicts: BTreeMap<ListenerId, String>,
}

impl Builder {
    /// Begins; `addresses`, if given, are bound instead of the gateways' own.
    pub(crate) fn new(addresses: Option<Vec<IpAddr>>) -> Self {
        Self { addresses, ..Self::default() }
    }

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
            let (wanted, conflicts) = port::wanted(model, self.addresses.as_deref());
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

#[cfg(test)]
mod tests {
    use fairway_model::cluster::{BackendProtocol, BackendTls, Endpoint, EndpointState};
    use fairway_model::delta;
    use fairway_model::gateway::Gateway;
    use fairway_model::host::HostPattern;
    use std::sync::atomic::Ordering;

    use super::*;

    fn model() -> Model {
        let mut model = Model::default();
        let cluster = Cluster {
            namespace: "shop".into(),
            service: "cart".into(),
            port: 80,
            protocol: BackendProtocol::Http,
            tls: Some(BackendTls {
                hostname: "cart.test".into(),
                authorities: Authorities::Bundles(vec![SecretId::new("missing")]),
                subject_alt_names: Vec::new(),
            }),
        };
        model.clusters.insert(ClusterId::new("cart"), Arc::new(cluster));
        model
    }

    fn endpoints(model: &mut Model, ports: &[(u16, EndpointState)]) {
        let endpoint = |(port, state): &(u16, EndpointState)| Endpoint {
            address: ([127, 0, 0, 1], *port).into(),
            state: *state,
        };
        let all = Endpoints(ports.iter().map(endpoint).collect());
        model.endpoints.insert(ClusterId::new("cart"), Arc::new(all));
    }

    #[test]
    fn what_is_known_of_an_endpoint_outlives_a_change() {
        let mut builder = Builder::default();
        let mut old = model();
        endpoints(&mut old, &[(1, EndpointState::Ready), (2, EndpointState::Ready)]);
        let delta = delta::diff(&Model::default(), &old);
        let (first, refused) = builder.build(&Generation::default(), &old, &delta);
        assert!(refused.clusters.contains_key("cart"), "{refused:?}");
        let cart = |generation: &Generation| {
            Arc::clone(generation.cluster(&ClusterId::new("cart")).expect("it is there"))
        };
        cart(&first).ready()[1].in_flight.store(7, Ordering::Relaxed);

        let mut new = old.clone();
        endpoints(&mut new, &[(2, EndpointState::Draining), (3, EndpointState::Ready)]);
        let (second, _) = builder.build(&first, &new, &delta::diff(&old, &new));
        let ports = |all: &[Arc<super::super::EndpointState>]| -> Vec<u16> {
            all.iter().map(|endpoint| endpoint.address.port()).collect()
        };
        assert_eq!(ports(cart(&second).usable()), [3], "those that go get nothing new");
        assert_eq!(ports(cart(&second).endpoints()), [3, 2]);
        assert_eq!(cart(&second).endpoints()[1].in_flight.load(Ordering::Relaxed), 7);

        let mut last = new.clone();
        endpoints(&mut last, &[(2, EndpointState::Draining)]);
        let (third, _) = builder.build(&second, &last, &delta::diff(&new, &last));
        assert_eq!(ports(cart(&third).usable()), [2], "unless there is nobody else");
    }

    #[test]
    fn what_did_not_change_is_taken_over() {
        let mut builder = Builder::default();
        let mut old = model();
        let gateway = Gateway {
            namespace: "shop".into(),
            name: "web".into(),
            addresses: vec![[127, 0, 0, 1].into()],
            client_certificate: None,
        };
        old.gateways.insert(GatewayId::new("web"), Arc::new(gateway));
        let listener = |protocol| Listener {
            gateway: GatewayId::new("web"),
            name: "http".into(),
            port: 80,
            hostname: HostPattern::Any,
            protocol,
        };
        let id = ListenerId::new("http");
        old.listeners.insert(id, Arc::new(listener(ListenerProtocol::Http)));
        let delta = delta::diff(&Model::default(), &old);
        let (first, _) = builder.build(&Generation::default(), &old, &delta);
        let mut new = old.clone();
        endpoints(&mut new, &[(1, EndpointState::Ready)]);
        let (second, _) = builder.build(&first, &new, &delta::diff(&old, &new));
        assert_eq!(second.number, 2);
        assert!(Arc::ptr_eq(&first.listeners, &second.listeners));
        assert!(Arc::ptr_eq(&first.ports, &second.ports));
        assert_eq!(second.sockets().count(), 1);

        // Two protocols on one port cannot both be had; the first by name stays.
        let mut clash = new.clone();
        let tcp = listener(ListenerProtocol::Tcp);
        clash.listeners.insert(ListenerId::new("tcp"), Arc::new(tcp));
        let (third, refused) = builder.build(&second, &clash, &delta::diff(&new, &clash));
        assert!(refused.listeners.contains_key("tcp"), "{refused:?}");
        assert_eq!(third.sockets().map(|(_, port)| port.listeners.len()).sum::<usize>(), 1);
    }
}
