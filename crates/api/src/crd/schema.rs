//! Small steps on JSON schemas: find a place in one, add fields and rules to it, make one of a Rust type.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Where the CEL rules of a schema stand.
const RULES: &str = "x-kubernetes-validations";

/// A CEL rule and what is said when it does not hold.
pub(super) type Rule = (&'static str, &'static str);

/// Goes down a dotted path. A name that is no key of a schema itself is one of its `properties`.
///
/// # Panics
/// There is no such place: the upstream schema has changed, and the caller with it has to.
pub(super) fn at<'a>(schema: &'a mut Map<String, Value>, path: &str) -> &'a mut Map<String, Value> {
    let mut here = schema;
    for name in path.split('.') {
        let keyword = matches!(name, "items" | "properties");
        if !keyword && here.contains_key("properties") {
            here = child(here, "properties");
        }
        here = child(here, name);
    }
    here
}

fn child<'a>(schema: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    match schema.get_mut(name) {
        Some(Value::Object(child)) => child,
        _ => unreachable!("the upstream schema has {name}"),
    }
}

/// Appends rules.
pub(super) fn add_rules(schema: &mut Map<String, Value>, rules: &[Rule]) {
    let list = schema.entry(RULES).or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.extend(rules.iter().map(|(rule, message)| json!({"rule": rule, "message": message})));
    }
}

/// Adds the properties and the rules that are missing, also inside of the properties that both have. All
/// else that the first one says of such a property stays.
pub(super) fn extend(schema: &mut Map<String, Value>, more: &Map<String, Value>) {
    if let Some(Value::Array(added)) = more.get(RULES) {
        let rules = schema.entry(RULES).or_insert_with(|| json!([]));
        if let Value::Array(rules) = rules {
            let missing: Vec<_> =
                added.iter().filter(|rule| !rules.contains(rule)).cloned().collect();
            rules.extend(missing);
        }
    }
    let Some(Value::Object(more)) = more.get("properties") else { return };
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    let Value::Object(properties) = properties else { return };
    for (name, added) in more {
        match (properties.get_mut(name), added) {
            (Some(Value::Object(known)), Value::Object(added)) => extend(known, added),
            (Some(_), _) => {}
            (None, added) => {
                properties.insert(name.clone(), added.clone());
            }
        }
    }
}

/// Makes the structural schema of a type: without references, titles and serde's defaults.
pub(super) fn schema_of<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    match structural(schema.to_value()) {
        Value::Object(schema) => schema,
        other => unreachable!("a schema is an object, not {other}"),
    }
}

fn structural(schema: Value) -> Value {
    match schema {
        Value::Object(mut fields) => {
            // The API server must not write what serde only reads: an absent field stays absent.
            for keyword in ["$schema", "title", "default"] {
                if !fields.get(keyword).is_some_and(Value::is_object) || keyword == "default" {
                    fields.shift_remove(keyword);
                }
            }
            Value::Object(
                fields.into_iter().map(|(name, field)| (name, structural(field))).collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(structural).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// Puts a description first.
pub(super) fn described(mut schema: Map<String, Value>, text: &str) -> Value {
    schema.insert("description".into(), text.into());
    Value::Object(schema)
}

/// A list of texts.
pub(super) fn strings(description: &str, most: u32, longest: u32) -> Map<String, Value> {
    let schema = json!({
        "description": description, "type": "array", "maxItems": most,
        "items": {"type": "string", "minLength": 1, "maxLength": longest},
    });
    match schema {
        Value::Object(schema) => schema,
        other => unreachable!("an object is written above, not {other}"),
    }
}

/// One of some words, with a default.
pub(super) fn words(description: &str, words: &[&str], default: &str) -> Value {
    json!({"description": description, "type": "string", "enum": words, "default": default})
}
