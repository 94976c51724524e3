//! What holds for any set of objects, valid or not.

use fairway_api::AnyObject;
use fairway_api::kind::decode;
use fairway_api::reference::ParentReference;
use fairway_model::delta::{apply, diff};
use fairway_model::route::Route;
use fairway_model::{RouteId, wire};
use fairway_translate::address::Claiming;
use fairway_translate::object::slug;
use fairway_translate::status::{ListenerOutcome, Status, current};
use fairway_translate::verdict::{Condition, Conditions, Reason};
use fairway_translate::{Held, Kind, Name, ObjectKey, Outcomes, Plan, Settings, Snapshot};
use fairway_translate::{render, translate};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

use super::case::key;
use super::world::{object, world};

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn plan(objects: &[AnyObject]) -> Plan {
    next(&Snapshot::new(objects.iter().cloned()), None)
}

fn next(snapshot: &Snapshot, previous: Option<&Plan>) -> Plan {
    translate(snapshot, &Settings::for_files(), &Held::new(), previous)
}

fn same(one: &Plan, other: &Plan) -> Result<(), TestCaseError> {
    prop_assert_eq!(&one.verdicts, &other.verdicts);
    prop_assert_eq!(&one.addresses, &other.addresses);
    prop_assert_eq!(&one.wanted, &other.wanted);
    prop_assert_eq!(&one.model, &other.model);
    prop_assert!(wire::encode(&one.model) == wire::encode(&other.model), "the bytes differ");
    Ok(())
}

fn shuffled() -> impl Strategy<Value = (Vec<AnyObject>, Vec<AnyObject>)> {
    world().prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle()))
}

