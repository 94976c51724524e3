//! Brings the cluster to what is wanted of fleets: applies on the server's side what differs from what was
//! applied before, or what somebody has changed since; takes away what is wanted no more. Several fleets at
//! once, the objects of one in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use super::Settings;
use super::desired::{FLEET, Fleet};
use super::seen::{Place, Seen, resource, version};
use crate::FIELD_MANAGER;

/// Fleets that are worked on at once.
const AT_ONCE: usize = 8;
/// How long the API server may take for one step.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was applied.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    wanted: Value,
    /// What the API server made of it, as far as it was applied.
    became: Value,
    version: u64,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Apply an object. What is asked for may lack what is sent: how many proxies, which load decides. One that
    /// is not known to be ours is looked at first.
    Apply { place: Place, wanted: Value, sent: Value, known: bool },
    /// Write which addresses a Service has.
    Address { place: Place, status: Value },
    /// Delete an object, unless it is another one by now.
    Delete { place: Place, uid: Option<String> },
}

impl Step {
    fn place(&self) -> &Place {
        match self {
            Self::Apply { place, .. }
            | Self::Address { place, .. }
            | Self::Delete { place, .. } => place,
        }
    }
}

/// What became of a step.
#[derive(Debug)]
pub(super) enum Done {
    /// It is applied.
    Applied(Place, Applied),
    /// It is deleted, or was not there.
    Deleted(Place),
}

impl Done {
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Applied(place, _) | Self::Deleted(place) => place,
        }
    }
}

/// Steps for one fleet.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) fleet: usize,
    pub(super) steps: Vec<Step>,
}

/// What became of a job: how far it got, and what stopped it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) fleet: usize,
    pub(super) done: Vec<Done>,
    pub(super) failed: Option<Failure>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {namespace}/{name}: {message}")]
pub(super) struct Failure {
    kind: String,
    namespace: String,
    name: String,
    message: String,
    /// Whether it was refused, and not just unanswered.
    pub(super) refused: bool,
}

/// What was applied, so that the same is not applied again.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<Place, Applied>);

impl Memory {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn knows(&self, place: &Place) -> bool {
        self.0.contains_key(place)
    }

    /// Forgets fleets that are not wanted any more.
    pub(super) fn keep(&mut self, fleets: &[Fleet]) {
        let names: BTreeSet<(&str, String)> =
            fleets.iter().map(|fleet| (&*fleet.key.name.namespace, fleet.name())).collect();
        self.0.retain(|(_, namespace, name), _| names.contains(&(&**namespace, name.clone())));
    }

    pub(super) fn take(&mut self, done: Done) {
        match done {
            Done::Applied(place, applied) => drop(self.0.insert(place, applied)),
            Done::Deleted(place) => drop(self.0.remove(&place)),
        }
    }

