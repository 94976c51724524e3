//! From routes of all kinds to the model's: what they share (head, attachment, ledger, memo) stands here
//! and in `head` and `ledger`; what a rule means is in [`rule`] (HTTP, gRPC) and [`stream`] (TLS, TCP, UDP).

use std::any::Any;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::core::Service;
use fairway_api::reference::ParentReference;
use fairway_model::route::{Attachment, Origin, Rule};
use fairway_model::{Cluster, ClusterId, Route, RouteId};

use crate::attach::{Answer, attach, attachments};
use crate::ground::Ground;
use crate::listener::{ParentKey, ParentKind};
use crate::object::{Kind, Name, ObjectKey, slug};
use crate::quarantine::quarantine;
use crate::snapshot::Table;
use crate::verdict::{Conditions, ObjectVerdicts, ParentVerdicts, Reason};

use self::ledger::Ledger;

pub(crate) mod conflict;
pub(crate) mod fields;
pub(crate) mod filters;
pub(crate) mod forward;
pub(crate) mod grpc;
pub(crate) mod head;
pub(crate) mod ledger;
pub(crate) mod matches;
pub(crate) mod rank;
pub(crate) mod rule;
pub(crate) mod stream;

pub(crate) use self::head::RouteHead;

/// What one route object comes to. It depends on the object, on the [`Ground`] and on the Services it
/// names, and on nothing else: that is what lets the next plan keep it.
#[derive(Debug)]
pub(crate) struct RouteOutcome {
    pub(crate) key: ObjectKey,
    /// The object, to see by the pointer whether it is still the same.
    pub(crate) source: Arc<dyn Any + Send + Sync>,
    pub(crate) routes: Vec<(RouteId, Arc<Route>)>,
    pub(crate) clusters: BTreeMap<ClusterId, Arc<Cluster>>,
    /// Services that were asked for, found or not.
    pub(crate) services: BTreeMap<Name, Option<Arc<Service>>>,
    /// Places of listeners (in the listener stage) that it hangs on; routes are counted there
    /// (`attachedRoutes`), Ingresses are not.
    pub(crate) counted: BTreeSet<usize>,
    /// BackendTLSPolicies that hold for its backends.
    pub(crate) policies: BTreeSet<Name>,
    /// `None` when none of its parents is ours.
    pub(crate) said: Option<Arc<ObjectVerdicts>>,
}

/// One rule after lowering; `rule` is `None` when nothing of it can be served.
#[derive(Debug)]
pub(crate) struct LoweredRule {
    /// Last part of its Id, such as `rule/2`.
    pub(crate) place: String,
    pub(crate) index: usize,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) rule: Option<Rule>,
}

/// Lowers all routes, in order of kind and name.
pub(crate) fn lower_all(
    ground: &Ground<'_>,
    before: &[Arc<RouteOutcome>],
) -> Vec<Arc<RouteOutcome>> {
    let snapshot = ground.snapshot;
    let mut work = Work { ground, memo: Memo { rest: before }, all: Vec::new() };
    work.all.reserve(before.len() + 1);
    work.each(Kind::HttpRoute, &snapshot.http_routes, rule::http_route, |r| &r.spec.parent_refs);
    work.each(Kind::GrpcRoute, &snapshot.grpc_routes, rule::grpc_route, |r| &r.spec.parent_refs);
    work.each(Kind::TlsRoute, &snapshot.tls_routes, stream::tls_route, |r| &r.spec.parent_refs);
    work.each(Kind::TcpRoute, &snapshot.tcp_routes, stream::tcp_route, |r| &r.spec.parent_refs);
    work.each(Kind::UdpRoute, &snapshot.udp_routes, stream::udp_route, |r| &r.spec.parent_refs);
    let traffic = &snapshot.traffic_routes;
    work.each(Kind::TrafficRoute, traffic, rule::traffic_route, |r| &r.spec.parent_refs);
    work.each(Kind::Ingress, &snapshot.ingresses, crate::ingress::lower, |_| &[]);
    work.all
}

/// How one kind of route is lowered.
type Lower<T> = fn(&Ground<'_>, ObjectKey, &Arc<T>) -> RouteOutcome;

struct Work<'a> {
    ground: &'a Ground<'a>,
    memo: Memo<'a>,
    all: Vec<Arc<RouteOutcome>>,
}

impl Work<'_> {
    fn each<T: Any + Send + Sync>(
        &mut self,
        kind: Kind,
        table: &Table<T>,
        lower: Lower<T>,
        parents: fn(&T) -> &[ParentReference],
    ) {
        let ground = self.ground;
        for (name, object) in &**table {
            let kept = self.memo.take(kind, name).filter(|kept| {
                std::ptr::addr_eq(Arc::as_ptr(&kept.source), Arc::as_ptr(object))
                    && ground.same_services(&kept.services)
            });
            if let Some(kept) = kept {
                self.all.push(Arc::clone(kept));
                continue;
            }
            let key = ObjectKey { kind, name: name.clone() };
            let planted = ground.settings.planted_fault.as_ref() == Some(&key);
            let lowered = quarantine(|| {
                assert!(!planted, "planted by a test");
                lower(ground, key.clone(), object)
            });
            let outcome = lowered
                .unwrap_or_else(|fault| faulty(ground, key, object, (parents(object), &fault)));
            self.all.push(Arc::new(outcome));
        }
    }
}

