//! Hostname patterns and how exactly one matched. Names are lower case ASCII without a trailing dot
//! or port; whoever brings a name in has made it so (`proxy::message`, `translate`).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A hostname as a listener or a route may name it. Written as `*`, `a.example.com`,
/// `*.example.com` (any depth) or `?.example.com` (exactly one label, as Ingress means `*.`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// Every host, a missing one included.
    Any,
    /// This host.
    Exact(Arc<str>),
    /// A host that ends in this suffix, which begins with a dot, and has something before it.
    Wildcard {
        /// Begins with a dot: `.example.com`.
        suffix: Arc<str>,
        /// How many labels may stand for the star.
        depth: WildcardDepth,
    },
}

/// How many labels a wildcard stands for (translation topic N6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WildcardDepth {
    /// One or more: Gateway API.
    Many,
    /// Exactly one: Ingress.
    One,
}

/// How exactly a hostname was matched: the lesser one wins. Per the HTTPRoute specification, exact
/// beats wildcard, then the longer one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostRank(u8, u32);

impl HostRank {
    /// Gives its two parts, for another form than serde's; [`Self::from_parts`] takes them.
    #[must_use]
    pub const fn parts(self) -> (u8, u32) {
        (self.0, self.1)
    }

    /// Puts together what [`Self::parts`] gave.
    #[must_use]
    pub const fn from_parts(parts: (u8, u32)) -> Self {
        Self(parts.0, parts.1)
    }
}

impl HostPattern {
    /// Parses the written form; `None` when it is not a hostname of that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let depth = match text.as_bytes().first()? {
            b'*' => Some(WildcardDepth::Many),
            b'?' => Some(WildcardDepth::One),
            _ => None,
        };
        match depth {
            Some(depth) => {
                let suffix = text.get(1..)?;
                let rest = suffix.strip_prefix('.')?;
                is_name(rest).then(|| Self::Wildcard { suffix: suffix.into(), depth })
            }
            None => is_name(text).then(|| Self::Exact(text.into())),
        }
    }

    /// Says whether this canonical host falls under the pattern.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => **name == *host,
            Self::Wildcard { suffix, depth } => match host.strip_suffix(&**suffix) {
                Some("") | None => false,
                Some(stars) => *depth == WildcardDepth::Many || !stars.contains('.'),
            },
        }
    }

    /// Gives the rank of this pattern among those that match one host.
    #[must_use]
    pub fn rank(&self) -> HostRank {
        let length = |text: &str| u32::MAX - u32::try_from(text.len()).unwrap_or(u32::MAX);
        match self {
            Self::Exact(name) => HostRank(0, length(name)),
            Self::Wildcard { suffix, depth: WildcardDepth::One } => HostRank(1, length(suffix)),
            Self::Wildcard { suffix, depth: WildcardDepth::Many } => HostRank(1, length(suffix)),
            Self::Any => HostRank(2, 0),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(
            |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'[' | b']'),
        )
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard { suffix, depth: WildcardDepth::Many } => write!(f, "*{suffix}"),
            Self::Wildcard { suffix, depth: WildcardDepth::One } => write!(f, "?{suffix}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not a hostname")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).expect("a pattern").matches(host)
    }

    #[test]
    fn wildcards_need_a_label() {
        assert!(matches("*.example.com", "a.example.com"));
        assert!(matches("*.example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", ".example.com"));
        assert!(matches("?.example.com", "a.example.com"));
        assert!(!matches("?.example.com", "a.b.example.com"));
        assert!(matches("*", ""));
    }

    #[test]
    fn exact_beats_longer_wildcard_beats_any() {
        let rank = |text| HostPattern::parse(text).expect("a pattern").rank();
        assert!(rank("a.b.c") < rank("*.a.very.long.example.com"));
        assert!(rank("*.a.example.com") < rank("*.example.com"));
        assert!(rank("*.example.com") < rank("*"));
    }

    #[test]
    fn written_form_round_trips() {
        for text in ["*", "a.example.com", "*.example.com", "?.example.com"] {
            assert_eq!(HostPattern::parse(text).expect("a pattern").to_string(), text);
        }
        for text in ["", "*example.com", "*.", "A.b", "a b", "*."] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }
}
