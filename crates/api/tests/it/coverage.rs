//! Every property of every schema, upstream's and ours, survives decoding and encoding. For each path an
//! object is made that has just this property and what it needs; what comes back must hold it.

use fairway_api::crd;
use fairway_api::kind::{self, Kind};
use fairway_api::vendor::{self, Channel, Version};
use serde_json::{Map, Value, json};

/// Properties that are read by nobody and lost on purpose.
const LOST: &[&str] = &[];

#[test]
fn types_lose_no_property_of_upstream() {
    let mut lost = Vec::new();
    for version in [Version::V1_6_3, Version::V1_7_0] {
        for channel in [Channel::Standard, Channel::Experimental] {
            let crds = vendor::gateway_api(version, channel);
            assert!(crds.len() >= 10, "{version:?} {channel:?} has its CRDs");
            for (name, yaml) in crds {
                let definition = serde_saphyr::from_str(yaml).unwrap();
                let checked = check(&definition, &mut lost);
                assert!(checked > 3, "{name} has properties");
            }
        }
    }
    assert!(lost.is_empty(), "lost:\n{}", lost.join("\n"));
}

#[test]
fn types_lose_no_property_of_ours() {
    let mut lost = Vec::new();
    for (_, definition) in crd::all() {
        assert!(check(&definition, &mut lost) > 1);
    }
    assert!(lost.is_empty(), "lost:\n{}", lost.join("\n"));
}

#[test]
fn a_field_that_a_type_does_not_have_is_seen() {
    let mut definition = crd::all().remove(1).1;
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    definition.pointer_mut(spec).unwrap()["surprise"] = json!({"type": "string"});
    let mut lost = Vec::new();
    check(&definition, &mut lost);
    assert_eq!(lost.len(), 1, "{lost:?}");
}

/// Gives how many properties were checked.
fn check(definition: &Value, lost: &mut Vec<String>) -> usize {
    let group = definition["spec"]["group"].as_str().unwrap();
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
    let known = Kind::in_group(group, kind).unwrap_or_else(|| panic!("{group}/{kind} is not read"));
    let mut checked = 0;
    for version in definition["spec"]["versions"].as_array().unwrap() {
        let name = version["name"].as_str().unwrap();
        if !known.versions().contains(&name) {
            continue;
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        let mut paths = Vec::new();
        collect(schema, &mut Vec::new(), &mut paths);
        for path in paths {
            checked += 1;
            let label = format!("{kind} {name} {}", path.join("."));
            if !LOST.contains(&label.as_str()) && !survives(group, kind, name, schema, &path) {
                lost.push(label);
            }
        }
    }
    checked
}

/// Lists the path of each property below `spec` and `status`; `[]` and `*` stand for items and values.
fn collect(schema: &Value, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let mut deeper = |name: &str, schema: &Value| {
        path.push(name.to_owned());
        paths.push(path.clone());
        collect(schema, path, paths);
        path.pop();
    };
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, property) in properties {
            if !["apiVersion", "kind", "metadata"].contains(&name.as_str())
                || name == "kind"
                    && schema.get("properties").is_some_and(|p| p.get("apiVersion").is_none())
            {
                deeper(name, property);
            }
        }
    }
    if let Some(items) = schema.get("items") {
        deeper("[]", items);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        deeper("*", values);
    }
}

fn survives(group: &str, kind: &str, version: &str, schema: &Value, path: &[String]) -> bool {
    let mut object = sample(schema, path);
    let fields = object.as_object_mut().unwrap();
    fields.insert("apiVersion".into(), format!("{group}/{version}").into());
    fields.insert("kind".into(), kind.into());
    fields.insert("metadata".into(), json!({"name": "sample", "namespace": "default"}));
    let before = at(&object, path).cloned();
    let decoded =
        kind::decode(object.clone()).unwrap_or_else(|e| panic!("{kind} {path:?}: {e}\n{object}"));
    let after = decoded.to_value().unwrap();
    match (before, at(&after, path)) {
        (Some(before), Some(after)) => holds(after, &before),
        _ => false,
    }
}

/// Says whether all that is in `before` is in `after`. Empty lists may have been added.
fn holds(after: &Value, before: &Value) -> bool {
    match (after, before) {
        (Value::Object(after), Value::Object(before)) => {
            let kept = |(name, value): (&String, &Value)| {
                after.get(name).is_some_and(|after| holds(after, value))
            };
            before.iter().all(kept)
        }
        (Value::Array(after), Value::Array(before)) => {
            let pairs = after.iter().zip(before);
            after.len() == before.len()
                && pairs.into_iter().all(|(after, before)| holds(after, before))
        }
        (after, before) => after == before,
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match name.as_str() {
        "[]" => value.get(0),
        "*" => value.get("any"),
        name => value.get(name),
    })
}

/// Makes a value with what the schema requires, and with the property that the path leads to.
fn sample(schema: &Value, path: &[String]) -> Value {
    if let Some(choice) = schema["enum"].as_array().and_then(|choices| choices.first()) {
        return choice.clone();
    }
    match schema["type"].as_str().unwrap_or("string") {
        "object" => {
            let mut fields = Map::new();
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for name in required.iter().filter_map(Value::as_str) {
                fields.insert(name.to_owned(), sample(&schema["properties"][name], &[]));
            }
            match path.split_first() {
                Some((name, rest)) if name == "*" => {
                    fields.insert("any".into(), sample(&schema["additionalProperties"], rest));
                }
                Some((name, rest)) => {
                    fields.insert(name.clone(), sample(&schema["properties"][name.as_str()], rest));
                }
                None => {}
            }
            if fields.is_empty() && schema["additionalProperties"].is_object() {
                fields.insert("any".into(), sample(&schema["additionalProperties"], &[]));
            }
            Value::Object(fields)
        }
        "array" => json!([sample(&schema["items"], path.get(1..).unwrap_or_default())]),
        "integer" => json!(schema["minimum"].as_i64().unwrap_or(0) + 7),
        "boolean" => json!(true),
        _ if schema["format"] == "date-time" => json!("2026-01-02T03:04:05Z"),
        _ => json!("sample"),
    }
}
