//! The model's entries as protobuf messages, and back: total in one direction; in the other, each entry for
//! itself either comes back or says why it cannot be used here.

mod cluster;
mod filter;
mod gateway;
mod matching;
mod policy;
mod route;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use fairway_model::feature::UsesFeatures;
use fairway_model::{
    Cluster, ClusterId, Delta, Endpoints, Feature, Features, Gateway, GatewayId, Listener,
    ListenerId, Model, Route, RouteId, Secret, SecretId,
};
use prost::Message;

use crate::{Resource, proto};

/// Why a message is not an entry that can be used here, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub(crate) String);

/// Which map of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Gateway,
    Listener,
    Route,
    Cluster,
    Endpoints,
    Secret,
}

/// Names an entry in all maps of the model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) id: Arc<str>,
}

/// An entry of the model, of whichever map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Gateway(Arc<Gateway>),
    Listener(Arc<Listener>),
    Route(Arc<Route>),
    Cluster(Arc<Cluster>),
    Endpoints(Arc<Endpoints>),
    Secret(Arc<Secret>),
}

/// What tells two values of an entry apart: the beginning of a SHA-256.
pub(crate) type Digest = [u8; 16];

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Endpoints => write!(f, "endpoints of {}", self.id),
            Kind::Gateway | Kind::Listener | Kind::Route | Kind::Cluster | Kind::Secret => {
                f.write_str(&self.id)
            }
        }
    }
}

impl Key {
    pub(crate) fn new(kind: Kind, id: &str) -> Self {
        Self { kind, id: id.into() }
    }

    /// Gives it as the rest of Fairway names it: endpoints are a part of their cluster.
    pub(crate) fn resource(&self) -> Resource {
        let id = Arc::clone(&self.id);
        match self.kind {
            Kind::Gateway => Resource::Gateway(GatewayId::new(id)),
            Kind::Listener => Resource::Listener(ListenerId::new(id)),
            Kind::Route => Resource::Route(RouteId::new(id)),
            Kind::Cluster | Kind::Endpoints => Resource::Cluster(ClusterId::new(id)),
            Kind::Secret => Resource::Secret(SecretId::new(id)),
        }
    }

    /// The other way round.
    pub(crate) fn of_resource(resource: &Resource) -> Self {
        match resource {
            Resource::Gateway(id) => Self::new(Kind::Gateway, id.as_str()),
            Resource::Listener(id) => Self::new(Kind::Listener, id.as_str()),
            Resource::Route(id) => Self::new(Kind::Route, id.as_str()),
            Resource::Cluster(id) => Self::new(Kind::Cluster, id.as_str()),
            Resource::Secret(id) => Self::new(Kind::Secret, id.as_str()),
        }
    }

    pub(crate) fn encode(&self) -> proto::Key {
        proto::Key { kind: self.kind.encode(), id: self.id.to_string() }
    }
}

impl Kind {
    pub(crate) fn encode(self) -> i32 {
        let kind = match self {
            Self::Gateway => proto::Kind::Gateway,
            Self::Listener => proto::Kind::Listener,
            Self::Route => proto::Kind::Route,
            Self::Cluster => proto::Kind::Cluster,
            Self::Endpoints => proto::Kind::Endpoints,
            Self::Secret => proto::Kind::Secret,
        };
        i32::from(kind)
    }

    /// `None` for a kind that a later release has.
    pub(crate) fn decode(number: i32) -> Option<Self> {
        match proto::Kind::try_from(number) {
            Ok(proto::Kind::Gateway) => Some(Self::Gateway),
            Ok(proto::Kind::Listener) => Some(Self::Listener),
            Ok(proto::Kind::Route) => Some(Self::Route),
            Ok(proto::Kind::Cluster) => Some(Self::Cluster),
            Ok(proto::Kind::Endpoints) => Some(Self::Endpoints),
            Ok(proto::Kind::Secret) => Some(Self::Secret),
            Ok(proto::Kind::Unspecified) | Err(_) => None,
        }
    }
}

impl Entry {
    /// Adds it to a delta.
    pub(crate) fn put(self, id: &str, delta: &mut Delta) {
        match self {
            Self::Gateway(value) => drop(delta.gateways.put.insert(GatewayId::new(id), value)),
            Self::Listener(value) => drop(delta.listeners.put.insert(ListenerId::new(id), value)),
            Self::Route(value) => drop(delta.routes.put.insert(RouteId::new(id), value)),
            Self::Cluster(value) => drop(delta.clusters.put.insert(ClusterId::new(id), value)),
            Self::Endpoints(value) => drop(delta.endpoints.put.insert(ClusterId::new(id), value)),
            Self::Secret(value) => drop(delta.secrets.put.insert(SecretId::new(id), value)),
        }
    }

