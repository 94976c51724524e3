//! A model made ready to be served: immutable, built once per change off the data threads, taken
//! over by each of them at once. What users count lives in it behind `Arc`s that the next
//! generation takes over.

mod build;
mod cluster;
mod listener;
mod port;
mod route;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fairway_model::select::Table;
use fairway_model::{ClusterId, ListenerId};
use foldhash::fast::RandomState;

pub(crate) use build::{Builder, Refused};
pub(crate) use cluster::{ClusterState, EndpointState};
pub(crate) use listener::{ListenerMode, ListenerState};
pub(crate) use port::{Port, PortKind, SocketKey, Transport};
pub(crate) use route::RouteState;

/// Searched by key and never walked where the order would show.
type Map<K, V> = HashMap<K, V, RandomState>;

/// What a data thread serves.
#[derive(Default)]
pub(crate) struct Generation {
    /// Counts generations from 1; 0 is the empty one before the first model.
    pub(crate) number: u64,
    /// Who wins: see [`fairway_model::select`].
    pub(crate) table: Table<RouteState>,
    /// Backends. Every cluster that a rule names is here.
    clusters: Arc<Map<ClusterId, Arc<ClusterState>>>,
    /// Listeners, those that could not be made ready included.
    listeners: Arc<BTreeMap<ListenerId, Arc<ListenerState>>>,
    /// Which gateway and declared port a bound socket speaks for.
    ports: Arc<Map<SocketKey, Arc<Port>>>,
}

impl Generation {
    /// Gives a backend. `None` only for an Id that no rule of this generation names.
    pub(crate) fn cluster(&self, id: &ClusterId) -> Option<&Arc<ClusterState>> {
        self.clusters.get(id)
    }

    /// Gives a listener.
    pub(crate) fn listener(&self, id: &ListenerId) -> Option<&Arc<ListenerState>> {
        self.listeners.get(id)
    }

    /// Walks all listeners, by Id.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (&ListenerId, &Arc<ListenerState>)> {
        self.listeners.iter()
    }

    /// Gives what a socket speaks for; `None` when nothing wants it any more.
    pub(crate) fn port(&self, socket: &SocketKey) -> Option<&Arc<Port>> {
        self.ports.get(socket)
    }

    /// Walks all sockets that are wanted, in no order.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (&SocketKey, &Arc<Port>)> {
        self.ports.iter()
    }
}
