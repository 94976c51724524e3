//! The types against whole samples of the vendored schemas: every word of every enum is known, what is
//! optional may be missing, no value is taken for an absent one, every served version is read.
//!
//! `coverage` looks at one property at a time; here all stand in one object.

use std::collections::BTreeSet;

use fairway_api::Kind;
use fairway_api::kind::decode;
use fairway_api::vendor::{Channel, Version, gateway_api};
use serde_json::{Map, Value, json};

/// Which value of a type a sample takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// Every property, with the n-th word of each enum.
    Full(usize),
    /// Every property, with `false` and the least number: what a careless `skip_serializing_if` drops.
    Low,
    /// What is required and nothing else.
    Required,
}

/// The longest enum that is read as one holds the HTTP methods and `*`.
const MOST_WORDS: usize = 10;

#[test]
fn every_word_is_known() {
    let mut unknown = BTreeSet::new();
    for schema in schemas() {
        let mut words = BTreeSet::new();
        enum_words(&schema.root, &mut words);
        for turn in 0..MOST_WORDS {
            let object = decode(schema.sample(Fill::Full(turn))).expect("samples decode");
            let shown = format!("{object:?}");
            let strange = |word: &&String| shown.contains(&format!("Other({word:?})"));
            let found = words.iter().filter(strange);
            unknown.extend(found.map(|word| format!("{}: {word}", schema.label)));
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn a_word_that_is_not_known_is_kept_and_seen() {
    let mut schema = schemas().remove(0);
    schema.root = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "validation": {"type": "object", "properties": {
            "wellKnownCACertificates": {"type": "string", "enum": ["Moon"]},
        }},
    }}}});
    let object = decode(schema.sample(Fill::Full(0))).unwrap();
    assert!(format!("{object:?}").contains("Other(\"Moon\")"), "{object:?}");
    assert!(schema.lost(Fill::Full(0)).is_empty());
}

#[test]
fn whole_samples_survive() {
    let lost: Vec<_> = schemas()
        .iter()
        .flat_map(|schema| [Fill::Full(0), Fill::Low, Fill::Required].map(|fill| schema.lost(fill)))
        .flatten()
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

/// The schema of one version of one kind.
struct Schema {
    /// Release, channel, kind and version, for messages.
    label: String,
    kind: Kind,
    api_version: String,
    root: Value,
}

fn schemas() -> Vec<Schema> {
    let mut schemas = Vec::new();
    for release in [Version::V1_6_3, Version::V1_7_0] {
        for channel in [Channel::Standard, Channel::Experimental] {
            for (_file, yaml) in gateway_api(release, channel) {
                let definition = serde_saphyr::from_str(yaml).unwrap();
                schemas.extend(versions(&definition, &format!("{release:?} {channel:?}")));
            }
        }
    }
    assert!(schemas.len() >= 60, "only {} schemas found", schemas.len());
    schemas
}

fn versions(definition: &Value, release: &str) -> Vec<Schema> {
    let group = definition["spec"]["group"].as_str().unwrap();
    let name = definition["spec"]["names"]["kind"].as_str().unwrap();
    let kind =
        Kind::in_group(group, name).unwrap_or_else(|| panic!("{name} of {group} is not read"));
    assert_eq!(kind.plural(), definition["spec"]["names"]["plural"]);
    assert_eq!(kind.is_namespaced(), definition["spec"]["scope"] == "Namespaced");
    let mut found = Vec::new();
    for version in definition["spec"]["versions"].as_array().unwrap() {
        let api_version = format!("{group}/{}", version["name"].as_str().unwrap());
        if Kind::find(&api_version, name).is_none() {
            assert_eq!(version["served"], false, "{name} of {api_version} is served and not read");
            continue;
        }
        let label = format!("{release} {name} of {api_version}");
        let root = version["schema"]["openAPIV3Schema"].clone();
        found.push(Schema { label, kind, api_version, root });
    }
    found
}

impl Schema {
    fn sample(&self, fill: Fill) -> Value {
        let mut value = sample(&self.root, fill);
        value["apiVersion"] = json!(self.api_version);
        value["kind"] = json!(self.kind.name());
        value["metadata"] = json!({"name": "a"});
        value
    }

    /// Sends a sample through the type and tells what did not come back.
    fn lost(&self, fill: Fill) -> Vec<String> {
        let mut before = self.sample(fill);
        let after = match decode(before.clone()) {
            Ok(object) => object.to_value().unwrap(),
            Err(error) => return vec![format!("{} {fill:?}: {error}", self.label)],
        };
        // Objects are written in the preferred version, whichever they came in.
        before["apiVersion"] = after["apiVersion"].clone();
        let mut lost = Vec::new();
        compare(&before, &after, &self.label, &mut lost);
        lost
    }
}

fn sample(schema: &Value, fill: Fill) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        let turn = if let Fill::Full(turn) = fill { turn } else { 0 };
        return words[turn % words.len()].clone();
    }
    match schema["type"].as_str() {
        Some("object") => object(schema, fill),
        Some("array") if fill == Fill::Required && schema["minItems"].is_null() => json!([]),
        Some("array") => json!([sample(&schema["items"], fill)]),
        Some("boolean") => json!(matches!(fill, Fill::Full(_))),
        Some("integer") => json!(number(schema, fill)),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-02T03:04:05Z"),
        Some("string") => json!("text"),
        other => panic!("no sample for type {other:?}: {schema}"),
    }
}

/// A number that is no default of anything, or the least that is allowed.
fn number(schema: &Value, fill: Fill) -> i64 {
    let least = schema["minimum"].as_i64().unwrap_or(0);
    let most = schema["maximum"].as_i64().unwrap_or(7919);
    if matches!(fill, Fill::Full(_)) { most.min(7919) } else { least }
}

fn object(schema: &Value, fill: Fill) -> Value {
    let mut fields = Map::new();
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        if fill != Fill::Required || required.contains(&json!(name)) {
            fields.insert(name.clone(), sample(property, fill));
        }
    }
    if schema["additionalProperties"].is_object() && fill != Fill::Required {
        fields.insert("some.dev/key".to_owned(), sample(&schema["additionalProperties"], fill));
    }
    Value::Object(fields)
}

/// Tells what of `before` is missing or different in `after`. More in `after` is no loss, and an empty
/// list or object may be left out.
fn compare(before: &Value, after: &Value, path: &str, lost: &mut Vec<String>) {
    let nothing = *before == json!([]) || *before == json!({});
    match (before, after) {
        (_, Value::Null) if !nothing => lost.push(format!("{path} is lost")),
        (Value::Object(fields), _) => {
            for (name, field) in fields {
                compare(field, &after[name], &format!("{path}.{name}"), lost);
            }
        }
        (Value::Array(items), _) => {
            for (index, item) in items.iter().enumerate() {
                compare(item, &after[index], &format!("{path}.{index}"), lost);
            }
        }
        (_, _) if before != after => lost.push(format!("{path} was {before}, is {after}")),
        (_, _) => {}
    }
}

fn enum_words(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let words = fields.get("enum").and_then(Value::as_array).into_iter().flatten();
            found.extend(words.filter_map(Value::as_str).map(ToOwned::to_owned));
            fields.values().for_each(|field| enum_words(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| enum_words(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
