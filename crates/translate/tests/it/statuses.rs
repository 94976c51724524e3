//! Golden cases about statuses: a document `kind: Outcomes` says what data planes answered, and the
//! expectation is then the statuses that follow from it and from those that the objects carry already.

use fairway_model::{ListenerId, RouteId};
use fairway_translate::object::ObjectKey;
use fairway_translate::status::{
    FleetOutcome, ListenerOutcome, Live, Outcomes, PodOutcome, Status, Statuses, current, render,
};
use fairway_translate::{Kind, Name, Plan, Snapshot};
use serde_json::{Map, Value};

use super::case::Case;
use super::print::entry;

/// When a case's statuses are written.
const NOW: &str = "2026-11-01T12:00:00Z";

/// Reads what data planes answered: `bound` listeners, `failed` ones with the reason, `refused` entries
/// of the model with the reason, and `live` objects with generation and milliseconds.
pub(crate) fn outcomes(value: &Value) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let pairs = |value: &Value| value.as_object().unwrap().clone().into_iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (field, value) in pairs(value) {
        match field.as_str() {
            "kind" => {}
            "bound" => {
                let ids = value.as_array().unwrap().iter().map(|id| ListenerId::new(text(id)));
                outcomes.listeners.extend(ids.map(|id| (id, ListenerOutcome::Bound)));
            }
            "failed" => {
                let failed = |why: &Value| ListenerOutcome::Failed(text(why).into());
                let all = pairs(&value).map(|(id, why)| (ListenerId::new(id), failed(&why)));
                outcomes.listeners.extend(all);
            }
            "refused" => {
                let all = pairs(&value).map(|(id, why)| (RouteId::new(id), text(&why).into()));
                outcomes.refused.extend(all);
            }
            "live" => {
                let one = |live: Value| Live {
                    generation: live["generation"].as_i64().unwrap(),
                    milliseconds: live["milliseconds"].as_u64().unwrap(),
                };
                outcomes.live.extend(pairs(&value).map(|(object, live)| (key(&object), one(live))));
            }
            "fleets" => {
                let all = pairs(&value).map(|(object, fleet)| (key(&object), self::fleet(&fleet)));
                outcomes.fleets.extend(all);
            }
            other => panic!("Outcomes has no field {other}"),
        }
    }
    outcomes
}

/// Reads how many proxies there are: `ready` of `desired`, and what stands for a pod in `pods`.
fn fleet(value: &Value) -> FleetOutcome {
    let number = |field: &str| value[field].as_u64().map_or(0, |n| u32::try_from(n).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pod = |pod: &Value| PodOutcome {
        ready: pod["ready"].as_bool().unwrap_or_default(),
        name: text(&pod["name"]),
        reason: text(&pod["reason"]),
        message: text(&pod["message"]),
        restarts: 0,
    };
    FleetOutcome {
        desired: number("desired"),
        ready: number("ready"),
        updated: number("ready"),
        paused: value["paused"].as_bool().unwrap_or_default(),
        trouble: value["trouble"].as_str().map(Into::into),
        pods: value["pods"].as_array().into_iter().flatten().map(pod).collect(),
    }
}

/// Reads `HTTPRoute shop/cart`.
pub(crate) fn key(text: &str) -> ObjectKey {
    let (kind, name) = text.split_once(' ').unwrap();
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let own = kind == "Gateway.fairway.dev";
    let found =
        |known: &&Kind| if own { **known == Kind::FairwayGateway } else { known.name() == kind };
    let kind = Kind::ALL.iter().find(found);
    let kind = *kind.unwrap_or_else(|| panic!("{text} is of no kind that is read"));
    ObjectKey { kind, name: Name::new(namespace, name) }
}

/// Gives the statuses of a case that has outcomes.
pub(crate) fn statuses(case: &Case, plan: &Plan) -> Option<Statuses> {
    let outcomes = case.outcomes.as_ref()?;
    let snapshot = Snapshot::new(case.objects.iter().cloned());
    let now = NOW.parse().unwrap();
    Some(render(plan, &case.settings, outcomes, &current(&snapshot), now))
}

/// Gives the text below the mark of such a case.
pub(crate) fn shown(statuses: &Statuses) -> String {
    let mut text = String::new();
    let all = statuses.iter().filter(|(key, _)| key.kind != Kind::GatewayClass);
    let one = |(key, status): (&ObjectKey, &std::sync::Arc<Status>)| {
        let mut value = status.to_value().unwrap();
        shorten(&mut value);
        (key.to_string(), value)
    };
    let all: Map<String, Value> = all.map(one).collect();
    entry(&mut text, 0, "statuses", &Value::Object(all));
    text
}

/// A condition is a line: status, reason, message, generation, and its time unless it is now.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(shorten);
            if let Some(Value::Array(conditions)) = fields.get("conditions") {
                let lines = conditions.iter().map(line).collect();
                fields.insert("conditions".to_owned(), Value::Object(lines));
            }
            fields.remove("supportedKinds");
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn line(condition: &Value) -> (String, Value) {
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    let mut line = format!("{} {}", text("status"), text("reason"));
    if !text("message").is_empty() {
        line = format!("{line} ({})", text("message"));
    }
    if let Some(generation) = condition["observedGeneration"].as_i64() {
        line = format!("{line}, generation {generation}");
    }
    if text("lastTransitionTime") != NOW {
        line = format!("{line}, since {}", text("lastTransitionTime"));
    }
    (text("type").to_owned(), Value::String(line))
}
