//! How a mistake in a value is put into words.

use serde_json::Value;

use super::Shape;

/// A value as it would be written, short.
pub(super) fn quote(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let start: String = text.chars().take(57).collect();
    format!("{start}…")
}

/// A value by its kind: `the number 80`.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => quote(value),
        Value::String(_) => format!("the text {}", quote(value)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// The allowed values, one after another.
pub(super) fn list(allowed: &[Value]) -> String {
    let words: Vec<_> = allowed
        .iter()
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    words.join(", ")
}

pub(super) fn plural(noun: &str, count: u64) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) => format!("{noun}s"),
    }
}

/// What to write where the type is wrong, if it can be told.
pub(super) fn type_remedy(shape: Shape, value: &Value) -> Option<String> {
    match (shape, value) {
        (Shape::String, Value::Bool(_) | Value::Number(_)) => {
            Some(format!("put it in quotes: \"{value}\""))
        }
        (Shape::Integer | Shape::Number, Value::String(text)) if text.parse::<f64>().is_ok() => {
            Some(format!("write {text} without quotes"))
        }
        (Shape::Boolean, Value::String(text)) if text.parse::<bool>().is_ok() => {
            Some(format!("write {text} without quotes"))
        }
        (Shape::Array, Value::Object(_) | Value::String(_)) => {
            Some("begin each entry with \"- \"".to_owned())
        }
        (Shape::Object, Value::Array(_)) => Some("remove the \"- \" before it".to_owned()),
        _ => None,
    }
}

/// What a pattern means, for those that stand in the schemas people meet; and what to write.
pub(super) fn pattern(source: &str, text: &str) -> (String, Option<String>) {
    let quoted = quote(&Value::String(text.to_owned()));
    let lower = text.to_lowercase();
    let fold = (lower != text).then(|| format!("write {lower}"));
    let word = |what: &str| format!("{quoted} is not {what}");
    match source {
        r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" => (
            word("a host name: lower-case letters, digits, \"-\" and \".\", \"*.\" in front only"),
            host_remedy(text).or(fold),
        ),
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" => (
            word("a DNS name: lower-case letters, digits, \"-\" and \".\""),
            host_remedy(text).or(fold),
        ),
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" => {
            (word("a DNS label: lower-case letters, digits and \"-\""), fold)
        }
        r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" => {
            (word("an API group such as gateway.networking.k8s.io"), group_remedy(text))
        }
        r"^([0-9]{1,5}(h|m|s|ms)){1,4}$" => (
            word("a duration such as 10s, 1m30s or 500ms"),
            text.parse::<u16>().ok().map(|seconds| format!("write {seconds}s")),
        ),
        r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$" => {
            (word("a header name: letters, digits, \"-\""), None)
        }
        r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$" => {
            (word("a kind: letters, digits and \"-\""), None)
        }
        _ => (format!("{quoted} does not match {source}"), None),
    }
}

/// Schemes, ports and paths have no place in a host name.
fn host_remedy(text: &str) -> Option<String> {
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    (host != text && !host.is_empty()).then(|| format!("write {host} alone"))
}

/// `apiVersion`s are often written where a group is meant.
fn group_remedy(text: &str) -> Option<String> {
    let (group, _) = text.split_once('/')?;
    Some(format!("write {group} without a version"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(quote(&json!("é".repeat(100))).chars().count(), 58);
    }

    #[test]
    fn plurals() {
        assert_eq!(plural("entry", 2), "entries");
        assert_eq!(plural("entry", 1), "entry");
        assert_eq!(plural("field", 0), "fields");
    }

    #[test]
    fn remedies() {
        assert_eq!(type_remedy(Shape::String, &json!(80)), Some("put it in quotes: \"80\"".into()));
        assert_eq!(host_remedy("https://a.example/x"), Some("write a.example alone".into()));
        assert_eq!(group_remedy("apps/v1"), Some("write apps without a version".into()));
    }
}
