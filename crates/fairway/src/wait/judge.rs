//! Whether an object is what is waited for. Pure: an object as the API server shows it, and a condition.

use fairway_translate::Kind;
use serde_json::Value;

/// Who we are in the entries of a status.
const OURS: &str = "fairway.dev/controller";

/// How an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// What was waited for is so, and what there is to say of it.
    There(String),
    /// It is not: why, a line each.
    NotYet(Vec<String>),
}

/// Gives the conditions that can be waited for, what is meant by default first.
pub(super) const fn conditions(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::HttpRoute
        | Kind::GrpcRoute
        | Kind::TlsRoute
        | Kind::TcpRoute
        | Kind::UdpRoute
        | Kind::TrafficRoute => &["Live", "Accepted", "ResolvedRefs"],
        Kind::Gateway | Kind::FairwayGateway | Kind::ListenerSet => &["Programmed", "Accepted"],
        Kind::BackendTlsPolicy => &["Accepted", "ResolvedRefs"],
        Kind::Ingress => &["Programmed"],
        Kind::AddressPool => &["Ready"],
        Kind::GatewayClass
        | Kind::ReferenceGrant
        | Kind::XBackend
        | Kind::XBackendTrafficPolicy
        | Kind::XMesh
        | Kind::XTelemetryPolicy
        | Kind::GatewayProfile
        | Kind::AddressClaim
        | Kind::IngressClass
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Secret
        | Kind::ConfigMap
        | Kind::Namespace
        | Kind::Node => &["Accepted"],
    }
}

/// Says how an object stands. A condition of an older generation counts for nothing.
pub(super) fn judge(kind: Kind, object: &Value, wanted: &str) -> Standing {
    let status = object.get("status").unwrap_or(&Value::Null);
    if kind == Kind::Ingress {
        return ingress(status);
    }
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    let mut lines = Vec::new();
    let mut said = Vec::new();
    let subjects = subjects(status);
    if subjects.is_empty() {
        return Standing::NotYet(vec![nothing(kind)]);
    }
    for (of, conditions) in &subjects {
        let fresh: Vec<&Value> = conditions
            .iter()
            .filter(|known| {
                known.get("observedGeneration").and_then(Value::as_i64).unwrap_or(0) >= generation
            })
            .collect();
        let found = fresh.iter().find(|known| text(known, "type") == wanted);
        if let Some(known) = found.filter(|known| text(known, "status") == "True") {
            said.push(text(known, "message").to_owned());
            continue;
        }
        let bad = fresh.iter().filter(|known| text(known, "type") == wanted || is_bad(known));
        let before = lines.len();
        lines.extend(bad.map(|known| format!("{of}{}", line(known))));
        if lines.len() == before {
            let what = if conditions.is_empty() || !fresh.is_empty() {
                format!("{of}nothing is said of {wanted} yet")
            } else {
                format!("{of}what is said is of an older generation than {generation}")
            };
            lines.push(what);
        }
    }
    if lines.is_empty() {
        said.retain(|message| !message.is_empty());
        Standing::There(said.into_iter().next().unwrap_or_default())
    } else {
        Standing::NotYet(lines)
    }
}

/// Whose conditions count: those of the object, or those for each parent that is ours.
fn subjects(status: &Value) -> Vec<(String, &[Value])> {
    let of_parents = [("parents", "parentRef"), ("ancestors", "ancestorRef")];
    for (list, reference) in of_parents {
        let Some(entries) = status.get(list).and_then(Value::as_array) else { continue };
        let ours = entries.iter().filter(|entry| text(entry, "controllerName") == OURS);
        return ours
            .map(|entry| {
                let parent = entry.get(reference).unwrap_or(&Value::Null);
                (format!("for {}: ", words(parent)), list_of(entry))
            })
            .collect();
    }
    let whole = list_of(status);
    if whole.is_empty() { Vec::new() } else { vec![(String::new(), whole)] }
}

