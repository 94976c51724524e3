//! The whole pipeline, and what it gives. The previous plan is a memo and no more: with and without it
//! the result is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::core::Service;
use fairway_api::grant::ReferenceGrant;
use fairway_api::ingress::IngressClass;
use fairway_api::reference::ParentReference;
use fairway_model::cluster::Authorities;
use fairway_model::{Cluster, ClusterId, Endpoints, GatewayId, Model};

use crate::address::{Claimant, Held};
use crate::backend::{endpoints::endpoints, tls, tls::TlsStage};
use crate::ground::Ground;
use crate::listener::certificate::{KeyMemo, Keyring};
use crate::listener::{Draft, ListenerStage, ParentKey, ParentKind, Staged, stage};
use crate::object::{Kind, Name, ObjectKey};
use crate::route::conflict::settle;
use crate::route::{RouteOutcome, lower_all};
use crate::settings::Settings;
use crate::snapshot::{Snapshot, Table};
use crate::verdict::{Conditions, ObjectVerdicts, ParentVerdicts, Reason, Verdicts};

/// What a snapshot comes to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What must be served.
    pub model: Model,
    /// What is to be said back.
    pub verdicts: Verdicts,
    /// Addresses that each gateway shall have: served already, or to be claimed first
    /// ([`Settings::claims`]).
    pub addresses: BTreeMap<GatewayId, Vec<IpAddr>>,
    /// Addresses that there have to be claims of, with their owners; those that have one included.
    pub claims: BTreeMap<IpAddr, Claimant>,
    /// Secrets and ConfigMaps that objects of ours name and may name, whether they exist or not: what has
    /// to be read, and no more.
    pub wanted: BTreeSet<ObjectKey>,
    memo: Memo,
}

/// What the next plan may take over: inputs by pointer, with what they came to.
#[derive(Clone, Debug)]
struct Memo {
    settings: Settings,
    stage: Arc<ListenerStage>,
    tls: Arc<TlsStage>,
    keys: KeyMemo,
    /// What each route comes to alone.
    outcomes: Vec<Arc<RouteOutcome>>,
    /// What they come to beside each other, where that differs.
    settled: Option<Vec<Arc<RouteOutcome>>>,
    grants: Table<ReferenceGrant>,
    namespaces: Table<fairway_api::core::Namespace>,
    ingress_classes: Table<IngressClass>,
    services: Table<Service>,
    slices: Arc<BTreeMap<Name, Vec<Arc<fairway_api::core::EndpointSlice>>>>,
}

/// Says what a snapshot means. Total and deterministic; a fault in one object's path becomes that
/// object's verdict.
#[must_use]
pub fn translate(
    snapshot: &Snapshot,
    settings: &Settings,
    held: &Held,
    previous: Option<&Plan>,
) -> Plan {
    let memo = previous.map(|plan| &plan.memo).filter(|memo| memo.settings == *settings);
    let mut keyring = Keyring::new(snapshot, memo.map(|memo| &memo.keys));
    let mut staged = stage(snapshot, settings, held, &mut keyring);
    let listeners = std::mem::take(&mut staged.stage);
    let policies = tls::stage(snapshot, &mut keyring);
    let ground = Ground {
        snapshot,
        settings,
        stage: shared(listeners, memo.map(|memo| &memo.stage)),
        tls: shared(policies, memo.map(|memo| &memo.tls)),
        services_unchanged: memo
            .is_some_and(|memo| Arc::ptr_eq(&memo.services, &snapshot.services)),
    };
    let kept = memo.filter(|memo| is_same_ground(memo, &ground));
    let outcomes = lower_all(&ground, kept.map_or(&[][..], |memo| &memo.outcomes));
    let settled = settled(&ground, &outcomes);
    let all = settled.as_deref().unwrap_or(&outcomes);
    let model = model(&ground, &mut staged, all, previous.filter(|_| memo.is_some()));
    let addresses = staged.addresses.iter().map(|(gateway, allocation)| {
        let all = allocation.addresses.iter().chain(&allocation.wanted);
        (gateway.clone(), all.copied().collect())
    });
    let addresses = addresses.collect();
    let claims = std::mem::take(&mut staged.claims);
    let verdicts = verdicts(&ground, staged, all);
    let (keys, wanted) = keyring.finish();
    let memo = Memo {
        settings: settings.clone(),
        stage: ground.stage,
        tls: ground.tls,
        keys,
        outcomes,
        settled,
        grants: Arc::clone(&snapshot.reference_grants),
        namespaces: Arc::clone(&snapshot.namespaces),
        ingress_classes: Arc::clone(&snapshot.ingress_classes),
        services: Arc::clone(&snapshot.services),
        slices: Arc::clone(&snapshot.slices_of),
    };
    Plan { model, verdicts, addresses, claims, wanted, memo }
}

