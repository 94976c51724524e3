//! HTTPRoutes and GRPCRoutes that want the same hosts of a listener. Per the GRPCRoute specification
//! exactly one of two such routes is accepted: the older one, then the first by `namespace/name`.
//! Routes of one kind share a host by precedence of their matches and never come here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::ListenerId;
use fairway_model::host::HostPattern;
use fairway_model::route::{Attachment, Rule};

use super::RouteOutcome;
use crate::attach;
use crate::ground::Ground;
use crate::hostname::intersect;
use crate::object::{Kind, ObjectKey};
use crate::verdict::{Condition, Conditions, ParentVerdicts, Reason};

/// A route on one listener.
struct Entry<'a> {
    index: usize,
    key: &'a ObjectKey,
    age: (i64, &'a Arc<str>),
    patterns: Vec<&'a HostPattern>,
}

/// What a route lost: listeners, each with the route that won there.
type Lost<'a> = BTreeMap<&'a ListenerId, &'a ObjectKey>;

/// Gives the outcomes that change because their route lost, by their place in `outcomes`.
pub(crate) fn settle(
    ground: &Ground<'_>,
    outcomes: &[Arc<RouteOutcome>],
) -> Vec<(usize, Arc<RouteOutcome>)> {
    let is_grpc = |outcome: &Arc<RouteOutcome>| outcome.key.kind == Kind::GrpcRoute;
    let contested: BTreeSet<&ListenerId> = outcomes
        .iter()
        .filter(|outcome| is_grpc(outcome))
        .flat_map(|outcome| attachments(outcome))
        .map(|attachment| &attachment.listener)
        .collect();
    if contested.is_empty() {
        return Vec::new();
    }
    let mut lost: BTreeMap<usize, Lost<'_>> = BTreeMap::new();
    for (listener, entries) in entries(outcomes, &contested) {
        for (loser, winner) in losers(entries) {
            lost.entry(loser).or_default().insert(listener, winner);
        }
    }
    let changed = |(index, lost): (usize, Lost<'_>)| {
        (index, Arc::new(without(ground, &outcomes[index], &lost)))
    };
    lost.into_iter().map(changed).collect()
}

/// All rules of a route hang on the same listeners.
fn attachments(outcome: &RouteOutcome) -> &[Attachment] {
    outcome.routes.first().map_or(&[], |(_, route)| &route.attachments)
}

fn entries<'a>(
    outcomes: &'a [Arc<RouteOutcome>],
    contested: &BTreeSet<&ListenerId>,
) -> BTreeMap<&'a ListenerId, Vec<Entry<'a>>> {
    let mut all: BTreeMap<&ListenerId, Vec<Entry<'a>>> = BTreeMap::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        let Some((_, route)) = outcome.routes.first() else { continue };
        let Rule::Http(rule) = &route.rule else { continue };
        let Some(first) = rule.matches.first() else { continue };
        if !matches!(outcome.key.kind, Kind::HttpRoute | Kind::GrpcRoute) {
            continue;
        }
        for attachment in route.attachments.iter().filter(|a| contested.contains(&a.listener)) {
            all.entry(&attachment.listener).or_default().push(Entry {
                index,
                key: &outcome.key,
                age: (first.rank.created, &first.rank.object),
                patterns: attachment.hosts.iter().map(|host| &host.pattern).collect(),
            });
        }
    }
    all
}

/// Takes the routes of a listener in, the oldest first, and gives those that are kept out by an earlier
/// one of the other kind.
fn losers<'a>(mut entries: Vec<Entry<'a>>) -> Vec<(usize, &'a ObjectKey)> {
    entries.sort_by_key(|entry| (entry.age, entry.key.kind));
    let (mut http, mut grpc): (Vec<&Entry<'a>>, Vec<&Entry<'a>>) = (Vec::new(), Vec::new());
    let mut lost = Vec::new();
    for entry in &entries {
        let is_grpc = entry.key.kind == Kind::GrpcRoute;
        let (own, others) = if is_grpc { (&mut grpc, &http) } else { (&mut http, &grpc) };
        match others.iter().find(|known| overlap(known, entry)) {
            Some(winner) => lost.push((entry.index, winner.key)),
            None => own.push(entry),
        }
    }
    lost
}

fn overlap(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    a.patterns.iter().any(|one| b.patterns.iter().any(|other| intersect(one, other).is_some()))
}

fn without(ground: &Ground<'_>, outcome: &RouteOutcome, lost: &Lost<'_>) -> RouteOutcome {
    let points = &ground.stage.points;
    let counted: BTreeSet<usize> =
        outcome.counted.iter().copied().filter(|p| !lost.contains_key(&points[*p].id)).collect();
    let mut routes = Vec::with_capacity(outcome.routes.len());
    for (id, route) in &outcome.routes {
        let mut route = (**route).clone();
        route.attachments.retain(|attachment| !lost.contains_key(&attachment.listener));
        if !route.attachments.is_empty() {
            routes.push((id.clone(), Arc::new(route)));
        }
    }
    let said = outcome.said.as_ref().map(|said| {
        let mut said = (**said).clone();
        for parent in &mut said.parents {
            refuse(ground, outcome, parent, &counted, lost);
        }
        Arc::new(said)
    });
    RouteOutcome {
        key: outcome.key.clone(),
        source: Arc::clone(&outcome.source),
        clusters: if routes.is_empty() { BTreeMap::new() } else { outcome.clusters.clone() },
        routes,
        services: outcome.services.clone(),
        counted,
        policies: outcome.policies.clone(),
        said,
    }
}

/// A parent that has no listener left for the route refuses it; one that has says what is lost.
fn refuse(
    ground: &Ground<'_>,
    outcome: &RouteOutcome,
    parent: &mut ParentVerdicts,
    counted: &BTreeSet<usize>,
    lost: &Lost<'_>,
) {
    let namespace = &outcome.key.name.namespace;
    let named = attach::named(&parent.parent, namespace, &ground.stage);
    let points = &ground.stage.points;
    let Some((listener, winner)) =
        named.iter().find_map(|point| lost.get_key_value(&points[*point].id))
    else {
        return;
    };
    let message = format!(
        "{winner} came first for some of the same hosts on {listener}: HTTPRoutes and GRPCRoutes cannot share a host"
    );
    let accepted = parent.conditions.get(Condition::Accepted).cloned();
    if let Some(known) = accepted.filter(|_| !parent.conditions.holds(Condition::Accepted)) {
        // Refused for another fault, yet its answers with an error go too.
        parent.conditions.replace(known.reason, format!("{}; {message}", known.message));
        return;
    }
    if named.iter().any(|point| counted.contains(point)) {
        // Served elsewhere; the wording that the specification asks for begins so.
        parent.conditions.say(Reason::DroppedRule, format!("Dropped Rule(s): {message}"));
        return;
    }
    let mut conditions = Conditions::default();
    conditions.say(Reason::RouteConflict, message);
    let others = parent.conditions.iter().filter(|verdict| {
        !matches!(verdict.reason.condition().0, Condition::Accepted | Condition::PartiallyInvalid)
    });
    for verdict in others {
        conditions.say(verdict.reason, Arc::clone(&verdict.message));
    }
    parent.conditions = conditions;
}