    /// Says what is to be done for a fleet.
    pub(super) fn steps(&self, fleet: &Fleet, settings: &Settings, seen: &Seen) -> Vec<Step> {
        if fleet.spec.paused {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let mut kinds = BTreeSet::new();
        for wanted in fleet.desired(settings) {
            let place = place(&wanted);
            kinds.insert(place.0.clone());
            let service = place.0 == "Service";
            let again = self.is_due(&place, &wanted, seen);
            if again {
                let sent = sent(&wanted, fleet, seen);
                let known = seen.objects.contains_key(&place);
                steps.push(Step::Apply { place: place.clone(), wanted, sent, known });
            }
            if service {
                let status = addresses(fleet);
                let place = status_of(&place);
                if again || self.0.get(&place).is_none_or(|applied| applied.wanted != status) {
                    steps.push(Step::Address { place, status });
                }
            }
        }
        let (namespace, name) = (&*fleet.key.name.namespace, fleet.name());
        let scaling = "HorizontalPodAutoscaler";
        if !kinds.contains(scaling)
            && let Some(object) = seen.get(scaling, namespace, &name)
            && object.labels().get(FLEET).is_some_and(|label| *label == name)
        {
            let place = (scaling.to_owned(), namespace.to_owned(), name);
            steps.push(Step::Delete { place, uid: object.metadata.uid.clone() });
        }
        steps
    }

    fn is_due(&self, place: &Place, wanted: &Value, seen: &Seen) -> bool {
        let Some(applied) = self.0.get(place) else { return true };
        if applied.wanted != *wanted || seen.gone.get(place).is_some_and(|v| *v > applied.version) {
            return true;
        }
        // What was seen before it was applied tells nothing.
        let newer = seen.objects.get(place).filter(|live| version(live) > applied.version);
        newer.is_some_and(|live| project(&full(live), wanted) != applied.became)
    }
}

/// Says what is to be taken away of Gateways that another controller serves now.
pub(super) fn leave(left: &BTreeSet<String>, seen: &Seen) -> Vec<Step> {
    let is_left = |object: &DynamicObject| {
        object
            .owner_references()
            .iter()
            .any(|owner| owner.controller == Some(true) && left.contains(&owner.uid))
    };
    let all = seen.objects.iter().filter(|(place, object)| place.0 != "Pod" && is_left(object));
    all.map(|(place, object)| Step::Delete {
        place: place.clone(),
        uid: object.metadata.uid.clone(),
    })
    .collect()
}

/// Does all jobs.
pub(super) async fn work(client: &Client, jobs: Vec<Job>) -> Vec<Outcome> {
    let all = jobs.into_iter().map(|job| one(client.clone(), job));
    futures::stream::iter(all).buffer_unordered(AT_ONCE).collect().await
}

async fn one(client: Client, job: Job) -> Outcome {
    let mut outcome = Outcome { fleet: job.fleet, done: Vec::new(), failed: None };
    // A Service that could not be applied may be somebody else's: its status is not ours to write.
    let mut not_applied = BTreeSet::new();
    for step in job.steps {
        let place = step.place().clone();
        if not_applied.contains(&place) {
            continue;
        }
        let answer = tokio::time::timeout(PATIENCE, take(&client, step)).await;
        let answer = answer.unwrap_or_else(|_elapsed| {
            Err(failed(&place, "the API server does not answer".to_owned(), false))
        });
        match answer {
            Ok(done) => outcome.done.push(done),
            // What one object lacks does not keep the others from being right.
            Err(failure) => {
                not_applied.insert(status_of(&place));
                outcome.failed.get_or_insert(failure);
            }
        }
    }
    outcome
}

async fn take(client: &Client, step: Step) -> Result<Done, Failure> {
    let place = step.place().clone();
    let failed = |error| failure(&place, error);
    let kind = place.0.strip_suffix(STATUS).unwrap_or(&place.0);
    let resource = resource(kind).expect("fleets are made of kinds that are known");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &place.1, &resource);
    match step {
        Step::Apply { wanted, sent, known, .. } => {
            if !known && let Some(found) = api.get_opt(&place.2).await.map_err(failed)? {
                is_ours(&place, &found)?;
            }
            let apply = PatchParams::apply(FIELD_MANAGER).force();
            let live = api.patch(&place.2, &apply, &Patch::Apply(&sent)).await.map_err(failed)?;
            let became = project(&full(&live), &wanted);
            Ok(Done::Applied(place, Applied { wanted, became, version: version(&live) }))
        }
        Step::Address { status, .. } => {
            let manager = Some(FIELD_MANAGER.to_owned());
            let merge = PatchParams { field_manager: manager, ..PatchParams::default() };
            let patch = Patch::Merge(json!({"status": &status}));
            let live = api.patch_status(&place.2, &merge, &patch).await.map_err(failed)?;
            let version = version(&live);
            Ok(Done::Applied(place, Applied { wanted: status, became: Value::Null, version }))
        }
        Step::Delete { uid, .. } => {
            let preconditions = Some(Preconditions { uid, resource_version: None });
            let delete = DeleteParams { preconditions, ..DeleteParams::background() };
            match api.delete(&place.2, &delete).await {
                Ok(_) => {}
                // Gone already, or another one of that name by now.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(failed(error)),
            }
            Ok(Done::Deleted(place))
        }
    }
}

/// Somebody's object of the same name is not taken from them.
fn is_ours(place: &Place, found: &DynamicObject) -> Result<(), Failure> {
    match found.labels().get(FLEET) {
        Some(_) => Ok(()),
        None => {
            let message = format!(
                "it exists, and Fairway has not made it: rename it, or label it {FLEET}={} to hand it over",
                place.2
            );
            Err(failed(place, message, true))
        }
    }
}

fn failure(place: &Place, error: kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => {
            let refused = (400..500).contains(&status.code) && status.code != 409;
            failed(place, status.message.clone(), refused)
        }
        error => failed(place, error.to_string(), false),
    }
}

