//! Header modifiers: remove, then set, then add.

use fairway_model::filter::{HeaderField, HeaderModifier};

use crate::message::{HeaderName, HeaderValue, Headers};

/// Fields that say how a message is framed. They are written by the codecs alone; a modifier that
/// names one changes nothing.
const FRAMING: [&str; 5] =
    ["content-length", "transfer-encoding", "connection", "upgrade", "keep-alive"];

/// Applies a modifier. `host` is the authority's matter ([`super::rewrite`]) and passed over here.
pub(crate) fn apply(modifier: &HeaderModifier, headers: &mut Headers) {
    for name in &modifier.remove {
        if !FRAMING.contains(&&**name) {
            headers.remove(name);
        }
    }
    for field in &modifier.set {
        if let Some((name, value)) = parts(field) {
            headers.set(name, value);
        }
    }
    for field in &modifier.add {
        if let Some((name, value)) = parts(field) {
            headers.append(name, value);
        }
    }
}

/// The model's fields are valid; what is not is rather left out than sent.
fn parts(field: &HeaderField) -> Option<(HeaderName, HeaderValue)> {
    if FRAMING.contains(&&*field.name) || &*field.name == "host" {
        return None;
    }
    let name = HeaderName::parse(field.name.as_bytes().to_vec()).ok()?;
    let value = HeaderValue::parse(field.value.as_bytes().to_vec()).ok()?;
    Some((name, value))
}

/// Gives the host that a modifier sets, if it names one: Gateway API lets `Host` be set so.
pub(crate) fn host(modifier: &HeaderModifier) -> Option<&str> {
    let all = modifier.set.iter().chain(&modifier.add);
    all.filter(|field| &*field.name == "host").map(|field| &*field.value).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> HeaderField {
        HeaderField { name: name.into(), value: value.into() }
    }

    #[test]
    fn removes_then_sets_then_adds() {
        let pair = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = Headers::from_iter([pair("a", "1"), pair("b", "1"), pair("c", "1")]);
        let modifier = HeaderModifier {
            remove: vec!["a".into(), "content-length".into()],
            set: vec![field("b", "2"), field("d", "1"), field("host", "other.example")],
            add: vec![field("c", "2"), field("transfer-encoding", "chunked")],
        };
        apply(&modifier, &mut headers);
        let all: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        let text = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let mut expected = vec![text("b", "2"), text("c", "1"), text("c", "2"), text("d", "1")];
        let mut found = all;
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(host(&modifier), Some("other.example"));
    }
}
