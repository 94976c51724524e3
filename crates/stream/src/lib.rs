//! How a model reaches a data plane: [`Update`]s one way, [`Ack`]s the other, and the store that
//! keeps the last good model for a start without a controller.
//!
//! Two transports speak in the same deltas: one inside a process, and gRPC with mutual TLS between a
//! controller and its proxies. What a data plane does with a model is not this crate's business.
#![forbid(unsafe_code)]

// The transports, and who may speak on the one over the network.
pub mod grpc;
pub mod identity;
pub mod in_process;

// What is kept.
pub mod store;

// The form on the wire.
mod codec;
mod proto;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use fairway_model::{ClusterId, Delta, GatewayId, ListenerId, Model, RouteId, SecretId};

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
    /// What became of each listener: why it is not served as the model says, if it is not.
    pub listeners: BTreeMap<ListenerId, Result<(), String>>,
}

/// The other side of the stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side of the configuration stream is gone")]
pub struct Closed;

/// A data plane's end of a stream, whatever the transport.
pub trait Subscriber: Send + 'static {
    /// Gives the model as the updates so far have made it.
    fn model(&self) -> &Arc<Model>;

    /// Waits for the next update and applies it to [`Subscriber::model`]. `None` when there will be
    /// no other: the data plane goes on with what it has. Cancelling it loses none.
    fn next(&mut self) -> impl Future<Output = Option<Update>> + Send;

    /// Says what became of an update, or that something has changed since it said so.
    ///
    /// # Errors
    /// The publisher is gone.
    fn acknowledge(&mut self, ack: Ack) -> impl Future<Output = Result<(), Closed>> + Send;
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
