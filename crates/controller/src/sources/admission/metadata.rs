//! `metadata`: which fields are the server's own, and which names, labels and annotations fit.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>

use serde_json::{Map, Value};

use super::finding::Finding;
use crate::sources::field::FieldPath;
use crate::sources::key::ObjectKey;

/// What only an API server writes. It stands in what people export, and is overwritten.
const SERVER_FIELDS: [&str; 7] = [
    "uid",
    "resourceVersion",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Removes what is the server's, and sets the namespace that the object is in.
pub(super) fn clean(metadata: &mut Map<String, Value>, namespace: &str) {
    metadata.retain(|name, value| !SERVER_FIELDS.contains(&name.as_str()) && !value.is_null());
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else if metadata.get("namespace").is_none_or(Value::is_string) {
        // One that is no text is left for the schema to refuse.
        metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned()));
    }
}

/// Checks the object's own names, its labels and its annotations.
pub(super) fn check(key: &ObjectKey, value: &Value, findings: &mut Vec<Finding>) {
    let path = FieldPath::root().key("metadata");
    let label = matches!((key.group.as_str(), key.kind.as_str()), ("", "Namespace" | "Service"));
    let (fits, wanted) = if label {
        (is_dns_label(&key.name), "a DNS label: at most 63 lower-case letters, digits and \"-\"")
    } else {
        (
            is_dns_name(&key.name),
            "a DNS name: at most 253 lower-case letters, digits, \"-\" and \".\"",
        )
    };
    if !fits {
        let message = format!("{:?} is not {wanted}", key.name);
        let finding = Finding::error(path.key("name"), message);
        findings.push(finding.with_remedy_if(name_remedy(&key.name)));
    }
    if !key.namespace.is_empty() && !is_dns_label(&key.namespace) {
        let message = format!("{:?} is not a DNS label", key.namespace);
        let finding = Finding::error(path.key("namespace"), message);
        findings.push(finding.with_remedy_if(name_remedy(&key.namespace)));
    }
    let texts = |name: &str| value.pointer(&format!("/metadata/{name}"))?.as_object();
    for (name, text) in texts("labels").into_iter().flatten() {
        let path = path.key("labels").key(name);
        if !is_qualified(name) {
            findings.push(Finding::error(path, "is not a label's name"));
        } else if let Some(text) = text.as_str().filter(|text| !is_label_value(text)) {
            let message = format!(
                "{text:?} is not a label's value: at most 63 letters, digits, \"-\", \"_\", \".\""
            );
            findings.push(Finding::error(path, message));
        }
    }
    for (name, _) in texts("annotations").into_iter().flatten() {
        if !is_qualified(&name.to_lowercase()) {
            let path = path.key("annotations").key(name);
            findings.push(Finding::error(path, "is not an annotation's name"));
        }
    }
}

/// RFC 1123 label.
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 63
        && !text.is_empty()
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// RFC 1123 subdomain, as Kubernetes has it: labels of any length.
pub(super) fn is_dns_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_name(prefix) && !name.is_empty() && is_label_value(name),
        None => !text.is_empty() && is_label_value(text),
    }
}

fn is_label_value(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(inner)
        && end(text.chars().next())
        && end(text.chars().next_back())
}

/// The name with what does not fit put right, if that makes one.
fn name_remedy(name: &str) -> Option<String> {
    let mended = name.to_lowercase().replace(['_', ' '], "-");
    (is_dns_label(&mended) && mended != name).then(|| format!("write {mended}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, label, name) in [
            ("shop", true, true),
            ("shop-1", true, true),
            ("a.b", false, true),
            ("Shop", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("a..b", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_dns_label(text), is_dns_name(text)), (label, name), "{text}");
        }
        assert!(!is_dns_label(&"a".repeat(64)) && is_dns_name(&"a".repeat(64)));
    }

    #[test]
    fn labels() {
        for (text, qualified, value) in [
            ("app.kubernetes.io/name", true, false),
            ("app", true, true),
            ("", false, true),
            ("A_b.c", true, true),
            ("_a", false, false),
            ("/a", false, false),
            ("a/", false, false),
        ] {
            assert_eq!((is_qualified(text), is_label_value(text)), (qualified, value), "{text}");
        }
    }

    #[test]
    fn a_name_is_mended_where_that_is_plain() {
        assert_eq!(name_remedy("My_Shop"), Some("write my-shop".to_owned()));
        assert_eq!(name_remedy("a!"), None);
    }
}