    /// Writes it.
    pub(crate) fn encode(&self, id: &str) -> proto::Resource {
        let mut used = Features::new();
        let (kind, body) = match self {
            Self::Gateway(value) => {
                value.collect(&mut used);
                (Kind::Gateway, proto::Gateway::from(&**value).encode_to_vec())
            }
            Self::Listener(value) => {
                value.collect(&mut used);
                (Kind::Listener, proto::Listener::from(&**value).encode_to_vec())
            }
            Self::Route(value) => {
                value.collect(&mut used);
                (Kind::Route, proto::Route::from(&**value).encode_to_vec())
            }
            Self::Cluster(value) => {
                value.collect(&mut used);
                (Kind::Cluster, proto::Cluster::from(&**value).encode_to_vec())
            }
            Self::Endpoints(value) => {
                value.collect(&mut used);
                (Kind::Endpoints, proto::Endpoints::from(&**value).encode_to_vec())
            }
            Self::Secret(value) => (Kind::Secret, proto::Secret::from(&**value).encode_to_vec()),
        };
        let features = used.into_iter().map(|feature| feature.name().to_owned());
        let mut features: Vec<String> = features.collect();
        features.sort_unstable();
        proto::Resource {
            kind: kind.encode(),
            id: id.to_owned(),
            features,
            body: Bytes::from(body),
        }
    }
}

/// Reads an entry, if everything in it is known here.
///
/// # Errors
/// It uses a feature that is not among `known`, or is not what this release understands.
pub(crate) fn decode(
    kind: Kind,
    resource: &proto::Resource,
    known: &Features,
) -> Result<Entry, Unreadable> {
    let knows = |name: &str| name.parse::<Feature>().is_ok_and(|it| known.contains(&it));
    let foreign: Vec<&str> =
        resource.features.iter().map(String::as_str).filter(|name| !knows(name)).collect();
    if !foreign.is_empty() {
        return Err(Unreadable(format!(
            "this release of the proxy does not know {}; upgrade the proxy",
            foreign.join(", ")
        )));
    }
    let body = &resource.body;
    Ok(match kind {
        Kind::Gateway => Entry::Gateway(Arc::new(read::<proto::Gateway, _>(body)?)),
        Kind::Listener => Entry::Listener(Arc::new(read::<proto::Listener, _>(body)?)),
        Kind::Route => Entry::Route(Arc::new(read::<proto::Route, _>(body)?)),
        Kind::Cluster => Entry::Cluster(Arc::new(read::<proto::Cluster, _>(body)?)),
        Kind::Endpoints => Entry::Endpoints(Arc::new(read::<proto::Endpoints, _>(body)?)),
        Kind::Secret => Entry::Secret(Arc::new(read::<proto::Secret, _>(body)?)),
    })
}

fn read<W: Message + Default, T: TryFrom<W, Error = Unreadable>>(
    body: &Bytes,
) -> Result<T, Unreadable> {
    let message = W::decode(body.clone())
        .map_err(|error| Unreadable(format!("the proxy cannot read it: {error}")))?;
    T::try_from(message)
}

/// Gives what tells this value of an entry from others.
pub(crate) fn digest(resource: &proto::Resource) -> Digest {
    let mut sum = digest::Context::new(&digest::SHA256);
    for feature in &resource.features {
        sum.update(feature.as_bytes());
        sum.update(&[0]);
    }
    sum.update(&resource.body);
    let mut first = Digest::default();
    for (to, from) in first.iter_mut().zip(sum.finish().as_ref()) {
        *to = *from;
    }
    first
}

/// Walks through all entries of a model.
pub(crate) fn entries(model: &Model) -> impl Iterator<Item = (Key, Entry)> {
    let Model { gateways, listeners, routes, clusters, endpoints, secrets } = model;
    let gateways = gateways.iter().map(|(id, value)| {
        (Key::new(Kind::Gateway, id.as_str()), Entry::Gateway(Arc::clone(value)))
    });
    let listeners = listeners.iter().map(|(id, value)| {
        (Key::new(Kind::Listener, id.as_str()), Entry::Listener(Arc::clone(value)))
    });
    let routes = routes
        .iter()
        .map(|(id, value)| (Key::new(Kind::Route, id.as_str()), Entry::Route(Arc::clone(value))));
    let clusters = clusters.iter().map(|(id, value)| {
        (Key::new(Kind::Cluster, id.as_str()), Entry::Cluster(Arc::clone(value)))
    });
    let endpoints = endpoints.iter().map(|(id, value)| {
        (Key::new(Kind::Endpoints, id.as_str()), Entry::Endpoints(Arc::clone(value)))
    });
    let secrets = secrets
        .iter()
        .map(|(id, value)| (Key::new(Kind::Secret, id.as_str()), Entry::Secret(Arc::clone(value))));
    gateways.chain(listeners).chain(secrets).chain(clusters).chain(endpoints).chain(routes)
}

/// Gives the entries that a delta puts.
pub(crate) fn put(delta: &Delta) -> Vec<(Key, Entry)> {
    // Shares all entries.
    let as_model = Model {
        gateways: delta.gateways.put.clone(),
        listeners: delta.listeners.put.clone(),
        routes: delta.routes.put.clone(),
        clusters: delta.clusters.put.clone(),
        endpoints: delta.endpoints.put.clone(),
        secrets: delta.secrets.put.clone(),
    };
    entries(&as_model).collect()
}

