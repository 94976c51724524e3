//! Checking an object against its structural schema: types, required fields, enums, patterns,
//! bounds, formats, list keys. In words that say what to write instead.

use std::collections::HashMap;

use serde_json::Value;

use super::finding::Finding;
use super::nearest::nearest;
use super::structural::{ListType, Logic, Node, Shape};
use crate::sources::field::Trail;

mod format;
mod words;

use words::{describe, quote, type_remedy};

/// A file with a thousand mistakes is one mistake; the rest of the list would help nobody.
pub(super) const MAX_FINDINGS: usize = 20;
/// What is said of a form that `not` excludes: not much, so that any other reason is better.
const EXCLUDED: &str = "has a form that is not allowed here";

/// Adds what is wrong with `value` to `findings`.
pub(crate) fn check(node: &Node, value: &Value, trail: Trail<'_>, findings: &mut Vec<Finding>) {
    if findings.len() >= MAX_FINDINGS || (value.is_null() && node.nullable) {
        return;
    }
    if !fits(node.shape, value) {
        let message = format!("must be {}, not {}", wanted(node.shape), describe(value));
        let remedy = type_remedy(node.shape, value);
        let mut finding = Finding::error(trail.to_path(), message).with_remedy_if(remedy);
        finding.quote = node.shape == Shape::String && (value.is_boolean() || value.is_number());
        findings.push(finding);
        return;
    }
    if !node.allowed.is_empty() && !node.allowed.contains(value) {
        findings.push(not_allowed(node, value, trail));
        return;
    }
    match value {
        Value::Object(fields) => {
            for name in node.required.iter().filter(|name| !fields.contains_key(*name)) {
                findings.push(missing(node, name, trail));
            }
            count(fields.len(), node.bounds.properties, "field", trail, findings);
            for (name, value) in fields {
                if let Some(child) = node.child(name) {
                    check(child, value, Trail::Key(&trail, name), findings);
                }
            }
        }
        Value::Array(items) => check_list(node, items, trail, findings),
        Value::String(text) => check_text(node, text, trail, findings),
        Value::Number(_) => check_number(node, value, trail, findings),
        Value::Null | Value::Bool(_) => {}
    }
    if let Some(logic) = &node.logic {
        check_logic(logic, value, trail, findings);
    }
}

fn fits(shape: Shape, value: &Value) -> bool {
    match shape {
        Shape::Any => !value.is_null(),
        Shape::Object => value.is_object(),
        Shape::Array => value.is_array(),
        Shape::String => value.is_string(),
        Shape::Integer => value.is_i64() || value.is_u64(),
        Shape::Number => value.is_number(),
        Shape::Boolean => value.is_boolean(),
        Shape::IntOrString => value.is_string() || value.is_i64() || value.is_u64(),
    }
}

fn wanted(shape: Shape) -> &'static str {
    match shape {
        Shape::Any => "something",
        Shape::Object => "a map",
        Shape::Array => "a list",
        Shape::String => "text",
        Shape::Integer => "a whole number",
        Shape::Number => "a number",
        Shape::Boolean => "true or false",
        Shape::IntOrString => "a whole number or text",
    }
}

fn missing(node: &Node, name: &str, trail: Trail<'_>) -> Finding {
    let allowed = node.properties.get(name).map(|child| child.allowed.as_slice());
    let hint = match allowed {
        Some(allowed) if !allowed.is_empty() => format!(" ({})", words::list(allowed)),
        _ => String::new(),
    };
    Finding::error(Trail::Key(&trail, name).to_path(), "is required")
        .with_remedy(format!("add {name:?}{hint}"))
}

fn not_allowed(node: &Node, value: &Value, trail: Trail<'_>) -> Finding {
    let finding = Finding::error(
        trail.to_path(),
        format!("{} is not one of {}", quote(value), words::list(&node.allowed)),
    );
    let near = value
        .as_str()
        .and_then(|text| nearest(text, node.allowed.iter().filter_map(Value::as_str)));
    finding.with_remedy_if(near.map(|near| format!("write {near}")))
}

fn check_list(node: &Node, items: &[Value], trail: Trail<'_>, findings: &mut Vec<Finding>) {
    count(items.len(), node.bounds.items, "entry", trail, findings);
    if let Some(child) = &node.items {
        for (index, item) in items.iter().enumerate() {
            check(child, item, Trail::Index(&trail, index), findings);
        }
    }
    let mut seen = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let identity = match &node.list {
            ListType::Atomic => return,
            ListType::Set => vec![Some(item)],
            ListType::Map(keys) => keys.iter().map(|key| item.get(key)).collect(),
        };
        if let Some(first) = seen.insert(identity, index) {
            findings.push(duplicate(&node.list, first, item, Trail::Index(&trail, index)));
            return;
        }
    }
}

