//! What must be served, in Fairway's own words: plain data, correct by construction.
//!
//! No Kubernetes type, no clock, no I/O, no async. The maps hold one entry for each thing a user wrote (a
//! rule of a route, a listener, a Service's port) and refer to each other by readable [`id`]s only,
//! children to parents, so that a small change is a small [`Delta`] wherever the model travels.
#![forbid(unsafe_code)]

// The things.
pub mod cluster;
pub mod filter;
pub mod gateway;
pub mod host;
pub mod id;
pub mod listener;
pub mod matching;
pub mod policy;
pub mod route;
pub mod secret;

// What is known about them as a whole.
pub mod feature;
pub mod integrity;
mod references;

// How they travel, and how they are searched.
pub mod delta;
pub mod select;
pub mod slice;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use cluster::{Cluster, Endpoints};
pub use delta::Delta;
pub use feature::{Feature, Features, features};
pub use gateway::{Gateway, Listener};
pub use id::{ClusterId, GatewayId, ListenerId, RouteId, SecretId};
pub use route::Route;
pub use secret::Secret;

/// Everything that must be served. Entries are shared: an unchanged entry of the next model is the
/// same `Arc`, which is how [`delta::diff`] stays cheap.
///
/// Invariant: every Id that an entry names is a key of the map it points into. `translate` builds
/// only such models and [`wire::decode`] refuses others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// Entry points: who is reachable at which address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gateways: BTreeMap<GatewayId, Arc<Gateway>>,
    /// Ports of the gateways, each with protocol, hostname and certificates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub listeners: BTreeMap<ListenerId, Arc<Listener>>,
    /// One entry for each rule of each route; it names the listeners and hostnames it is attached
    /// to, from which the tables by host are compiled ([`select`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<RouteId, Arc<Route>>,
    /// Ports of Services: how to talk to them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<ClusterId, Arc<Cluster>>,
    /// Who stands behind each cluster now. Apart from the clusters, since they change most often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<ClusterId, Arc<Endpoints>>,
    /// Certificates with keys, and bundles of certificate authorities.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretId, Arc<Secret>>,
}
