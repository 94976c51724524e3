//! Hostnames as users write them, and what two of them have in common.

use fairway_model::host::{HostPattern, WildcardDepth};

/// Reads a hostname of Gateway API: a DNS name, perhaps with `*.` before it, meaning any depth. An absent
/// or empty one means every host. `None` when it is no such name.
#[must_use]
pub(crate) fn parse(text: Option<&str>) -> Option<HostPattern> {
    let text = match text {
        None | Some("") => return Some(HostPattern::Any),
        Some(text) => text.to_ascii_lowercase(),
    };
    let name = text.strip_prefix("*.").unwrap_or(&text);
    is_dns_name(name).then(|| HostPattern::parse(&text)).flatten()
}

/// Reads a host of an Ingress: there `*.` stands for exactly one label (translation topic N6).
#[must_use]
pub(crate) fn parse_single_label(text: Option<&str>) -> Option<HostPattern> {
    Some(single_label(parse(text)?))
}

/// Makes a wildcard stand for exactly one label.
#[must_use]
pub(crate) fn single_label(pattern: HostPattern) -> HostPattern {
    match pattern {
        HostPattern::Wildcard { suffix, depth: _ } => {
            HostPattern::Wildcard { suffix, depth: WildcardDepth::One }
        }
        other @ (HostPattern::Any | HostPattern::Exact(_)) => other,
    }
}

/// Gives the hosts that fall under both patterns, or `None` when there are none.
#[must_use]
pub(crate) fn intersect(a: &HostPattern, b: &HostPattern) -> Option<HostPattern> {
    use HostPattern::{Any, Exact, Wildcard};
    match (a, b) {
        (Any, other) | (other, Any) => Some(other.clone()),
        (Exact(name), pattern) | (pattern, Exact(name)) => {
            pattern.matches(name).then(|| Exact(name.clone()))
        }
        (Wildcard { suffix: s, depth: d }, Wildcard { suffix: t, depth: e }) => {
            if s == t {
                let depth = if *d == WildcardDepth::One { WildcardDepth::One } else { *e };
                return Some(Wildcard { suffix: s.clone(), depth });
            }
            let (longer, depth, shorter, outer) =
                if s.len() > t.len() { (s, d, t, e) } else { (t, e, s, d) };
            // `*.a.example.com` has two labels before `.example.com`, so a single-label wildcard
            // holds none of them.
            let inside = longer.ends_with(&**shorter) && *outer == WildcardDepth::Many;
            inside.then(|| Wildcard { suffix: longer.clone(), depth: *depth })
        }
    }
}

fn is_dns_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(a: &str, b: &str) -> Option<String> {
        let a = HostPattern::parse(a).expect("a pattern");
        let b = HostPattern::parse(b).expect("a pattern");
        let there = intersect(&a, &b);
        assert_eq!(there, intersect(&b, &a), "the order does not matter");
        there.map(|pattern| pattern.to_string())
    }

    #[test]
    fn intersections() {
        let table = [
            ("*", "a.b", Some("a.b")),
            ("*.b", "a.b", Some("a.b")),
            ("*.b", "c.a.b", Some("c.a.b")),
            ("*.b", "b", None),
            ("*.b", "*.a.b", Some("*.a.b")),
            ("*.ab", "*.b", None),
            ("?.b", "*.b", Some("?.b")),
            ("?.b", "*.a.b", None),
            ("?.a.b", "*.b", Some("?.a.b")),
            ("a.b", "a.c", None),
        ];
        for (a, b, expected) in table {
            assert_eq!(both(a, b).as_deref(), expected, "{a} with {b}");
        }
    }

    #[test]
    fn user_text_cannot_be_a_pattern_of_another_kind() {
        assert_eq!(parse(Some("?.example.com")), None);
        assert_eq!(parse(Some("*")), None);
        assert_eq!(parse(Some("10.0.0.1:80")), None);
        assert_eq!(parse(Some("A.example.com")), HostPattern::parse("a.example.com"));
        assert_eq!(parse(None), Some(HostPattern::Any));
        assert_eq!(parse_single_label(Some("*.b.c")), HostPattern::parse("?.b.c"));
    }
}
