//! A backend as it is served: its endpoints with what is known of each, and its TLS.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Weak};

use fairway_model::cluster::{EndpointState as State, Endpoints};
use fairway_model::{Cluster, ClusterId};

use super::Map;
use crate::health::Health;
use crate::tls::UpstreamTls;

/// A port of a Service as a backend.
pub(crate) struct ClusterState {
    pub(crate) id: ClusterId,
    pub(crate) cluster: Arc<Cluster>,
    /// How TLS is spoken to its endpoints. An `Err` says why it cannot be: requests fail closed.
    pub(crate) tls: Option<Result<Arc<UpstreamTls>, Arc<str>>>,
    /// The ready ones first.
    endpoints: Vec<Arc<EndpointState>>,
    ready: usize,
}

impl ClusterState {
    pub(super) fn new(
        id: ClusterId,
        cluster: Arc<Cluster>,
        tls: Option<Result<Arc<UpstreamTls>, Arc<str>>>,
        endpoints: &Endpoints,
        states: &mut EndpointStates,
    ) -> Self {
        let service = (Arc::clone(&cluster.namespace), Arc::clone(&cluster.service));
        let states = states.0.entry(service).or_default();
        states.retain(|_, state| state.strong_count() > 0);
        let mut of = |wanted: State| -> Vec<Arc<EndpointState>> {
            let those = endpoints.0.iter().filter(|endpoint| endpoint.state == wanted);
            those.map(|endpoint| kept(states, endpoint.address)).collect()
        };
        let mut all = of(State::Ready);
        let ready = all.len();
        all.append(&mut of(State::Draining));
        Self { id, cluster, tls, endpoints: all, ready }
    }

    /// Endpoints that may get traffic; when none is ready those that are going away (KEP-1669's
    /// rule, as kube-proxy has it).
    pub(crate) fn usable(&self) -> &[Arc<EndpointState>] {
        if self.ready == 0 { &self.endpoints } else { self.ready() }
    }

    /// Endpoints that are ready.
    pub(crate) fn ready(&self) -> &[Arc<EndpointState>] {
        self.endpoints.get(..self.ready).unwrap_or_default()
    }

    /// All endpoints, those that are going away last: who holds a session with one of them keeps it.
    pub(crate) fn endpoints(&self) -> &[Arc<EndpointState>] {
        &self.endpoints
    }
}

impl fmt::Debug for ClusterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterState").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What this process knows of an endpoint of a Service: one for all threads, rules and generations.
pub(crate) struct EndpointState {
    pub(crate) address: SocketAddr,
    /// Requests and connections under way.
    pub(crate) in_flight: AtomicU32,
    pub(crate) health: Health,
}

impl EndpointState {
    /// For a test, or for an address that no Service stands behind.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, in_flight: AtomicU32::new(0), health: Health::default() }
    }
}

/// Endpoints by namespace and name of their Service, then by address.
#[derive(Default)]
pub(super) struct EndpointStates(Map<(Arc<str>, Arc<str>), OfService>);

type OfService = Map<SocketAddr, Weak<EndpointState>>;

impl EndpointStates {
    /// Forgets Services of which nothing is left.
    pub(super) fn prune(&mut self) {
        self.0.retain(|_, states| {
            states.retain(|_, state| state.strong_count() > 0);
            !states.is_empty()
        });
    }
}

fn kept(states: &mut OfService, address: SocketAddr) -> Arc<EndpointState> {
    if let Some(state) = states.get(&address).and_then(Weak::upgrade) {
        return state;
    }
    let state = Arc::new(EndpointState::new(address));
    states.insert(address, Arc::downgrade(&state));
    state
}