fn duplicate(list: &ListType, first: usize, item: &Value, trail: Trail<'_>) -> Finding {
    let message = match list {
        ListType::Atomic | ListType::Set => {
            format!("{} is listed twice, first as entry [{first}]", quote(item))
        }
        ListType::Map(keys) => {
            let same: Vec<_> = keys
                .iter()
                .filter_map(|key| item.get(key).map(|value| format!("{key} {}", quote(value))))
                .collect();
            format!("entry [{first}] has the same {}", same.join(" and "))
        }
    };
    let remedy = match list {
        ListType::Atomic | ListType::Set => "remove one of the two".to_owned(),
        ListType::Map(keys) => format!("give each entry its own {}", keys.join(" and ")),
    };
    Finding::error(trail.to_path(), message).with_remedy(remedy)
}

fn check_text(node: &Node, text: &str, trail: Trail<'_>, findings: &mut Vec<Finding>) {
    if text.is_empty() && node.bounds.length.0.is_some_and(|least| least > 0) {
        findings.push(Finding::error(trail.to_path(), "must not be empty"));
        return;
    }
    // Most texts are shorter in bytes than they may be in characters.
    let most = node.bounds.length.1.unwrap_or(u64::MAX);
    let near_bounds = node.bounds.length.0.is_some_and(|least| least > 1)
        || usize::try_from(most).is_ok_and(|most| text.len() > most);
    if near_bounds {
        count(text.chars().count(), node.bounds.length, "character", trail, findings);
    }
    if let Some(pattern) = &node.pattern
        && !pattern.matches(text)
    {
        let (message, remedy) = words::pattern(&pattern.source, text);
        findings.push(Finding::error(trail.to_path(), message).with_remedy_if(remedy));
    }
    if let Some(wrong) = node.format.as_deref().and_then(|name| format::text(name, text)) {
        findings.push(Finding::error(trail.to_path(), wrong));
    }
}

fn check_number(node: &Node, value: &Value, trail: Trail<'_>, findings: &mut Vec<Finding>) {
    let (Some(number), (least, most)) = (value.as_f64(), node.bounds.value) else { return };
    let format_bounds = node.format.as_deref().and_then(format::range).unwrap_or_default();
    let least = least.or(format_bounds.0);
    let most = most.or(format_bounds.1);
    let wanted = match (least, most) {
        (Some(least), Some(most)) if number < least || number > most => {
            format!("must be between {least} and {most}")
        }
        (Some(least), None) if number < least => format!("must be at least {least}"),
        (None, Some(most)) if number > most => format!("must be at most {most}"),
        _ => return,
    };
    findings.push(Finding::error(trail.to_path(), format!("{wanted}, not {value}")));
}

fn count(
    have: usize,
    (least, most): (Option<u64>, Option<u64>),
    noun: &str,
    trail: Trail<'_>,
    findings: &mut Vec<Finding>,
) {
    let have = u64::try_from(have).unwrap_or(u64::MAX);
    let (word, bound) = match (least, most) {
        (Some(least), _) if have < least => ("at least", least),
        (_, Some(most)) if have > most => ("at most", most),
        _ => return,
    };
    let nouns = words::plural(noun, bound);
    let message = format!("must have {word} {bound} {nouns}, and has {have}");
    findings.push(Finding::error(trail.to_path(), message));
}

fn check_logic(logic: &Logic, value: &Value, trail: Trail<'_>, findings: &mut Vec<Finding>) {
    let failures = |node: &Node| {
        let mut inner = Vec::new();
        check(node, value, trail, &mut inner);
        inner
    };
    for branch in &logic.all {
        findings.extend(failures(branch));
    }
    for branches in [&logic.any, &logic.one] {
        let outcomes: Vec<_> = branches.iter().map(failures).collect();
        if !branches.is_empty() && outcomes.iter().all(|inner| !inner.is_empty()) {
            findings.push(neither(outcomes, trail));
        }
    }
    if logic.one.iter().filter(|branch| failures(branch).is_empty()).count() > 1 {
        let message = "fits more than one of the forms that exclude each other";
        findings.push(Finding::error(trail.to_path(), message));
    }
    if logic.not.as_ref().is_some_and(|branch| failures(branch).is_empty()) {
        findings.push(Finding::error(trail.to_path(), "has a form that is not allowed here"));
    }
}

/// None of the forms fits: why not the ones that come nearest, which are those that go deepest.
fn neither(outcomes: Vec<Vec<Finding>>, trail: Trail<'_>) -> Finding {
    let mut firsts: Vec<_> =
        outcomes.into_iter().filter_map(|inner| inner.into_iter().next()).collect();
    if firsts.iter().any(|finding| finding.message != EXCLUDED) {
        firsts.retain(|finding| finding.message != EXCLUDED);
    }
    let deepest = firsts.iter().map(|finding| finding.path.0.len()).max().unwrap_or_default();
    let near: Vec<_> = firsts.into_iter().filter(|f| f.path.0.len() == deepest).collect();
    let mut words: Vec<_> = near.iter().map(|finding| finding.message.as_str()).collect();
    words.dedup();
    let message = words.join(", and ");
    let path = near.first().map_or_else(|| trail.to_path(), |finding| finding.path.clone());
    Finding::error(path, message)
}
