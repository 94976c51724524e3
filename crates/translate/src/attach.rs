//! Which route hangs on which listener: once, for all kinds of route. Every parent that is ours is
//! answered exactly once, in the order of the spec; parents of others are passed over.

use std::collections::BTreeMap;

use fairway_api::reference::ParentReference;
use fairway_model::ListenerId;
use fairway_model::host::{HostPattern, HostRank};
use fairway_model::route::{AttachedHost, Attachment};

use crate::hostname;
use crate::listener::{ListenerStage, Parent, ParentKey, ParentKind, Point};
use crate::object::{Name, is_ours};
use crate::route::RouteHead;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{Reason, Verdict};

/// What one parent answers.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// The parent as written.
    pub(crate) parent: &'a ParentReference,
    /// The listeners that take the route, with the hosts it has there; or why none does.
    pub(crate) result: Result<Vec<Place>, Verdict>,
}

/// A listener with the hosts that a route has on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Place of the listener in [`ListenerStage::points`].
    pub(crate) point: usize,
    pub(crate) hosts: Vec<AttachedHost>,
}

/// Asks every parent of a route that is ours.
pub(crate) fn attach<'a>(
    head: &'a RouteHead<'a>,
    stage: &ListenerStage,
    snapshot: &Snapshot,
    settings: &Settings,
) -> Vec<Answer<'a>> {
    let mut answers = Vec::with_capacity(head.parents.len());
    for parent in head.parents {
        if let Some(result) = ask(head, parent, stage, snapshot, settings) {
            answers.push(Answer { parent, result });
        }
    }
    answers
}

/// Puts the places of all parents together, for the model: one attachment a listener, one entry a host.
/// Listeners that are not served are left out.
pub(crate) fn attachments<'a>(
    places: impl Iterator<Item = &'a Place>,
    stage: &'a ListenerStage,
) -> Vec<Attachment> {
    let mut hosts: BTreeMap<&ListenerId, BTreeMap<&HostPattern, HostRank>> = BTreeMap::new();
    for place in places {
        let point = &stage.points[place.point];
        if !point.served {
            continue;
        }
        let known = hosts.entry(&point.id).or_default();
        for host in &place.hosts {
            let rank = known.entry(&host.pattern).or_insert(host.rank);
            *rank = host.rank.min(*rank);
        }
    }
    let attachment = |(listener, hosts): (&ListenerId, BTreeMap<&HostPattern, HostRank>)| {
        let hosts = hosts.into_iter();
        let hosts = hosts.map(|(pattern, rank)| AttachedHost { pattern: pattern.clone(), rank });
        Attachment { listener: listener.clone(), hosts: hosts.collect() }
    };
    hosts.into_iter().map(attachment).collect()
}

/// `None` when the parent is not ours to answer for.
fn ask(
    head: &RouteHead<'_>,
    parent: &ParentReference,
    stage: &ListenerStage,
    snapshot: &Snapshot,
    settings: &Settings,
) -> Option<Result<Vec<Place>, Verdict>> {
    let kind = ParentKind::of(parent.group(), parent.kind())?;
    let namespace = parent.namespace.as_deref().unwrap_or(&head.key.name.namespace);
    let key = ParentKey { kind, name: Name::new(namespace, parent.name.as_str()) };
    match stage.parents.get(&key) {
        Some(found) => Some(places(head, parent, found, stage, snapshot)),
        None => missing(head, &key, stage, settings).map(Err),
    }
}

/// Says that a parent does not exist, if it is ours to say: it would be ours if it existed, the user
/// meant one of ours, or there is nobody else.
fn missing(
    head: &RouteHead<'_>,
    key: &ParentKey,
    stage: &ListenerStage,
    settings: &Settings,
) -> Option<Verdict> {
    if stage.foreign.contains(key) {
        return None;
    }
    let twin = key.kind.twin().map(|kind| ParentKey { kind, name: key.name.clone() });
    if let Some(twin) = twin.filter(|twin| stage.parents.contains_key(twin)) {
        let message = format!(
            "{key} does not exist, but {twin} does: set `group: {}` in parentRefs to mean that one",
            twin.kind.group()
        );
        return Some(Verdict::new(Reason::NoMatchingParent, message));
    }
    let ours = key.kind == ParentKind::FairwayGateway || is_ours(head.key.kind);
    (ours || settings.alone).then(|| {
        Verdict::new(
            Reason::NoMatchingParent,
            format!("{key} does not exist: create it, or correct parentRefs"),
        )
    })
}

