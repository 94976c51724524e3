//! Better words for the mistakes that people make most: the rule's own message names neither the
//! very field nor the mending.

use serde_json::Value;

/// Replaces a rule's message.
pub(super) struct Hint {
    /// Below the node that holds the rule.
    pub(super) field: &'static str,
    pub(super) message: &'static str,
    pub(super) remedy: Option<String>,
}

/// The hint for a failed rule, known by its message.
pub(super) fn of(message: &str, value: &Value) -> Option<Hint> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    if message.starts_with("value must be an absolute path and start with '/'") {
        let path = text("value").unwrap_or_default();
        return Some(Hint {
            field: "value",
            message: "must start with \"/\"",
            remedy: Some(format!("write \"/{path}\"")),
        });
    }
    if message.starts_with("must not contain '//'") {
        let path = text("value").unwrap_or_default();
        return Some(Hint {
            field: "value",
            message: "must not contain \"//\"",
            remedy: Some(format!("write {:?}", squeeze(path))),
        });
    }
    if message == "Must have port for Service reference" {
        return Some(Hint {
            field: "port",
            message: "is required for a Service",
            remedy: Some("add \"port\", the number of one of the Service's ports".to_owned()),
        });
    }
    None
}

fn squeeze(path: &str) -> String {
    let mut path = path.to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path
}
