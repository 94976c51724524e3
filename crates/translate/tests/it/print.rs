//! How a plan is shown in a golden case: verdicts as lines, the model as compact YAML without the numbers
//! of its ranks, and the order that those numbers mean.

use std::collections::BTreeMap;

use fairway_model::route::Rule;
use fairway_model::{Model, Secret};
use fairway_translate::Plan;
use fairway_translate::verdict::{Conditions, ObjectVerdicts, Reason, Verdict, Verdicts};
use serde_json::{Map, Value};

const WIDTH: usize = 110;

/// Gives the text below a case's mark.
pub(crate) fn shown(plan: &Plan) -> String {
    let mut text = String::new();
    let all = [
        ("verdicts", verdicts(&plan.verdicts)),
        ("model", model(&plan.model)),
        ("order", order(&plan.model)),
    ];
    for (name, value) in all {
        if !is_empty(&value) {
            entry(&mut text, 0, name, &value);
        }
    }
    if text.is_empty() {
        // That nothing is said is an expectation too.
        entry(&mut text, 0, "verdicts", &Value::Object(Map::new()));
    }
    text
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

fn verdicts(verdicts: &Verdicts) -> Value {
    let mut all = Map::new();
    for (key, said) in verdicts {
        if !is_dull(said) {
            object(&mut all, &key.to_string(), said);
        }
    }
    Value::Object(all)
}

/// A GatewayClass about which there is nothing to say but that it is ours.
fn is_dull(said: &ObjectVerdicts) -> bool {
    said.conditions.iter().all(|v| v.reason == Reason::Accepted)
        && said.parents.is_empty()
        && said.listeners.is_empty()
        && !said.facts.supported_features.is_empty()
}

fn object(all: &mut Map<String, Value>, name: &str, said: &ObjectVerdicts) {
    let mut facts = Vec::new();
    if let Some(sets) = said.facts.attached_listener_sets {
        facts.push(format!("{sets} ListenerSets"));
    }
    let served = !said.facts.addresses.is_empty();
    if served && said.listeners.is_empty() {
        let addresses: Vec<String> = said.facts.addresses.iter().map(ToString::to_string).collect();
        facts.push(format!("at {}", addresses.join(" ")));
    }
    if let Some(pool) = said.facts.pool {
        facts
            .push(format!("{} of {} assigned, {} left", pool.assigned, pool.total, pool.available));
    }
    let silent = said.conditions.iter().next().is_none() && facts.is_empty();
    if !silent || (said.parents.is_empty() && said.listeners.is_empty()) {
        all.insert(name.to_owned(), conditions(&said.conditions, &facts));
    }
    for listener in &said.listeners {
        let kinds: Vec<&str> = listener.supported_kinds.iter().map(|k| k.kind.as_str()).collect();
        let facts = [
            format!("takes {}", kinds.join(" ")),
            format!("{} attached", listener.attached_routes),
        ];
        all.insert(format!("{name} # {}", listener.name), conditions(&listener.conditions, &facts));
    }
    for parent in &said.parents {
        let reference = &parent.parent;
        let mut shown = reference.name.clone();
        if let Some(group) = &reference.group {
            shown = format!("{shown}.{group}");
        }
        let parts = [reference.section_name.clone(), reference.port.map(|p| p.to_string())];
        for part in parts.into_iter().flatten() {
            shown = format!("{shown} # {part}");
        }
        all.insert(format!("{name} @ {shown}"), conditions(&parent.conditions, &[]));
    }
}

/// What is as it should be is one word, with the facts behind it; otherwise each condition is a line.
fn conditions(conditions: &Conditions, facts: &[String]) -> Value {
    let fine = |verdict: &Verdict| {
        verdict.message.is_empty()
            && matches!(
                verdict.reason,
                Reason::Accepted
                    | Reason::ResolvedRefs
                    | Reason::Programmed
                    | Reason::NoConflicts
                    | Reason::PoolReady
            )
    };
    if conditions.iter().all(fine) {
        let words: Vec<&str> =
            ["fine"].into_iter().chain(facts.iter().map(String::as_str)).collect();
        return Value::String(words.join("; "));
    }
    let one = |text: String| {
        let (condition, rest) = text.split_once(": ").unwrap();
        (condition.to_owned(), Value::String(rest.to_owned()))
    };
    let mut shown: Map<String, Value> =
        conditions.iter().map(|verdict| one(verdict.to_string())).collect();
    if !facts.is_empty() {
        shown.insert("facts".to_owned(), Value::String(facts.join("; ")));
    }
    Value::Object(shown)
}

fn model(model: &Model) -> Value {
    let mut value = serde_json::to_value(model).unwrap();
    if let Some(secrets) = value.get_mut("secrets") {
        for (id, secret) in &model.secrets {
            secrets[id.as_str()] = match &**secret {
                Secret::Certificate { .. } => "certificate".into(),
                Secret::Authorities { .. } => "authorities".into(),
            };
        }
    }
    without_noise(&mut value);
    value
}

/// Ranks are shown as the order that they mean; of an origin only what the Id does not say.
fn without_noise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("rank");
            if let Some(Value::Object(origin)) = fields.get_mut("origin") {
                origin.retain(|field, _| field == "ruleName");
                if origin.is_empty() {
                    fields.remove("origin");
                }
            }
            fields.values_mut().for_each(without_noise);
            fields.retain(|name, field| {
                let default = matches!((name.as_str(), &*field), ("loadBalancing", Value::String(s)) if s == "roundRobin")
                    || (name == "timeouts" && is_empty(field))
                    || matches!((name.as_str(), &*field), ("generation", _));
                !default
            });
        }
        Value::Array(items) => items.iter_mut().for_each(without_noise),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// For each listener with more than one match: who is asked first.