fn places(
    head: &RouteHead<'_>,
    reference: &ParentReference,
    parent: &Parent,
    stage: &ListenerStage,
    snapshot: &Snapshot,
) -> Result<Vec<Place>, Verdict> {
    let no = |reason: Reason, message: String| Err(Verdict::new(reason, message));
    if let Some(refused) = &parent.refused {
        return no(Reason::NoMatchingParent, format!("{} is not accepted: {refused}", parent.key));
    }
    let named: Vec<usize> = parent
        .points
        .iter()
        .copied()
        .filter(|index| names(reference, &stage.points[*index]))
        .collect();
    if named.is_empty() {
        return no(Reason::NoMatchingParent, unnamed(reference, parent));
    }
    let allowed: Vec<usize> =
        named.iter().copied().filter(|index| stage.points[*index].allows(head, snapshot)).collect();
    if allowed.is_empty() {
        return no(Reason::NotAllowedByListeners, not_allowed(head, &named, stage));
    }
    let places: Vec<Place> = allowed
        .iter()
        .map(|&index| Place { point: index, hosts: hosts(head, &stage.points[index]) })
        .filter(|place| !place.hosts.is_empty())
        .collect();
    if places.is_empty() {
        return no(Reason::NoMatchingListenerHostname, no_host(head, &allowed, stage));
    }
    Ok(places)
}

/// Gives the listeners that a reference from `namespace` names, allowed or not.
pub(crate) fn named(
    reference: &ParentReference,
    namespace: &str,
    stage: &ListenerStage,
) -> Vec<usize> {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    let name = Name::new(namespace, reference.name.as_str());
    let kind = ParentKind::of(reference.group(), reference.kind());
    let parent = kind.and_then(|kind| stage.parents.get(&ParentKey { kind, name }));
    let points = parent.into_iter().flat_map(|parent| &parent.points).copied();
    points.filter(|point| names(reference, &stage.points[*point])).collect()
}

fn names(reference: &ParentReference, point: &Point) -> bool {
    let section = reference.section_name.as_deref();
    section.is_none_or(|name| *name == *point.name)
        && reference.port.is_none_or(|port| port == i32::from(point.port))
}

/// Gives the hosts that route and listener have in common. A stream without server name has none of
/// its own and takes what the listener takes.
fn hosts(head: &RouteHead<'_>, point: &Point) -> Vec<AttachedHost> {
    let names_none = head.hostnames.is_empty() && head.bad_hostnames.is_empty();
    if !point.reads_hostnames || names_none {
        let rank = HostPattern::Any.rank();
        return vec![AttachedHost { pattern: point.hostname.clone(), rank }];
    }
    let common = head.hostnames.iter().filter_map(|own| {
        let pattern = hostname::intersect(own, &point.hostname)?;
        Some(AttachedHost { pattern, rank: own.rank() })
    });
    common.collect()
}

fn unnamed(reference: &ParentReference, parent: &Parent) -> String {
    let port = reference.port.map(|port| format!("port {port}"));
    let section = reference.section_name.as_ref().map(|name| format!("name {name:?}"));
    let asked: Vec<String> = section.into_iter().chain(port).collect();
    if asked.is_empty() {
        return format!("{} has no listeners", parent.key);
    }
    format!("{} has no listener with {}", parent.key, asked.join(" and "))
}

fn not_allowed(head: &RouteHead<'_>, named: &[usize], stage: &ListenerStage) -> String {
    let points = named.iter().map(|index| &stage.points[*index]);
    let by_kind = points.filter(|point| !point.takes(head)).count();
    let names = listed(named, stage);
    if by_kind == named.len() {
        let kind = head.key.kind.name();
        return format!("listener {names} takes no {kind}: see allowedRoutes.kinds and protocol");
    }
    let namespace = &head.key.name.namespace;
    format!(
        "listener {names} takes no routes from namespace {namespace}: see allowedRoutes.namespaces"
    )
}

fn no_host(head: &RouteHead<'_>, allowed: &[usize], stage: &ListenerStage) -> String {
    if head.hostnames.is_empty() {
        return format!("none of the hostnames {} is a hostname", head.bad_hostnames.join(", "));
    }
    let own: Vec<String> = head.hostnames.iter().map(ToString::to_string).collect();
    let theirs: Vec<String> =
        allowed.iter().map(|index| stage.points[*index].hostname.to_string()).collect();
    format!(
        "none of the hostnames {} is one of the listeners' {}",
        own.join(", "),
        theirs.join(", ")
    )
}

fn listed(points: &[usize], stage: &ListenerStage) -> String {
    let names: Vec<&str> = points.iter().map(|index| &*stage.points[*index].name).collect();
    names.join(", ")
}