/// Takes the value of the plan before where it is the same, so that what stands on it is known to be
/// the same by the pointer.
fn shared<T: PartialEq>(value: T, before: Option<&Arc<T>>) -> Arc<T> {
    match before {
        Some(before) if **before == value => Arc::clone(before),
        Some(_) | None => Arc::new(value),
    }
}

/// Gives the outcomes as they are beside each other, where they differ from what each is alone.
fn settled(ground: &Ground<'_>, outcomes: &[Arc<RouteOutcome>]) -> Option<Vec<Arc<RouteOutcome>>> {
    let changed = settle(ground, outcomes);
    if changed.is_empty() {
        return None;
    }
    let mut settled = outcomes.to_vec();
    for (index, outcome) in changed {
        settled[index] = outcome;
    }
    Some(settled)
}

fn is_same_ground(memo: &Memo, ground: &Ground<'_>) -> bool {
    Arc::ptr_eq(&memo.stage, &ground.stage)
        && Arc::ptr_eq(&memo.tls, &ground.tls)
        && Arc::ptr_eq(&memo.grants, &ground.snapshot.reference_grants)
        && Arc::ptr_eq(&memo.namespaces, &ground.snapshot.namespaces)
        && Arc::ptr_eq(&memo.ingress_classes, &ground.snapshot.ingress_classes)
}

fn model(
    ground: &Ground<'_>,
    staged: &mut Staged,
    outcomes: &[Arc<RouteOutcome>],
    previous: Option<&Plan>,
) -> Model {
    let clusters = all_clusters(outcomes, previous);
    let routes = outcomes.iter().flat_map(|outcome| &outcome.routes);
    let mut secrets = std::mem::take(&mut staged.secrets);
    for tls in clusters.values().filter_map(|cluster| cluster.tls.as_ref()) {
        let Authorities::Bundles(bundles) = &tls.authorities else { continue };
        for id in bundles {
            if let Some(secret) = ground.tls.secrets.get(id) {
                secrets.insert(id.clone(), Arc::clone(secret));
            }
        }
    }
    Model {
        gateways: std::mem::take(&mut staged.gateways),
        listeners: std::mem::take(&mut staged.listeners),
        routes: routes.map(|(id, route)| (id.clone(), Arc::clone(route))).collect(),
        endpoints: all_endpoints(ground, &clusters, previous),
        clusters,
        secrets,
    }
}

/// Gives the clusters that routes use. They are the same as before if each route uses the same as before,
/// which is cheaper to see than 10,000 Ids are to sort.
fn all_clusters(
    outcomes: &[Arc<RouteOutcome>],
    previous: Option<&Plan>,
) -> BTreeMap<ClusterId, Arc<Cluster>> {
    if let Some(plan) = previous {
        let before = plan.memo.settled.as_ref().unwrap_or(&plan.memo.outcomes);
        let mut pairs = before.iter().zip(outcomes);
        let same = pairs.all(|(a, b)| Arc::ptr_eq(a, b) || a.clusters == b.clusters);
        if same && before.len() == outcomes.len() {
            return plan.model.clusters.clone();
        }
    }
    let mut clusters: BTreeMap<ClusterId, Arc<Cluster>> = BTreeMap::new();
    for (id, cluster) in outcomes.iter().flat_map(|outcome| &outcome.clusters) {
        if !clusters.contains_key(id) {
            clusters.insert(id.clone(), Arc::clone(cluster));
        }
    }
    clusters
}

fn all_endpoints(
    ground: &Ground<'_>,
    clusters: &BTreeMap<ClusterId, Arc<Cluster>>,
    previous: Option<&Plan>,
) -> BTreeMap<ClusterId, Arc<Endpoints>> {
    let snapshot = ground.snapshot;
    let kept = previous.filter(|plan| {
        ground.services_unchanged && Arc::ptr_eq(&plan.memo.slices, &snapshot.slices_of)
    });
    let one = |(id, cluster): (&ClusterId, &Arc<Cluster>)| {
        let known = kept.and_then(|plan| plan.model.endpoints.get(id)).map(Arc::clone);
        let found =
            known.unwrap_or_else(|| Arc::new(endpoints(cluster, snapshot, ground.settings)));
        (id.clone(), found)
    };
    clusters.iter().map(one).collect()
}