fn order(model: &Model) -> Value {
    let mut by_listener: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (id, route) in &model.routes {
        let matches: Vec<_> = match &route.rule {
            Rule::Http(rule) => rule.matches.iter().map(|m| (&m.rank, m.rank.position)).collect(),
            Rule::Stream(rule) => vec![(&rule.rank, 0)],
        };
        for attachment in &route.attachments {
            let all = by_listener.entry(attachment.listener.as_str()).or_default();
            for host in &attachment.hosts {
                let each = matches
                    .iter()
                    .map(|(rank, position)| (host.rank, *rank, &host.pattern, id, *position));
                all.extend(each);
            }
        }
    }
    by_listener.retain(|_, all| all.len() > 1);
    let shown = by_listener.into_iter().map(|(listener, mut all)| {
        all.sort_by_key(|(host, rank, ..)| (*host, *rank));
        let line = |(_, _, pattern, id, position)| {
            Value::String(format!("{pattern} {id} match {position}"))
        };
        (listener.to_owned(), all.into_iter().map(line).collect())
    });
    Value::Object(shown.collect())
}

/// Writes `name: value`, on one line if it fits.
pub(crate) fn entry(text: &mut String, indent: usize, name: &str, value: &Value) {
    let pad = " ".repeat(indent);
    let flow = flow(value);
    let fits = indent + name.len() + 2 + flow.len() <= WIDTH;
    match value {
        Value::Object(fields) if !fields.is_empty() && (indent == 0 || !fits) => {
            line(text, &format!("{pad}{}:", scalar(name)));
            fields.iter().for_each(|(name, value)| entry(text, indent + 2, name, value));
        }
        Value::Array(items) if !items.is_empty() && !fits => {
            line(text, &format!("{pad}{}:", scalar(name)));
            items.iter().for_each(|value| item(text, indent, value));
        }
        _ => {
            line(text, &format!("{pad}{}: {flow}", scalar(name)));
        }
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn item(text: &mut String, indent: usize, value: &Value) {
    let pad = " ".repeat(indent);
    let flow = flow(value);
    let Some(fields) = value.as_object().filter(|_| indent + 2 + flow.len() > WIDTH) else {
        line(text, &format!("{pad}- {flow}"));
        return;
    };
    let mut inner = String::new();
    fields.iter().for_each(|(name, value)| entry(&mut inner, indent + 2, name, value));
    let inner = inner.get(indent + 2..).unwrap_or_default();
    text.push_str(&format!("{pad}- {inner}"));
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let each: Vec<String> =
                fields.iter().map(|(k, v)| format!("{}: {}", scalar(k), flow(v))).collect();
            format!("{{{}}}", each.join(", "))
        }
        Value::Array(items) => {
            let each: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", each.join(", "))
        }
        Value::String(text) => scalar(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Plain where YAML would read it back as the same text, quoted otherwise.
fn scalar(text: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || " -_./()#@;'=+$<>;".contains(c);
    let first =
        text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '.');
    let word = ["true", "false", "null", "yes", "no", "on", "off"].contains(&text);
    let plain = first && text.chars().all(inside) && !text.ends_with(' ') && !word;
    // ` #` would begin a comment.
    if plain && !text.contains(" #") {
        text.to_owned()
    } else {
        Value::String(text.to_owned()).to_string()
    }
}
