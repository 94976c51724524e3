//! What a rule asks of a request, and which of several matching rules wins.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de};

/// One alternative of an HTTP rule: everything in it must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpMatch {
    /// The canonical path, without the query.
    pub path: PathMatch,
    /// Request methods, any of which will do; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Arc<str>>,
    /// Header fields; repeated fields are joined by a comma before they are compared (N10).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<FieldMatch>,
    /// Query parameters; the first one of a name decides (N11). Names and values are compared
    /// after percent-decoding, `+` meaning a space.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<FieldMatch>,
    /// Cookies; the first one of a name decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<FieldMatch>,
    /// Networks, one of which must hold the client; none means all clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<IpNet>,
    /// Where it stands among others that match the same request and host pattern.
    pub rank: Rank,
}

/// What the canonical path must be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum PathMatch {
    /// This path, every byte of it.
    Exact(Arc<str>),
    /// This path or one below it, whole segments only. Without a trailing slash, save for `/`.
    Prefix(Arc<str>),
    /// A path that begins with this text, also in the middle of a segment.
    StringPrefix(Arc<str>),
    /// A path that the whole pattern matches.
    Regex(Pattern),
    /// [`PathMatch::Exact`] without regard to ASCII case; the value is lower case.
    ExactIgnoreCase(Arc<str>),
    /// [`PathMatch::Prefix`] without regard to ASCII case; the value is lower case.
    PrefixIgnoreCase(Arc<str>),
}

/// What a named field (header, query parameter, cookie) must be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldMatch {
    /// Lower case for headers; as written for query parameters and cookies.
    pub name: Arc<str>,
    /// What its value must be like.
    pub value: ValueMatch,
    /// Turns the answer round: a missing field then matches.
    #[serde(default, skip_serializing_if = "is_false")]
    pub negate: bool,
}

/// What a value must be like. A missing field matches none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ValueMatch {
    /// This value.
    Exact(Arc<str>),
    /// It begins so.
    Prefix(Arc<str>),
    /// It ends so.
    Suffix(Arc<str>),
    /// It holds this somewhere.
    Contains(Arc<str>),
    /// The whole pattern matches it.
    Regex(Pattern),
    /// Any value at all.
    Present,
}

/// A regular expression that is known to compile: the `regex` crate's syntax, matched against the
/// whole text (N4, N5), bounded in size when compiled.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Bytes that one compiled pattern may take; ten of a route's cannot hurt its neighbours.
    pub const SIZE_LIMIT: usize = 1 << 20;

    /// Checks that the text is a regular expression within bounds.
    ///
    /// # Errors
    /// Says what is wrong with it, in one line, for the user who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        compile(text)?;
        Ok(Self(text.into()))
    }

    /// Gives the expression as written, without anchors.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compiles it, anchored at both ends.
    ///
    /// # Panics
    /// Never: [`Pattern::parse`] has compiled the same text.
    #[must_use]
    pub fn compile(&self) -> regex::Regex {
        compile(&self.0).expect("a Pattern is made only from text that compiles")
    }
}

fn compile(text: &str) -> Result<regex::Regex, String> {
    // The text is compiled alone first: `a)|(b` would become valid between our own parentheses.
    regex_syntax_error(text)?;
    regex::RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(Pattern::SIZE_LIMIT)
        .build()
        .map_err(|error| one_line(&error))
}

fn regex_syntax_error(text: &str) -> Result<(), String> {
    regex::RegexBuilder::new(text)
        .size_limit(Pattern::SIZE_LIMIT)
        .build()
        .map(|_| ())
        .map_err(|error| one_line(&error))
}

/// The crate's message draws the pattern over several lines; its last line says what is wrong.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A total order over all matches of all routes: among those that match a request under the same
/// [`HostRank`](crate::host::HostRank), the least rank wins. Each front-end fills it in by its own
/// rules (Gateway API's precedence, say), so that another order is other numbers here and never
/// another matcher. Compared field by field, from the top.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rank {
    /// Which family of front-ends it came from: Gateway API's and TrafficRoute 0, Ingress 1.
    pub class: u8,
    /// How specific it is, the front-end's own keys, each already turned so that less is better:
    /// kind of path, length of its value, method, number of headers, number of query parameters,
    /// or what stands for them there (`select::explain` calls them so).
    pub specificity: [u32; 5],
    /// When the route was made, in seconds since 1970: the older one wins.
    pub created: i64,
    /// `namespace/name` of the route: the alphabetically first one wins.
    pub object: Arc<str>,
    /// The rule's place in its route.
    pub rule: u32,
    /// The match's place in its rule.
    pub position: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts_and_cannot_break_out() {
        let pattern = Pattern::parse("a|b").expect("valid").compile();
        assert!(pattern.is_match("a") && pattern.is_match("b") && !pattern.is_match("ab"));
        assert!(Pattern::parse("a)|(b").is_err());
        assert!(Pattern::parse("(?=a)").is_err(), "look-around has no linear-time engine");
        assert!(Pattern::parse("(((a{500}){500}){500})").is_err(), "size is bounded");
    }
}
