//! From GatewayClasses, Gateways (Gateway API's and ours alike) and ListenerSets to listeners: what is
//! served on which port, what may hang on it, and what is said about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use fairway_model::host::HostPattern;
use fairway_model::{GatewayId, ListenerId};

use crate::object::{Kind, Name, ObjectKey};
use crate::route::RouteHead;
use crate::snapshot::Snapshot;

use self::allowed::AllowedNamespaces;

mod address;
pub(crate) mod allowed;
pub(crate) mod certificate;
pub(crate) mod class;
pub(crate) mod conflict;
pub(crate) mod frontend;
pub(crate) mod gateway;
pub(crate) mod judge;
pub(crate) mod set;
pub(crate) mod stage;

pub(crate) use self::stage::{Draft, Staged, stage};

/// Kinds that a route may name as its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ParentKind {
    Gateway,
    FairwayGateway,
    ListenerSet,
}

impl ParentKind {
    /// Reads group and kind of a reference, defaults filled in; `None` for what is no parent of ours.
    pub(crate) fn of(group: &str, kind: &str) -> Option<Self> {
        [Self::Gateway, Self::FairwayGateway, Self::ListenerSet]
            .into_iter()
            .find(|parent| parent.group() == group && parent.kind().name() == kind)
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Gateway => Kind::Gateway,
            Self::FairwayGateway => Kind::FairwayGateway,
            Self::ListenerSet => Kind::ListenerSet,
        }
    }

    pub(crate) const fn group(self) -> &'static str {
        self.kind().group()
    }

    /// Gives the kind of the same name in the other group.
    pub(crate) const fn twin(self) -> Option<Self> {
        match self {
            Self::Gateway => Some(Self::FairwayGateway),
            Self::FairwayGateway => Some(Self::Gateway),
            Self::ListenerSet => None,
        }
    }
}

/// What a route may name as its parent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ParentKey {
    pub(crate) kind: ParentKind,
    pub(crate) name: Name,
}

impl ParentKey {
    pub(crate) fn object(&self) -> ObjectKey {
        ObjectKey { kind: self.kind.kind(), name: self.name.clone() }
    }
}

impl fmt::Display for ParentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = if self.kind == ParentKind::FairwayGateway { ".fairway.dev" } else { "" };
        write!(f, "{}{group} {}", self.kind.kind().name(), self.name)
    }
}

impl fmt::Debug for ParentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// All parents that are ours, with their listeners. Routes depend on this and nothing else of the
/// gateways, so a plan in which it is the same may keep what it knows of its routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ListenerStage {
    pub(crate) parents: BTreeMap<ParentKey, Parent>,
    pub(crate) points: Vec<Point>,
    /// Gateways and ListenerSets that exist and are others'.
    pub(crate) foreign: BTreeSet<ParentKey>,
    /// Gateways of ours that answer to an IngressClass, by its name.
    pub(crate) ingress_gateways: BTreeMap<Arc<str>, Vec<ParentKey>>,
    /// What is wrong with certificates that Ingresses bring.
    pub(crate) ingress_troubles: BTreeMap<Name, Arc<str>>,
}

/// A Gateway or ListenerSet that is ours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parent {
    pub(crate) key: ParentKey,
    /// The gateway that serves its listeners.
    pub(crate) gateway: GatewayId,
    /// The Gateway object behind `gateway`.
    pub(crate) root: ParentKey,
    /// Places of its listeners in [`ListenerStage::points`].
    pub(crate) points: Vec<usize>,
    /// Why nothing may hang on it, if so.
    pub(crate) refused: Option<Arc<str>>,
}

/// A listener, as routes see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) id: ListenerId,
    pub(crate) name: Arc<str>,
    pub(crate) port: u16,
    pub(crate) hostname: HostPattern,
    /// Whether hostnames of routes mean anything: not for TCP and UDP.
    pub(crate) reads_hostnames: bool,
    /// Whether it is in the model. Routes attach to an invalid listener too (Gateway API: "Listener
    /// status does not impact successful attachment"), they are only not served there.
    pub(crate) served: bool,
    /// The Gateway that it belongs to in the end.
    pub(crate) root: ParentKey,
    /// Namespace of its Gateway or ListenerSet.
    pub(crate) namespace: Arc<str>,
    /// Kinds that its protocol can carry.
    pub(crate) carries: &'static [Kind],
    /// Kinds that are let in.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) namespaces: AllowedNamespaces,
}

impl Point {
    /// Says whether a route of this kind, speaking what it speaks, may hang on it.
    pub(crate) fn takes(&self, head: &RouteHead<'_>) -> bool {
        self.kinds.contains(&head.key.kind) && self.carries.contains(&head.speaks)
    }

    /// Says whether this route may hang on it, by kind and namespace.
    pub(crate) fn allows(&self, head: &RouteHead<'_>, snapshot: &Snapshot) -> bool {
        self.takes(head)
            && self.namespaces.hold(&head.key.name.namespace, &self.namespace, snapshot)
    }
}
