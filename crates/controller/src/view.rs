//! What the loop shows to people: one value after each change, for the live table and the admin endpoint.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fairway_model::Model;
use fairway_translate::status::{Status, Statuses};
use fairway_translate::verdict::{Condition, Conditions, Verdicts};
use fairway_translate::{Kind, ObjectKey};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::sources::Problem;

/// How things stand.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Counts the changes, from 1.
    pub sequence: u64,
    /// From the moment the change was noticed until it was served.
    #[serde(skip)]
    pub took: Duration,
    /// Gateways, with their listeners and open sockets.
    pub gateways: Vec<GatewayView>,
    /// Routes and Ingresses.
    pub routes: Vec<RouteView>,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
    /// Whether what is served comes in part from the run before, because files cannot be read.
    pub last_good: bool,
    /// The statuses as a cluster would hold them; see [`statuses_json`].
    #[serde(skip)]
    pub statuses: Arc<Statuses>,
}

/// A Gateway.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayView {
    /// Which.
    pub gateway: ObjectKey,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is accepted and served; if not, why.
    pub state: State,
    /// Its listeners.
    pub listeners: Vec<ListenerView>,
}

/// A listener.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerView {
    /// Its name.
    pub name: Arc<str>,
    /// Its declared port; absent when it is not served.
    pub port: Option<u16>,
    /// Where it really listens.
    pub bound: Vec<SocketAddr>,
    /// How many routes hang on it.
    pub attached_routes: i32,
    /// Whether it is served; if not, why.
    pub state: State,
}

/// A route or an Ingress.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteView {
    /// Which.
    pub route: ObjectKey,
    /// How it stands with its parents.
    pub state: State,
}

/// Whether all is well; if not, why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Whether all is well.
    pub ok: bool,
    /// What is not well, one line a condition; what is well says nothing.
    pub messages: Vec<String>,
}

impl State {
    fn of<'a, I: IntoIterator<Item = &'a Conditions>>(all: I) -> Self {
        let mut messages = Vec::new();
        for conditions in all {
            let bad = conditions.iter().filter(|verdict| is_bad(verdict.reason.condition()));
            messages.extend(bad.map(ToString::to_string));
        }
        Self { ok: messages.is_empty(), messages }
    }
}

/// Says whether a condition that stands so is something to mend.
#[must_use]
pub fn is_bad((condition, holds): (Condition, fairway_translate::verdict::Holds)) -> bool {
    use fairway_translate::verdict::Holds;
    match condition {
        Condition::Accepted
        | Condition::ResolvedRefs
        | Condition::Programmed
        | Condition::SupportedVersion
        | Condition::Live
        | Condition::Ready => holds == Holds::False,
        Condition::PartiallyInvalid
        | Condition::Conflicted
        | Condition::OverlappingTlsConfig
        | Condition::InsecureFrontendValidationMode => holds == Holds::True,
    }
}

/// Where each listener of the data plane really is, or why it is not.
pub(crate) type Bound = BTreeMap<fairway_model::ListenerId, BoundListener>;

/// See [`Bound`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BoundListener {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) error: Option<String>,
}

/// Lists gateways and ListenerSets with their listeners.
pub(crate) fn gateways(verdicts: &Verdicts, model: &Model, bound: &Bound) -> Vec<GatewayView> {
    let kinds = [Kind::Gateway, Kind::FairwayGateway, Kind::ListenerSet];
    let gateways = verdicts.iter().filter(|(key, _)| kinds.contains(&key.kind));
    let view = |(key, said): (&ObjectKey, &Arc<fairway_translate::verdict::ObjectVerdicts>)| {
        let listeners = said.listeners.iter().map(|listener| {
            let entry = listener.id.as_ref();
            let here = entry.and_then(|id| bound.get(id)).cloned().unwrap_or_default();
            let mut state = State::of([&listener.conditions]);
            if let Some(error) = here.error {
                state.ok = false;
                state.messages.push(error);
            }
            ListenerView {
                name: Arc::clone(&listener.name),
                port: entry.and_then(|id| model.listeners.get(id)).map(|listener| listener.port),
                bound: here.addresses,
                attached_routes: listener.attached_routes,
                state,
            }
        });
        GatewayView {
            gateway: key.clone(),
            addresses: said.facts.addresses.clone(),
            state: State::of([&said.conditions]),
            listeners: listeners.collect(),
        }
    };
    gateways.map(view).collect()
}

