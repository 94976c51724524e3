//! How a model reaches a data plane: [`Update`]s one way, [`Ack`]s the other, and the store that
//! keeps the last good model for a start without a controller.
//!
//! Only the in-process transport is here so far; it speaks in the same deltas that a network
//! transport will. What a data plane does with a model is not this crate's business.
#![forbid(unsafe_code)]

pub mod in_process;
pub mod store;

use std::collections::BTreeMap;
use std::fmt;

use fairway_model::{ClusterId, Delta, GatewayId, ListenerId, RouteId, SecretId};

/// A step from one model to the next.
#[derive(Clone, Debug)]
pub struct Update {
    /// Counts the updates of one publisher from 1; an [`Ack`] names it.
    pub sequence: u64,
    /// What changed since the update before, or since the empty model for the first one.
    pub delta: Delta,
}

/// What a data plane says of an update: everything in it is served, except what is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// The update it speaks of.
    pub sequence: u64,
    /// Resources that cannot be served as the model says, each with the reason, in words for the
    /// user. What was served under the same Id before goes on being served where that is possible.
    pub refused: BTreeMap<Resource, String>,
}

/// An entry of the model, of whichever map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// See [`fairway_model::Model::gateways`].
    Gateway(GatewayId),
    /// See [`fairway_model::Model::listeners`].
    Listener(ListenerId),
    /// See [`fairway_model::Model::routes`].
    Route(RouteId),
    /// See [`fairway_model::Model::clusters`].
    Cluster(ClusterId),
    /// See [`fairway_model::Model::secrets`].
    Secret(SecretId),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(id) => id.fmt(f),
            Self::Listener(id) => id.fmt(f),
            Self::Route(id) => id.fmt(f),
            Self::Cluster(id) => id.fmt(f),
            Self::Secret(id) => id.fmt(f),
        }
    }
}