fn list_of(subject: &Value) -> &[Value] {
    subject.get("conditions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn words(parent: &Value) -> String {
    let kind = Some(text(parent, "kind")).filter(|kind| !kind.is_empty()).unwrap_or("Gateway");
    let section = text(parent, "sectionName");
    let listener = if section.is_empty() { String::new() } else { format!(", listener {section}") };
    format!("{kind} {}{listener}", text(parent, "name"))
}

fn nothing(kind: Kind) -> String {
    match conditions(kind).first() {
        Some(&"Live") => {
            "Fairway has not answered: no parentRef leads to a Gateway of Fairway's, or no controller runs"
                .to_owned()
        }
        Some(_) | None => {
            "Fairway has not answered: it is of no class of Fairway's, or no controller runs".to_owned()
        }
    }
}

/// An Ingress has no conditions: it is served where its status says.
fn ingress(status: &Value) -> Standing {
    let entries = status.pointer("/loadBalancer/ingress").and_then(Value::as_array);
    let first = entries.into_iter().flatten().find_map(|entry| {
        let address = entry.get("ip").or_else(|| entry.get("hostname"));
        address.and_then(Value::as_str)
    });
    match first {
        Some(address) => Standing::There(format!("at {address}")),
        None => Standing::NotYet(vec!["it has no address yet".to_owned()]),
    }
}

fn is_bad(condition: &Value) -> bool {
    let holds = text(condition, "status");
    match text(condition, "type") {
        "Conflicted" | "PartiallyInvalid" | "OverlappingTLSConfig" => holds == "True",
        "Accepted" | "ResolvedRefs" | "Programmed" | "Live" => holds == "False",
        _ => false,
    }
}

fn line(condition: &Value) -> String {
    let [kind, status, reason, message] =
        ["type", "status", "reason", "message"].map(|field| text(condition, field));
    let more = if message.is_empty() { String::new() } else { format!(" ({message})") };
    format!("{kind}: {status} {reason}{more}")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn condition(kind: &str, status: &str, generation: i64) -> Value {
        json!({"type": kind, "status": status, "reason": "Because", "message": "words",
               "observedGeneration": generation})
    }

    fn route(parents: &[(&str, Value)]) -> Value {
        let parents: Vec<Value> = parents
            .iter()
            .map(|(controller, conditions)| {
                json!({"parentRef": {"name": "web"}, "controllerName": controller,
                       "conditions": conditions})
            })
            .collect();
        json!({"metadata": {"generation": 3}, "status": {"parents": parents}})
    }

    fn lines(standing: Standing) -> Vec<String> {
        match standing {
            Standing::NotYet(lines) => lines,
            Standing::There(message) => vec![format!("there: {message}")],
        }
    }

    #[test]
    fn only_the_current_generation_counts() {
        let of = |generation| route(&[(OURS, json!([condition("Live", "True", generation)]))]);
        assert_eq!(judge(Kind::HttpRoute, &of(3), "Live"), Standing::There("words".to_owned()));
        let old = lines(judge(Kind::HttpRoute, &of(2), "Live"));
        assert_eq!(old, ["for Gateway web: what is said is of an older generation than 3"]);
    }

    #[test]
    fn every_parent_of_ours_and_no_other_has_to_be_so() {
        let live = json!([condition("Live", "True", 3)]);
        let refused =
            json!([condition("Accepted", "False", 3), condition("ResolvedRefs", "True", 3)]);
        let foreign = route(&[("example.com/x", refused.clone()), (OURS, live.clone())]);
        assert!(matches!(judge(Kind::HttpRoute, &foreign, "Live"), Standing::There(_)));
        let half = route(&[(OURS, live), (OURS, refused.clone())]);
        let why = lines(judge(Kind::HttpRoute, &half, "Live"));
        assert_eq!(why, ["for Gateway web: Accepted: False Because (words)"]);
        let nobody = route(&[("example.com/x", refused)]);
        assert!(lines(judge(Kind::HttpRoute, &nobody, "Live")).join("").contains("not answered"));
    }

    #[test]
    fn gateways_and_ingresses() {
        let gateway = json!({"metadata": {"generation": 1}, "status": {"conditions": [
            condition("Accepted", "True", 1), condition("Programmed", "False", 1)]}});
        assert_eq!(
            lines(judge(Kind::Gateway, &gateway, "Programmed")),
            ["Programmed: False Because (words)"]
        );
        assert!(matches!(judge(Kind::Gateway, &gateway, "Accepted"), Standing::There(_)));
        let bare = json!({"metadata": {"generation": 1}});
        assert!(matches!(judge(Kind::Gateway, &bare, "Programmed"), Standing::NotYet(_)));
        let ingress = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}});
        assert_eq!(
            judge(Kind::Ingress, &ingress, "Programmed"),
            Standing::There("at 192.0.2.7".to_owned())
        );
        assert!(matches!(judge(Kind::Ingress, &bare, "Programmed"), Standing::NotYet(_)));
    }
}