proptest! {
    #![proptest_config(config())]

    /// Total and deterministic: any order of the objects gives the same bytes, and a model without loose
    /// ends that survives being written and read.
    #[test]
    fn the_order_of_objects_does_not_matter((objects, shuffled) in shuffled()) {
        let plan = plan(&objects);
        same(&plan, &self::plan(&shuffled))?;
        prop_assert!(plan.model.check().is_ok(), "{:?}", plan.model.check());
        prop_assert_eq!(wire::decode(&wire::encode(&plan.model)).unwrap(), plan.model);
    }

    /// Answered: each parent that is ours, as often as it is named and in order, with one `Accepted` and
    /// one `ResolvedRefs`.
    #[test]
    fn every_parent_of_ours_is_answered_once(objects in world()) {
        let plan = plan(&objects);
        for object in &objects {
            let Some(parents) = parents(object) else { continue };
            let key = key(object);
            let ours = |parent: &&ParentReference| is_ours(&objects, &plan, &key, parent);
            let expected: Vec<&ParentReference> = parents.iter().filter(ours).collect();
            let said = plan.verdicts.get(&key).map_or(&[][..], |said| &said.parents);
            let answered: Vec<&ParentReference> = said.iter().map(|said| &said.parent).collect();
            prop_assert_eq!(answered, expected, "{}", key);
            for answer in said {
                for condition in [Condition::Accepted, Condition::ResolvedRefs] {
                    let about = |reason: Reason| reason.condition().0 == condition;
                    let count = answer.conditions.iter().filter(|v| about(v.reason)).count();
                    prop_assert_eq!(count, 1);
                }
            }
        }
    }

    /// Honest: a rule that is missing in the model, though the listeners that take the route are there,
    /// has a verdict that says so.
    #[test]
    fn what_is_not_served_is_said(objects in world()) {
        let plan = plan(&objects);
        for object in &objects {
            let key = key(object);
            let Some(said) = plan.verdicts.get(&key) else { continue };
            let silent = |conditions: &Conditions| {
                conditions.holds(Condition::Accepted) && !conditions.holds(Condition::PartiallyInvalid)
            };
            let served = said.parents.iter().any(|answer| {
                silent(&answer.conditions) && is_served(&plan, &key, &answer.parent)
            });
            for rule in (0..rules(object)).filter(|_| served) {
                let Name { namespace, name } = &key.name;
                let id = format!("{}/{namespace}/{name}/rule/{rule}", slug(key.kind));
                prop_assert!(plan.model.routes.contains_key(id.as_str()), "{} is missing", id);
            }
        }
    }

    /// Local: another route in one namespace changes nothing about routes in another, unless both kinds
    /// want one host.
    #[test]
    fn a_route_changes_nothing_in_another_namespace(objects in world(), another in object()) {
        let added = key(&another);
        if parents(&another).is_none() || objects.iter().any(|known| key(known) == added) {
            return Ok(());
        }
        let before = plan(&objects);
        let after = plan(&[&objects[..], &[another]].concat());
        for (key, said) in &before.verdicts {
            let route = objects.iter().any(|o| self::key(o) == *key && parents(o).is_some());
            let now = &after.verdicts[key];
            let verdicts = [said, now].into_iter().flat_map(|said| &said.parents);
            let conflict = verdicts.flat_map(|parent| parent.conditions.iter()).any(|verdict| {
                verdict.reason == Reason::RouteConflict || verdict.message.contains("cannot share")
            });
            if !route || conflict || key.name.namespace == added.name.namespace {
                continue;
            }
            prop_assert_eq!(said, now, "{}", key);
            prop_assert_eq!(routes(&before, key), routes(&after, key), "{}", key);
        }
    }

    /// Stable: addresses that are held already stay, whether they have to be claimed first or not.
    #[test]
    fn held_addresses_change_nothing(objects in world(), claims in any::<bool>()) {
        let claims = if claims { Claiming::On } else { Claiming::Off };
        let settings = Settings { claims: claims.clone(), ..Settings::for_files() };
        let snapshot = Snapshot::new(objects);
        let first = translate(&snapshot, &settings, &Held::new(), None);
        let held = |plan: &Plan| -> Held { plan.addresses.clone() };
        let second = translate(&snapshot, &settings, &held(&first), None);
        prop_assert_eq!(&first.addresses, &second.addresses);
        if claims == Claiming::Off {
            same(&first, &second)?;
        }
        same(&second, &translate(&snapshot, &settings, &held(&second), None))?;
    }

    /// The previous plan is a memo and no more; and what changed between two plans leads from the one
    /// model to the other.
    #[test]
    fn a_plan_is_the_same_with_and_without_a_memo(
        objects in world(),
        edits in vec((vec(object(), 0..3), any::<u8>()), 1..6),
    ) {
        let mut snapshot = Snapshot::new(objects.iter().cloned());
        let mut keys: Vec<ObjectKey> = objects.iter().map(key).collect();
        let mut before = next(&snapshot, None);
        for (put, remove) in edits {
            let gone = keys.get(usize::from(remove) % (keys.len() + 3)).cloned();
            keys.extend(put.iter().map(key));
            snapshot = snapshot.next(put, gone);
            let after = next(&snapshot, Some(&before));
            same(&after, &next(&snapshot, None))?;
            let mut model = before.model.clone();
            apply(&mut model, diff(&before.model, &after.model));
            prop_assert_eq!(&model, &after.model);
            before = after;
        }
    }

    /// An HTTPRoute's spec pasted into a TrafficRoute means the same.
    #[test]
    fn a_pasted_http_route_means_the_same(objects in world()) {
        let alone = objects.iter().filter(|object| match object {
            AnyObject::TrafficRoute(_) | AnyObject::GrpcRoute(_) => false,
            AnyObject::ReferenceGrant(grant) => {
                grant.spec.from.iter().all(|from| from.kind != Kind::TrafficRoute.name())
            }
            _ => true,
        });
        let written: Vec<Value> = alone.map(|o| without_kinds(o.to_value().unwrap())).collect();
        let http: Vec<AnyObject> = written.iter().cloned().map(|v| decode(v).unwrap()).collect();
        let traffic: Vec<AnyObject> =
            written.into_iter().map(|value| decode(pasted(value)).unwrap()).collect();
        let model = |objects: &[AnyObject]| {
            let text = String::from_utf8(wire::encode(&plan(objects).model)).unwrap();
            let text = text.replace("traffic-route/", "http-route/").replace("TrafficRoute", "HTTPRoute");
            serde_json::from_str::<Value>(&text).unwrap()
        };
        prop_assert_eq!(model(&http), model(&traffic));
    }

    /// Rendered again, times included, nothing differs; entries of others stay as they are.
    #[test]
    fn statuses_settle_at_once(objects in world(), bound in any::<bool>()) {
        let snapshot = Snapshot::new(objects);
        let plan = next(&snapshot, None);
        let mut outcomes = Outcomes::default();
        let listeners = plan.model.listeners.keys().filter(|_| bound);
        outcomes.listeners.extend(listeners.map(|id| (id.clone(), ListenerOutcome::Bound)));
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let settings = Settings::for_files();
        let carried = current(&snapshot);
        let first = render(&plan, &settings, &outcomes, &carried, at(2_000_000_000));
        let second = render(&plan, &settings, &outcomes, &first, at(2_000_000_001));
        // What was taken back once is not spoken of again.
        let spoken = first.iter().filter(|(key, _)| plan.verdicts.contains_key(*key));
        prop_assert!(spoken.eq(second.iter()), "{:?} became {:?}", first, second);
        for (key, status) in &first {
            let before = carried.get(key).map(|status| of_others(status)).unwrap_or_default();
            prop_assert_eq!(of_others(status), before, "{}", key);
        }
    }
}