/// Lists routes and Ingresses.
pub(crate) fn routes(verdicts: &Verdicts) -> Vec<RouteView> {
    let routes = verdicts.iter().filter(|(key, _)| is_route(key.kind));
    let view = |(key, said): (&ObjectKey, &Arc<fairway_translate::verdict::ObjectVerdicts>)| {
        let parents = said.parents.iter().map(|parent| &parent.conditions);
        let mut state = State::of(parents.chain([&said.conditions]));
        if said.parents.is_empty() && key.kind != Kind::Ingress {
            state.ok = false;
            state.messages.push("hangs on no Gateway of ours".to_owned());
        }
        RouteView { route: key.clone(), state }
    };
    routes.map(view).collect()
}

/// Says whether an object of this kind is a route.
pub(crate) fn is_route(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::TlsRoute
            | Kind::TcpRoute
            | Kind::UdpRoute
            | Kind::TrafficRoute
            | Kind::Ingress
    )
}

/// Gives all verdicts as JSON: by object, by parent or listener, one line a condition.
#[must_use]
pub fn verdicts_json(verdicts: &Verdicts) -> Value {
    let lines = |conditions: &Conditions| -> Value {
        conditions.iter().map(|verdict| Value::String(verdict.to_string())).collect()
    };
    let mut all = Map::new();
    for (key, said) in verdicts {
        let mut object = Map::new();
        object.insert("generation".to_owned(), json!(said.generation));
        object.insert("conditions".to_owned(), lines(&said.conditions));
        if !said.parents.is_empty() {
            let parents = said.parents.iter().map(
                |parent| json!({"parent": parent.parent, "conditions": lines(&parent.conditions)}),
            );
            object.insert("parents".to_owned(), parents.collect());
        }
        if !said.listeners.is_empty() {
            let listeners = said.listeners.iter().map(|listener| {
                json!({
                    "name": listener.name,
                    "attachedRoutes": listener.attached_routes,
                    "conditions": lines(&listener.conditions),
                })
            });
            object.insert("listeners".to_owned(), listeners.collect());
        }
        all.insert(key.to_string(), Value::Object(object));
    }
    Value::Object(all)
}

/// Which statuses have been made documents (`apiVersion`, `kind`, `metadata`, `status`): what is the same
/// `Arc` is not made one again.
#[derive(Debug, Default)]
pub(crate) struct Documents(BTreeMap<ObjectKey, Arc<Status>>);

impl Documents {
    /// Follows the statuses; gives the documents that differ, `None` for those that are gone.
    pub(crate) fn follow(&mut self, statuses: &Statuses) -> Vec<(ObjectKey, Option<Arc<Value>>)> {
        let mut changes = Vec::new();
        for (key, status) in statuses {
            let known = self.0.get(key).is_some_and(|before| Arc::ptr_eq(before, status));
            if !known {
                self.0.insert(key.clone(), Arc::clone(status));
                changes.push((key.clone(), Some(Arc::new(status_document(key, status)))));
            }
        }
        if self.0.len() > statuses.len() {
            self.0.retain(|key, _| {
                let stays = statuses.contains_key(key);
                if !stays {
                    changes.push((key.clone(), None));
                }
                stays
            });
        }
        changes
    }
}

/// Gives the statuses as documents: `apiVersion`, `kind`, `metadata`, `status`.
#[must_use]
pub fn statuses_json(statuses: &Statuses) -> Value {
    statuses.iter().map(|(key, status)| status_document(key, status)).collect()
}

fn status_document(key: &ObjectKey, status: &Status) -> Value {
    let mut metadata = Map::new();
    if !key.name.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), json!(key.name.namespace));
    }
    metadata.insert("name".to_owned(), json!(key.name.name));
    json!({
        "apiVersion": key.kind.api_version(),
        "kind": key.kind.name(),
        "metadata": metadata,
        "status": status.to_value().expect("a status is plain data"),
    })
}