/// The outcomes of the plan before, walked in step with the tables.
struct Memo<'a> {
    rest: &'a [Arc<RouteOutcome>],
}

impl<'a> Memo<'a> {
    fn take(&mut self, kind: Kind, name: &Name) -> Option<&'a Arc<RouteOutcome>> {
        while let Some((first, rest)) = self.rest.split_first() {
            let order = first.key.kind.cmp(&kind).then_with(|| first.key.name.cmp(name));
            if order == Ordering::Greater {
                return None;
            }
            self.rest = rest;
            if order == Ordering::Equal {
                return Some(first);
            }
        }
        None
    }
}

/// A fault of ours: the object is out, each of its parents says so, and its neighbours don't notice.
fn faulty<T: Any + Send + Sync>(
    ground: &Ground<'_>,
    key: ObjectKey,
    object: &Arc<T>,
    (parents, fault): (&[ParentReference], &str),
) -> RouteOutcome {
    let message = format!("a fault of Fairway itself: {fault}");
    let mut conditions = Conditions::default();
    conditions.say(Reason::InternalError, message.as_str());
    let is_ours = |reference: &&ParentReference| {
        let kind = ParentKind::of(reference.group(), reference.kind());
        let namespace = reference.namespace.as_deref().unwrap_or(&key.name.namespace);
        let name = Name::new(namespace, reference.name.as_str());
        kind.is_some_and(|kind| ground.stage.parents.contains_key(&ParentKey { kind, name }))
    };
    let answer = |reference: &ParentReference| ParentVerdicts {
        parent: reference.clone(),
        conditions: conditions.clone(),
    };
    let parents = parents.iter().filter(is_ours).map(answer).collect();
    let said =
        ObjectVerdicts { conditions: conditions.clone(), parents, ..ObjectVerdicts::default() };
    RouteOutcome { said: Some(Arc::new(said)), ..empty(key, object) }
}

/// An outcome without anything.
pub(crate) fn empty<T: Any + Send + Sync>(key: ObjectKey, object: &Arc<T>) -> RouteOutcome {
    RouteOutcome {
        key,
        source: Arc::clone(object) as Arc<dyn Any + Send + Sync>,
        routes: Vec::new(),
        clusters: BTreeMap::new(),
        services: BTreeMap::new(),
        counted: BTreeSet::new(),
        policies: BTreeSet::new(),
        said: None,
    }
}

/// Brings a route from its head to its outcome; `rules` lowers what is under it.
pub(crate) fn lower<T: Any + Send + Sync>(
    ground: &Ground<'_>,
    head: &RouteHead<'_>,
    object: &Arc<T>,
    rules: impl FnOnce(&mut Ledger<'_>) -> Vec<LoweredRule>,
) -> RouteOutcome {
    let answers = attach(head, &ground.stage, ground.snapshot, ground.settings);
    let mut outcome = empty(head.key.clone(), object);
    if answers.is_empty() {
        return outcome;
    }
    let mut ledger = Ledger::new(ground, head);
    let lowered = rules(&mut ledger);
    let places = || answers.iter().filter_map(|answer| answer.result.as_ref().ok()).flatten();
    let attachments = attachments(places(), &ground.stage);
    outcome.said = Some(Arc::new(verdicts(head, &answers, &ledger, lowered.len())));
    if ledger.is_accepted(lowered.len()) {
        outcome.counted = places().map(|place| place.point).collect();
    }
    if !attachments.is_empty() {
        outcome.routes = model_routes(head, lowered, &attachments);
    }
    let Ledger { clusters, services, policies, .. } = ledger;
    outcome.clusters = if outcome.routes.is_empty() { BTreeMap::new() } else { clusters };
    outcome.services = services;
    outcome.policies = policies;
    outcome
}

fn model_routes(
    head: &RouteHead<'_>,
    lowered: Vec<LoweredRule>,
    attachments: &[Attachment],
) -> Vec<(RouteId, Arc<Route>)> {
    let Name { namespace, name } = &head.key.name;
    let mut routes = Vec::with_capacity(lowered.len());
    for LoweredRule { place, index, name: rule_name, rule } in lowered {
        let Some(rule) = rule else { continue };
        let id = RouteId::new(format!("{}/{namespace}/{name}/{place}", slug(head.key.kind)));
        let origin = Origin {
            kind: Arc::clone(&head.kind_name),
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
            rule: u32::try_from(index).unwrap_or(u32::MAX),
            rule_name,
            generation: head.generation,
        };
        routes.push((id, Arc::new(Route { origin, attachments: attachments.to_vec(), rule })));
    }
    routes
}

fn verdicts(
    head: &RouteHead<'_>,
    answers: &[Answer<'_>],
    ledger: &Ledger<'_>,
    rules: usize,
) -> ObjectVerdicts {
    let each = |answer: &Answer<'_>| {
        let mut conditions = Conditions::default();
        match &answer.result {
            Err(verdict) => conditions.say(verdict.reason, Arc::clone(&verdict.message)),
            Ok(_) => ledger.say_validity(&mut conditions, rules),
        }
        ledger.say_references(&mut conditions);
        ParentVerdicts { parent: answer.parent.clone(), conditions }
    };
    ObjectVerdicts {
        generation: head.generation,
        parents: answers.iter().map(each).collect(),
        ..ObjectVerdicts::default()
    }
}