fn verdicts(ground: &Ground<'_>, staged: Staged, outcomes: &[Arc<RouteOutcome>]) -> Verdicts {
    let Staged { drafts, verdicts: mut all, addresses, .. } = staged;
    let mut counts = vec![0_i32; ground.stage.points.len()];
    let routes = outcomes.iter().filter(|outcome| outcome.key.kind != Kind::Ingress);
    for point in routes.flat_map(|outcome| &outcome.counted) {
        counts[*point] += 1;
    }
    for Draft { key, mut said, points } in drafts {
        for (listener, point) in said.listeners.iter_mut().zip(points) {
            listener.attached_routes = counts[point];
        }
        all.insert(key, Arc::new(said));
    }
    for (name, said) in &ground.tls.said {
        let mut said = (**said).clone();
        let ancestor = |parent: &ParentKey| ParentVerdicts {
            parent: reference(parent),
            conditions: said.conditions.clone(),
        };
        said.parents = ancestors(ground, name, outcomes).iter().map(ancestor).collect();
        all.insert(tls::key(name), Arc::new(said));
    }
    all.extend(telemetry(ground));
    let routes = outcomes.iter().filter_map(|outcome| {
        let mut said = Arc::clone(outcome.said.as_ref()?);
        if outcome.key.kind == Kind::Ingress {
            let roots = roots(ground, outcome);
            let gateways = roots.iter().filter_map(|root| ground.stage.parents.get(root));
            let found = gateways.filter_map(|parent| addresses.get(&parent.gateway));
            let found: BTreeSet<IpAddr> = found.flat_map(|a| a.addresses.iter().copied()).collect();
            Arc::make_mut(&mut said).facts.addresses = found.into_iter().collect();
        }
        Some((outcome.key.clone(), said))
    });
    // Collected at once, since inserting one by one would search the map for each.
    let mut routes: Verdicts = routes.collect();
    routes.append(&mut all);
    routes
}

/// Gives the Gateways that an object's listeners belong to.
fn roots(ground: &Ground<'_>, outcome: &RouteOutcome) -> BTreeSet<ParentKey> {
    outcome.counted.iter().map(|point| ground.stage.points[*point].root.clone()).collect()
}

/// Refuses what policies for telemetry ask of our Gateways (GEP-4768, experimental): what has no effect is not left
/// unsaid. Policies for others' Gateways are theirs to judge.
fn telemetry<'a>(
    ground: &'a Ground<'_>,
) -> impl Iterator<Item = (ObjectKey, Arc<ObjectVerdicts>)> + 'a {
    ground.snapshot.telemetry_policies.iter().filter_map(|(name, policy)| {
        let gateway = (Kind::Gateway.group(), Kind::Gateway.name());
        let targets = policy.spec.target_refs.iter();
        let targets =
            targets.filter(|target| (target.group.as_str(), target.kind.as_str()) == gateway);
        let targets = targets.map(|target| ParentKey {
            kind: ParentKind::Gateway,
            name: Name::new(Arc::clone(&name.namespace), target.name.as_str()),
        });
        let ours: BTreeSet<ParentKey> =
            targets.filter(|key| ground.stage.parents.contains_key(key)).collect();
        let mut conditions = Conditions::default();
        let message = "tracing by XTelemetryPolicy is not supported: it has no effect; remove it";
        conditions.say(Reason::UnsupportedValue, message);
        let one = |key| ParentVerdicts { parent: reference(key), conditions: conditions.clone() };
        let parents: Vec<ParentVerdicts> = ours.iter().take(MAX_ANCESTORS).map(one).collect();
        let said = ObjectVerdicts {
            generation: policy.metadata.generation,
            parents,
            conditions: conditions.clone(),
            ..ObjectVerdicts::default()
        };
        let key = ObjectKey { kind: Kind::XTelemetryPolicy, name: name.clone() };
        (!ours.is_empty()).then(|| (key, Arc::new(said)))
    })
}

/// How many ancestors a policy's status holds (`PolicyStatus.ancestors`).
const MAX_ANCESTORS: usize = 16;

/// Gives the Gateways whose routes use what a policy is about.
fn ancestors(ground: &Ground<'_>, policy: &Name, outcomes: &[Arc<RouteOutcome>]) -> Vec<ParentKey> {
    let users = outcomes.iter().filter(|outcome| outcome.policies.contains(policy));
    let gateways: BTreeSet<ParentKey> = users.flat_map(|outcome| roots(ground, outcome)).collect();
    gateways.into_iter().take(MAX_ANCESTORS).collect()
}

fn reference(parent: &ParentKey) -> ParentReference {
    ParentReference {
        group: Some(parent.kind.group().to_owned()),
        kind: Some(parent.kind.kind().name().to_owned()),
        namespace: Some(parent.name.namespace.as_ref().to_owned()),
        name: parent.name.name.as_ref().to_owned(),
        ..ParentReference::default()
    }
}
