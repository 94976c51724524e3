//! Ingress: hosts, paths, TLS, default backend and class, brought to the same listeners, backends and
//! rules as routes. It hangs on each Gateway of ours whose `ingressClasses` names its class, on all
//! listeners that speak HTTP: `allowedRoutes` speaks of routes, and naming the class is the leave.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairway_api::ingress::Ingress;
use fairway_model::RouteId;
use fairway_model::host::{HostPattern, HostRank};
use fairway_model::route::{AttachedHost, Attachment, Origin, Route, Rule};

use crate::attach::{Place, attachments};
use crate::ground::Ground;
use crate::hostname;
use crate::object::{Kind, ObjectKey, slug};
use crate::route::ledger::Ledger;
use crate::route::{RouteHead, RouteOutcome, empty};
use crate::verdict::{Conditions, ObjectVerdicts, Reason};

pub(crate) mod class;
mod path;
pub(crate) mod tls;

use self::path::Spot;

/// Lowers an Ingress.
pub(crate) fn lower(ground: &Ground<'_>, key: ObjectKey, ingress: &Arc<Ingress>) -> RouteOutcome {
    let mut outcome = empty(key.clone(), ingress);
    let class = class::of(ingress, ground.snapshot);
    let gateways = class.as_ref().and_then(|class| ground.stage.ingress_gateways.get(class));
    let Some(gateways) = gateways else {
        outcome.said = unclaimed(ground, ingress, class.as_deref()).map(Arc::new);
        return outcome;
    };
    let parents = gateways.iter().filter_map(|gateway| ground.stage.parents.get(gateway));
    let points: Vec<usize> = parents
        .flat_map(|parent| &parent.points)
        .copied()
        .filter(|point| ground.stage.points[*point].carries.contains(&Kind::HttpRoute))
        .collect();
    let head = RouteHead::new((key, Kind::HttpRoute), &ingress.metadata, &[], &[], true);
    let mut ledger = Ledger::new(ground, &head);
    let (spots, units) = path::spots(&mut ledger, &ingress.spec);
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for spot in spots {
        let places = places(ground, &points, &spot.host);
        if places.is_empty() {
            let (rule, host) = (spot.rule, &spot.host);
            let message = format!("rules[{rule}]: no listener that speaks HTTP answers for {host}");
            ledger.invalid_unit(spot.unit, Reason::NoMatchingListenerHostname, message);
            continue;
        }
        used.extend(places.iter().map(|place| place.point));
        let attachments = attachments(places.iter(), &ground.stage);
        if !attachments.is_empty() {
            outcome.routes.push(route(&head, spot, attachments));
        }
    }
    outcome.said = Some(Arc::new(verdicts(ground, &head, &ledger, units)));
    outcome.counted = used;
    let Ledger { clusters, services, policies, .. } = ledger;
    outcome.clusters = clusters;
    outcome.services = services;
    outcome.policies = policies;
    outcome
}

/// Where nobody else would, says that no Gateway answers to the class.
fn unclaimed(
    ground: &Ground<'_>,
    ingress: &Ingress,
    class: Option<&str>,
) -> Option<ObjectVerdicts> {
    if !ground.settings.alone {
        return None;
    }
    let message = match class {
        Some(class) => format!(
            "no Gateway of group fairway.dev answers to IngressClass {class}: name it in ingressClasses there"
        ),
        None => "ingressClassName is missing, and no IngressClass is the default one".to_owned(),
    };
    let mut said =
        ObjectVerdicts { generation: ingress.metadata.generation, ..ObjectVerdicts::default() };
    said.conditions.say(Reason::NoMatchingParent, message);
    Some(said)
}

fn places(ground: &Ground<'_>, points: &[usize], host: &HostPattern) -> Vec<Place> {
    let rank: HostRank = host.rank();
    let place = |point: &usize| {
        let pattern = hostname::intersect(host, &ground.stage.points[*point].hostname)?;
        Some(Place { point: *point, hosts: vec![AttachedHost { pattern, rank }] })
    };
    points.iter().filter_map(place).collect()
}

fn route(head: &RouteHead<'_>, spot: Spot, attachments: Vec<Attachment>) -> (RouteId, Arc<Route>) {
    let name = &head.key.name;
    let kind = slug(head.key.kind);
    let id = RouteId::new(format!("{kind}/{}/{}/{}", name.namespace, name.name, spot.place));
    let origin = Origin {
        kind: Arc::clone(&head.kind_name),
        namespace: Arc::clone(&name.namespace),
        name: Arc::clone(&name.name),
        rule: u32::try_from(spot.rule).unwrap_or(u32::MAX),
        rule_name: None,
        generation: head.generation,
    };
    let rule = Rule::Http(Box::new(spot.http));
    (id, Arc::new(Route { origin, attachments, rule }))
}

fn verdicts(
    ground: &Ground<'_>,
    head: &RouteHead<'_>,
    ledger: &Ledger<'_>,
    units: usize,
) -> ObjectVerdicts {
    let mut conditions = Conditions::default();
    ledger.say_validity(&mut conditions, units);
    if let Some(trouble) = ground.stage.ingress_troubles.get(&head.key.name) {
        conditions.say(Reason::InvalidCertificateRef, Arc::clone(trouble));
    }
    ledger.say_references(&mut conditions);
    ObjectVerdicts { generation: head.generation, conditions, ..ObjectVerdicts::default() }
}