/// Gives the names of the entries that a delta removes.
pub(crate) fn removed(delta: &Delta) -> Vec<Key> {
    let Delta { gateways, listeners, routes, clusters, endpoints, secrets } = delta;
    let gateways = gateways.removed.iter().map(|id| Key::new(Kind::Gateway, id.as_str()));
    let listeners = listeners.removed.iter().map(|id| Key::new(Kind::Listener, id.as_str()));
    let routes = routes.removed.iter().map(|id| Key::new(Kind::Route, id.as_str()));
    let clusters = clusters.removed.iter().map(|id| Key::new(Kind::Cluster, id.as_str()));
    let endpoints = endpoints.removed.iter().map(|id| Key::new(Kind::Endpoints, id.as_str()));
    let secrets = secrets.removed.iter().map(|id| Key::new(Kind::Secret, id.as_str()));
    gateways
        .chain(listeners)
        .chain(routes)
        .chain(clusters)
        .chain(endpoints)
        .chain(secrets)
        .collect()
}

/// Adds the removal of an entry to a delta.
pub(crate) fn remove(key: &Key, delta: &mut Delta) {
    let id = &*key.id;
    match key.kind {
        Kind::Gateway => drop(delta.gateways.removed.insert(GatewayId::new(id))),
        Kind::Listener => drop(delta.listeners.removed.insert(ListenerId::new(id))),
        Kind::Route => drop(delta.routes.removed.insert(RouteId::new(id))),
        Kind::Cluster => drop(delta.clusters.removed.insert(ClusterId::new(id))),
        Kind::Endpoints => drop(delta.endpoints.removed.insert(ClusterId::new(id))),
        Kind::Secret => drop(delta.secrets.removed.insert(SecretId::new(id))),
    }
}

// What the conversions of all kinds share.

type Result<T, E = Unreadable> = std::result::Result<T, E>;

/// An enum of the model that is a number on the wire.
trait Enumeration: Sized {
    fn encode(self) -> i32;
    fn decode(number: i32) -> Result<Self>;
}

macro_rules! enumeration {
    ($name:ident as $what:literal: $($variant:ident),*) => {
        impl $crate::codec::Enumeration for $name {
            fn encode(self) -> i32 {
                i32::from(match self {
                    $(Self::$variant => $crate::proto::$name::$variant,)*
                })
            }

            fn decode(number: i32) -> $crate::codec::Result<Self> {
                match $crate::proto::$name::try_from(number) {
                    $(Ok($crate::proto::$name::$variant) => Ok(Self::$variant),)*
                    Ok($crate::proto::$name::Unspecified) | Err(_) => Err($crate::codec::Unreadable(
                        format!(
                            "this release of the proxy does not know {} {number}; upgrade the proxy",
                            $what
                        ),
                    )),
                }
            }
        }
    };
}
use enumeration;

/// A part that every release sends, or one of a kind that only a later release has.
fn missing(what: &'static str) -> Unreadable {
    Unreadable(format!("the proxy finds no {what} in it that it knows; upgrade the proxy"))
}

/// A number that is out of its bounds.
fn number<T: TryFrom<u32>>(value: u32, what: &'static str) -> Result<T> {
    T::try_from(value).map_err(|_too_large| Unreadable(format!("{value} is not a {what}")))
}

fn text(text: &Arc<str>) -> String {
    String::from(&**text)
}

fn texts(texts: &[Arc<str>]) -> Vec<String> {
    texts.iter().map(text).collect()
}

fn arcs(texts: Vec<String>) -> Vec<Arc<str>> {
    texts.into_iter().map(Arc::from).collect()
}

fn encode_all<'a, T, W: From<&'a T>>(all: &'a [T]) -> Vec<W> {
    all.iter().map(W::from).collect()
}

fn decode_all<W, T: TryFrom<W, Error = Unreadable>>(all: Vec<W>) -> Result<Vec<T>> {
    all.into_iter().map(T::try_from).collect()
}

fn decode_some<W, T: TryFrom<W, Error = Unreadable>>(some: Option<W>) -> Result<Option<T>> {
    some.map(T::try_from).transpose()
}

fn required<W, T: TryFrom<W, Error = Unreadable>>(
    some: Option<W>,
    what: &'static str,
) -> Result<T> {
    T::try_from(some.ok_or_else(|| missing(what))?)
}

/// Texts that have a form of their own: addresses, networks.
fn parse<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T> {
    text.parse().map_err(|_error| Unreadable(format!("{text:?} is not {what}")))
}

fn parse_all<T: std::str::FromStr>(all: &[String], what: &'static str) -> Result<Vec<T>> {
    all.iter().map(|text| parse(text, what)).collect()
}

fn write_all<T: fmt::Display>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests;
