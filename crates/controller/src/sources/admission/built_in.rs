//! What the schemas of built-in kinds cannot say: defaults taken from other fields, and checks
//! across fields. <https://kubernetes.io/docs/reference/kubernetes-api/>

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::finding::Finding;
use crate::sources::field::{FieldPath, Trail};

mod ingress;

/// Fills in the rest of a defaulted object, and adds what is wrong with it.
pub(super) fn finish(kind: &str, value: &mut Value, findings: &mut Vec<Finding>) {
    match kind {
        "Service" => service(value, findings),
        "EndpointSlice" => endpoint_slice(value, findings),
        "Secret" => secret(value, findings),
        "ConfigMap" => config_map(value, findings),
        "Namespace" => namespace(value),
        "Ingress" => ingress::check(value, findings),
        _ => {}
    }
}

fn service(value: &mut Value, findings: &mut Vec<Finding>) {
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let external = spec.get("type") == Some(&json!("ExternalName"));
    let headless = spec.get("clusterIP") == Some(&json!("None"));
    let mut ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    let many = ports.as_ref().map_or(0, |ports| ports.len());
    let spec_path = FieldPath::root().key("spec");
    for (index, port) in ports.iter_mut().flat_map(|ports| ports.iter_mut()).enumerate() {
        let Some(port) = port.as_object_mut() else { continue };
        if let (false, Some(number)) = (port.contains_key("targetPort"), port.get("port").cloned())
        {
            port.insert("targetPort".to_owned(), number);
        }
        let path = spec_path.key("ports").index(index);
        findings.extend(target_port(port.get("targetPort"), &path));
        if many > 1 && !port.contains_key("name") {
            findings.push(
                Finding::error(path.key("name"), "is required where a Service has several ports")
                    .with_remedy("add \"name\""),
            );
        }
    }
    let names: Vec<_> =
        ports.iter().flat_map(|ports| ports.iter()).map(|p| p.get("name")).collect();
    for (index, name) in names.iter().enumerate() {
        if let (Some(name), true) = (name, names.iter().take(index).any(|other| other == name)) {
            let path = spec_path.key("ports").index(index).key("name");
            findings.push(Finding::error(path, format!("{name} is the name of two ports")));
        }
    }
    if many == 0 && !external && !headless {
        findings.push(
            Finding::error(spec_path.key("ports"), "is required").with_remedy("add \"ports\""),
        );
    }
    if external && !spec.contains_key("externalName") {
        findings.push(
            Finding::error(spec_path.key("externalName"), "is required for type ExternalName")
                .with_remedy("add \"externalName\", a host name"),
        );
    }
}

fn target_port(port: Option<&Value>, path: &FieldPath) -> Option<Finding> {
    let wrong = |message: String| Some(Finding::error(path.key("targetPort"), message));
    match port? {
        Value::Number(number) if !(1..=65535).contains(&number.as_i64()?) => {
            wrong(format!("must be between 1 and 65535, not {number}"))
        }
        // A number in quotes is looked for as a port's name, and never found.
        Value::String(text) if text.parse::<u32>().is_ok() => wrong(format!(
            "{text:?} is text, and would be the name of a port; write {text} without quotes"
        )),
        _ => None,
    }
}

fn endpoint_slice(value: &mut Value, findings: &mut Vec<Finding>) {
    let address_type = value.get("addressType").and_then(Value::as_str).unwrap_or_default();
    let address_type = address_type.to_owned();
    let endpoints = value.get_mut("endpoints").and_then(Value::as_array_mut);
    for (index, endpoint) in endpoints.into_iter().flatten().enumerate() {
        let path = FieldPath::root().key("endpoints").index(index).key("addresses");
        let addresses = endpoint.get("addresses").and_then(Value::as_array);
        for (nth, address) in addresses.into_iter().flatten().enumerate() {
            let Some(address) = address.as_str() else { continue };
            if !address_fits(&address_type, address) {
                let message = format!("{address:?} is no {address_type} address");
                findings.push(Finding::error(path.index(nth), message));
            }
        }
        // An endpoint serves while it is ready, unless it says otherwise.
        if let Some(conditions) = endpoint.get_mut("conditions").and_then(Value::as_object_mut) {
            let ready = conditions.get("ready").cloned().unwrap_or(json!(true));
            conditions.entry("serving").or_insert(ready);
        }
    }
}

fn address_fits(address_type: &str, address: &str) -> bool {
    match address_type {
        "IPv4" => matches!(address.parse(), Ok(IpAddr::V4(_))),
        "IPv6" => matches!(address.parse(), Ok(IpAddr::V6(_))),
        _ => super::metadata::is_dns_name(address),
    }
}

fn secret(value: &mut Value, findings: &mut Vec<Finding>) {
    let Some(fields) = value.as_object_mut() else { return };
    for (name, data) in fields.get("data").and_then(Value::as_object).into_iter().flatten() {
        findings.extend(base64_finding("data", name, data));
    }
    if let Some(Value::Object(plain)) = fields.remove("stringData") {
        let data = fields.entry("data").or_insert_with(|| json!({}));
        if let Some(data) = data.as_object_mut() {
            let texts = plain.iter().filter_map(|(name, text)| Some((name, text.as_str()?)));
            data.extend(texts.map(|(name, text)| (name.clone(), json!(BASE64.encode(text)))));
        }
    }
    data_keys(fields, "data", findings);
    let kind = fields.get("type").and_then(Value::as_str);
    let wanted: &[&str] = match kind {
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        _ => &[],
    };
    for name in wanted {
        if fields.get("data").and_then(|data| data.get(name)).is_none() {
            let path = FieldPath::root().key("data").key(name);
            let message = "is required for a Secret of type kubernetes.io/tls";
            findings.push(Finding::error(path, message).with_remedy(format!("add {name:?}")));
        }
    }
}

fn base64_finding(field: &str, name: &str, data: &Value) -> Option<Finding> {
    let text = data.as_str()?;
    // Line breaks are what `base64` on a shell puts in; Go's decoder skips them.
    let text: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    if BASE64.decode(text.as_bytes()).is_ok() {
        return None;
    }
    let path = FieldPath::root().key(field).key(name);
    let finding = Finding::error(path, "is not base64");
    Some(finding.with_remedy("encode it, or write it as it is under \"stringData\""))
}

fn config_map(value: &mut Value, findings: &mut Vec<Finding>) {
    let Some(fields) = value.as_object_mut() else { return };
    for (name, data) in fields.get("binaryData").and_then(Value::as_object).into_iter().flatten() {
        findings.extend(base64_finding("binaryData", name, data));
    }
    data_keys(fields, "data", findings);
    data_keys(fields, "binaryData", findings);
}

fn data_keys(fields: &Map<String, Value>, field: &str, findings: &mut Vec<Finding>) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    for name in fields.get(field).and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
            let path = Trail::Key(&Trail::Key(&Trail::Root, field), name).to_path();
            let message = "must consist of letters, digits, \"-\", \"_\" and \".\"";
            findings.push(Finding::error(path, message));
        }
    }
}

/// Selectors pick namespaces by this label, which an API server always sets.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name>
fn namespace(value: &mut Value) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let name = metadata.get("name").cloned().unwrap_or_default();
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}