fn failed((kind, namespace, name): &Place, message: String, refused: bool) -> Failure {
    Failure {
        kind: kind.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
        message,
        refused,
    }
}

/// Marks the place of a status beside that of its object.
const STATUS: &str = "/status";

fn status_of((kind, namespace, name): &Place) -> Place {
    (format!("{kind}{STATUS}"), namespace.clone(), name.clone())
}

fn place(object: &Value) -> Place {
    let text = |pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// Gives what is sent for an object. A Deployment that load scales keeps the number it has: one without a
/// number would fall back to one proxy.
fn sent(wanted: &Value, fleet: &Fleet, seen: &Seen) -> Value {
    let mut sent = wanted.clone();
    let Some((fewest, most)) = fleet.range().filter(|_| wanted["kind"] == "Deployment") else {
        return sent;
    };
    let live = seen.get("Deployment", &fleet.key.name.namespace, &fleet.name());
    let live = live.and_then(|live| live.data.pointer("/spec/replicas")).and_then(Value::as_i64);
    let live = live.unwrap_or_default().clamp(i64::from(fewest), i64::from(most));
    sent["spec"]["replicas"] = json!(live);
    sent
}

fn full(object: &DynamicObject) -> Value {
    serde_json::to_value(object).expect("an object is plain data")
}

/// Gives the part of an object that has a counterpart in another.
fn project(live: &Value, shape: &Value) -> Value {
    match (live, shape) {
        (Value::Object(live), Value::Object(shape)) => {
            let field = |(name, shape): (&String, &Value)| {
                let live = live.get(name)?;
                Some((name.clone(), project(live, shape)))
            };
            Value::Object(shape.iter().filter_map(field).collect::<Map<_, _>>())
        }
        (Value::Array(live), Value::Array(shape)) if live.len() == shape.len() => {
            live.iter().zip(shape).map(|(live, shape)| project(live, shape)).collect()
        }
        _ => live.clone(),
    }
}

fn addresses(fleet: &Fleet) -> Value {
    let ingress: Vec<Value> =
        fleet.addresses.iter().map(|ip| json!({"ip": ip, "ipMode": "VIP"})).collect();
    json!({"loadBalancer": {"ingress": ingress}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(version: &str, image: &str) -> DynamicObject {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": "shop", "name": "web", "resourceVersion": version},
            "spec": {"image": image, "more": 1},
        });
        serde_json::from_value(object).expect("an object")
    }

    #[test]
    fn what_others_change_or_delete_is_due_and_what_we_did_is_not() {
        let wanted = json!({
            "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"image": "a"},
        });
        let at = place(&wanted);
        let became = project(&full(&live("5", "a")), &wanted);
        let mut memory = Memory::default();
        let mut seen = Seen::default();
        assert!(memory.is_due(&at, &wanted, &seen));
        let applied = Applied { wanted: wanted.clone(), became, version: 5 };
        memory.take(Done::Applied(at.clone(), applied));
        assert!(!memory.is_due(&at, &wanted, &seen));
        for (version, image, due) in [("4", "old", false), ("6", "a", false), ("7", "b", true)] {
            seen.objects.insert(at.clone(), live(version, image).into());
            assert_eq!(memory.is_due(&at, &wanted, &seen), due, "{version}");
        }
        seen.objects.clear();
        for (version, due) in [(4, false), (8, true)] {
            seen.gone.insert(at.clone(), version);
            assert_eq!(memory.is_due(&at, &wanted, &seen), due, "{version}");
        }
        let mut another = wanted;
        another["spec"]["image"] = json!("c");
        seen.gone.clear();
        assert!(memory.is_due(&at, &another, &seen));
    }

    #[test]
    fn only_what_was_asked_for_is_compared() {
        let shape = json!({"spec": {"cpu": "1000m", "list": [{"a": 1}], "gone": 1}});
        let live =
            json!({"spec": {"cpu": "1", "list": [{"a": 2, "b": 3}], "more": 1}, "status": 1});
        assert_eq!(project(&live, &shape), json!({"spec": {"cpu": "1", "list": [{"a": 2}]}}));
        let longer = json!({"spec": {"list": [{"a": 2}, {"b": 3}]}});
        assert_eq!(project(&longer, &shape), longer);
    }
}
