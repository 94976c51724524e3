//! Checks across the fields of an Ingress, as the API server's own validation has them.

use serde_json::Value;

use crate::sources::admission::finding::Finding;
use crate::sources::field::FieldPath;

/// Sequences that the API server refuses in an Ingress path, and ends that it refuses.
const BAD_PARTS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS: [&str; 2] = ["/..", "/."];

pub(super) fn check(value: &Value, findings: &mut Vec<Finding>) {
    let Some(spec) = value.get("spec") else { return };
    let path = FieldPath::root().key("spec");
    let rules = spec.get("rules").and_then(Value::as_array);
    let default = spec.get("defaultBackend");
    if rules.is_none_or(Vec::is_empty) && default.is_none() {
        findings.push(
            Finding::error(path.clone(), "has neither rules nor a default backend")
                .with_remedy("add \"rules\" or \"defaultBackend\""),
        );
    }
    if let Some(backend) = default {
        check_backend(backend, &path.key("defaultBackend"), findings);
    }
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let path = path.key("rules").index(index);
        if let Some(host) = rule.get("host").and_then(Value::as_str)
            && host.parse::<std::net::IpAddr>().is_ok()
        {
            let message = format!("{host:?} is an IP address, not a host name");
            findings.push(
                Finding::error(path.key("host"), message)
                    .with_remedy("leave \"host\" out, and every host will match"),
            );
        }
        let paths = rule.pointer("/http/paths").and_then(Value::as_array);
        for (nth, entry) in paths.into_iter().flatten().enumerate() {
            check_path(entry, &path.key("http").key("paths").index(nth), findings);
        }
    }
}

fn check_path(entry: &Value, at: &FieldPath, findings: &mut Vec<Finding>) {
    let path = entry.get("path").and_then(Value::as_str).unwrap_or_default();
    let loose = entry.get("pathType").is_some_and(|kind| kind == "ImplementationSpecific");
    if !path.starts_with('/') && (!loose || !path.is_empty()) {
        findings.push(
            Finding::error(at.key("path"), "must start with \"/\"")
                .with_remedy(format!("write \"/{path}\"")),
        );
    } else if !loose {
        let bad_part = BAD_PARTS.into_iter().find(|part| path.contains(part));
        let bad = bad_part.or_else(|| BAD_ENDS.into_iter().find(|end| path.ends_with(end)));
        findings.extend(
            bad.map(|bad| Finding::error(at.key("path"), format!("must not contain {bad:?}"))),
        );
    }
    if let Some(backend) = entry.get("backend") {
        check_backend(backend, &at.key("backend"), findings);
    }
}

fn check_backend(backend: &Value, at: &FieldPath, findings: &mut Vec<Finding>) {
    let service = backend.get("service");
    match (service, backend.get("resource")) {
        (None, None) => findings.push(
            Finding::error(at.clone(), "names neither a service nor a resource")
                .with_remedy("add \"service\""),
        ),
        (Some(_), Some(_)) => findings.push(
            Finding::error(at.clone(), "names both a service and a resource")
                .with_remedy("remove one of the two"),
        ),
        (Some(_), None) | (None, Some(_)) => {}
    }
    let Some(service) = service.filter(|service| service.is_object()) else { return };
    let port = |name: &str| service.get("port").and_then(|port| port.get(name)).is_some();
    let at = at.key("service").key("port");
    match (port("name"), port("number")) {
        (false, false) => findings.push(
            Finding::error(at, "names no port").with_remedy("add \"number\" or \"name\" below it"),
        ),
        (true, true) => findings.push(
            Finding::error(at, "has both a name and a number").with_remedy("remove one of the two"),
        ),
        (true, false) | (false, true) => {}
    }
}