/// Gives the parents of a route; `None` for what is no route.
fn parents(object: &AnyObject) -> Option<&[ParentReference]> {
    match object {
        AnyObject::HttpRoute(route) => Some(&route.spec.parent_refs),
        AnyObject::GrpcRoute(route) => Some(&route.spec.parent_refs),
        AnyObject::TlsRoute(route) => Some(&route.spec.parent_refs),
        AnyObject::TcpRoute(route) => Some(&route.spec.parent_refs),
        AnyObject::UdpRoute(route) => Some(&route.spec.parent_refs),
        AnyObject::TrafficRoute(route) => Some(&route.spec.parent_refs),
        _ => None,
    }
}

/// Gives how many rules a route has.
fn rules(object: &AnyObject) -> usize {
    match object {
        AnyObject::HttpRoute(route) => route.spec.rules.len(),
        AnyObject::GrpcRoute(route) => route.spec.rules.len(),
        AnyObject::TlsRoute(route) => route.spec.rules.len(),
        AnyObject::TcpRoute(route) => route.spec.rules.len(),
        AnyObject::UdpRoute(route) => route.spec.rules.len(),
        AnyObject::TrafficRoute(route) => route.spec.rules.len(),
        _ => 0,
    }
}

/// Names the object behind a parent; `None` for a kind that is no parent of ours.
fn parent_key(route: &ObjectKey, parent: &ParentReference) -> Option<ObjectKey> {
    let kind = Kind::in_group(parent.group(), parent.kind());
    let kind = kind
        .filter(|kind| matches!(kind, Kind::Gateway | Kind::FairwayGateway | Kind::ListenerSet))?;
    let namespace = parent.namespace.as_deref().unwrap_or(&route.name.namespace);
    Some(ObjectKey { kind, name: Name::new(namespace, parent.name.as_str()) })
}

/// Says whether a parent is ours to answer for: it is ours, or missing, as there is no other controller.
fn is_ours(
    objects: &[AnyObject],
    plan: &Plan,
    route: &ObjectKey,
    parent: &ParentReference,
) -> bool {
    let Some(key) = parent_key(route, parent) else { return false };
    if !objects.iter().any(|object| self::key(object) == key) {
        return true;
    }
    // Of a Gateway without a class, and of what hangs on no Gateway, something is said; ours it is not.
    let classless = |reason| reason == Reason::UnknownClass;
    let orphan = |reason| key.kind == Kind::ListenerSet && reason == Reason::ParentNotAccepted;
    plan.verdicts.get(&key).is_some_and(|said| {
        let reasons = || said.conditions.iter().map(|verdict| verdict.reason);
        !reasons().any(classless) && (!said.listeners.is_empty() || !reasons().any(orphan))
    })
}

/// Says whether all listeners of a parent are served.
fn is_served(plan: &Plan, route: &ObjectKey, parent: &ParentReference) -> bool {
    let said = parent_key(route, parent).and_then(|key| plan.verdicts.get(&key));
    said.is_some_and(|said| said.listeners.iter().all(|listener| listener.id.is_some()))
}

fn routes<'a>(plan: &'a Plan, key: &ObjectKey) -> Vec<(&'a RouteId, &'a Route)> {
    let prefix = format!("{}/{}/{}/", slug(key.kind), key.name.namespace, key.name.name);
    let all = plan.model.routes.iter().map(|(id, route)| (id, &**route));
    all.filter(|(id, _)| id.as_str().starts_with(&prefix)).collect()
}

/// Gives the entries of other controllers, as text.
fn of_others(status: &Status) -> Vec<String> {
    let Status::Route(status) = status else { return Vec::new() };
    let ours = Settings::CONTROLLER_NAME;
    let others = status.parents.iter().filter(|parent| parent.controller_name != ours);
    others.map(|parent| format!("{parent:?}")).collect()
}

/// Takes away what tells the kinds of route apart at listeners.
fn without_kinds(mut value: Value) -> Value {
    let listeners = value["spec"]["listeners"].as_array_mut();
    for listener in listeners.into_iter().flatten() {
        if let Some(allowed) = listener["allowedRoutes"].as_object_mut() {
            allowed.remove("kinds");
        }
    }
    value
}

/// Turns an HTTPRoute into a TrafficRoute of the same spec, and lets a grant for the one be for the other.
fn pasted(mut value: Value) -> Value {
    if value["kind"] == "HTTPRoute" {
        value["kind"] = "TrafficRoute".into();
        value["apiVersion"] = "fairway.dev/v1alpha1".into();
    }
    if value["kind"] == "ReferenceGrant" {
        for from in value["spec"]["from"].as_array_mut().into_iter().flatten() {
            if from["kind"] == "HTTPRoute" {
                *from = json!({
                    "group": "fairway.dev", "kind": "TrafficRoute", "namespace": from["namespace"],
                });
            }
        }
    }
    value
}
