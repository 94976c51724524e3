//! Structural defaulting, as an API server does it before it validates.

use serde_json::Value;

use super::structural::Node;

/// Fills in the defaults that a schema has for missing fields, after dropping the nulls of fields
/// that cannot be null (`key:` without a value is a missing field).
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable>
pub(crate) fn apply(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                !value.is_null() || node.child(name).is_none_or(|child| child.nullable)
            });
            if node.has_defaults {
                for (name, child) in &node.properties {
                    if let (Some(default), false) = (&child.default, fields.contains_key(&**name)) {
                        fields.insert(name.to_string(), default.clone());
                    }
                }
            }
            for (name, value) in fields.iter_mut() {
                if let Some(child) = node.child(name) {
                    apply(child, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                items.iter_mut().for_each(|item| apply(child, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
