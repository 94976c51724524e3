//! Whether one match of one rule holds for one request. The index and `explain` both ask here, so
//! that there is one answer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use regex::Regex;

use super::request::Request;
use crate::matching::{FieldMatch, HttpMatch, PathMatch, ValueMatch};

/// The compiled patterns of one [`HttpMatch`]. The lists are empty when nothing in them is a
/// pattern.
#[derive(Debug, Default)]
pub(super) struct Regexes {
    path: Option<Regex>,
    headers: Vec<Option<Regex>>,
    query: Vec<Option<Regex>>,
    cookies: Vec<Option<Regex>>,
}

impl Regexes {
    pub(super) fn compile(wanted: &HttpMatch) -> Self {
        let path = match &wanted.path {
            PathMatch::Regex(pattern) => Some(pattern.compile()),
            PathMatch::Exact(_)
            | PathMatch::Prefix(_)
            | PathMatch::StringPrefix(_)
            | PathMatch::ExactIgnoreCase(_)
            | PathMatch::PrefixIgnoreCase(_) => None,
        };
        Self {
            path,
            headers: compile_fields(&wanted.headers),
            query: compile_fields(&wanted.query),
            cookies: compile_fields(&wanted.cookies),
        }
    }
}

fn compile_fields(fields: &[FieldMatch]) -> Vec<Option<Regex>> {
    let compiled: Vec<_> = fields
        .iter()
        .map(|field| match &field.value {
            ValueMatch::Regex(pattern) => Some(pattern.compile()),
            ValueMatch::Exact(_)
            | ValueMatch::Prefix(_)
            | ValueMatch::Suffix(_)
            | ValueMatch::Contains(_)
            | ValueMatch::Present => None,
        })
        .collect();
    if compiled.iter().any(Option::is_some) { compiled } else { Vec::new() }
}

/// The first thing in which a request differs from a match, in the order in which they are looked
/// at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    Path,
    Method,
    Header(Arc<str>),
    Query(Arc<str>),
    Cookie(Arc<str>),
    Client,
}

impl Miss {
    /// How far the evaluation came: of two misses, the deeper one is the nearer one.
    pub(super) fn depth(&self) -> u8 {
        match self {
            Self::Path => 0,
            Self::Method => 1,
            Self::Header(_) => 2,
            Self::Query(_) => 3,
            Self::Cookie(_) => 4,
            Self::Client => 5,
        }
    }
}

/// Looks at everything but the host, which belongs to the rule's attachment.
pub(super) fn evaluate(
    wanted: &HttpMatch,
    regexes: &Regexes,
    request: &impl Request,
) -> Result<(), Miss> {
    let HttpMatch { path, methods, headers, query, cookies, clients, rank: _ } = wanted;
    if !path_holds(path, regexes.path.as_ref(), request.path()) {
        return Err(Miss::Path);
    }
    if !methods.is_empty() && !methods.iter().any(|method| **method == *request.method()) {
        return Err(Miss::Method);
    }
    if let Some(field) = first_miss(headers, &regexes.headers, |name| request.header(name)) {
        return Err(Miss::Header(Arc::clone(&field.name)));
    }
    if !query.is_empty() {
        let raw = request.query().unwrap_or_default();
        if let Some(field) = first_miss(query, &regexes.query, |name| query_value(raw, name)) {
            return Err(Miss::Query(Arc::clone(&field.name)));
        }
    }
    if !cookies.is_empty() {
        let jar = request.header("cookie").unwrap_or_default();
        if let Some(field) = first_miss(cookies, &regexes.cookies, |name| cookie_value(&jar, name))
        {
            return Err(Miss::Cookie(Arc::clone(&field.name)));
        }
    }
    if clients.is_empty() || request.client().is_some_and(|client| any_holds(clients, client)) {
        Ok(())
    } else {
        Err(Miss::Client)
    }
}

fn path_holds(wanted: &PathMatch, regex: Option<&Regex>, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(value) => **value == *path,
        PathMatch::Prefix(value) => {
            path.strip_prefix(&**value).is_some_and(|rest| whole_segments(value, rest))
        }
        PathMatch::StringPrefix(value) => path.starts_with(&**value),
        PathMatch::Regex(pattern) => regex_holds(regex, pattern, path),
        PathMatch::ExactIgnoreCase(value) => value.eq_ignore_ascii_case(path),
        PathMatch::PrefixIgnoreCase(value) => {
            path.split_at_checked(value.len()).is_some_and(|(start, rest)| {
                value.eq_ignore_ascii_case(start) && whole_segments(value, rest)
            })
        }
    }
}

/// Says whether a prefix ends where a segment of the path ends (N1, N2).
fn whole_segments(prefix: &str, rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')
}

/// Gives the first field that does not hold. `value_of` gives the value of a name.
fn first_miss<'m, 'r>(
    fields: &'m [FieldMatch],
    regexes: &[Option<Regex>],
    value_of: impl Fn(&str) -> Option<Cow<'r, str>>,
) -> Option<&'m FieldMatch> {
    let holds = |place: usize, field: &FieldMatch| {
        let regex = regexes.get(place).and_then(Option::as_ref);
        let found = value_of(&field.name);
        found.is_some_and(|value| value_holds(&field.value, regex, &value)) != field.negate
    };
    fields.iter().enumerate().find(|(place, field)| !holds(*place, field)).map(|(_, field)| field)
}

fn value_holds(wanted: &ValueMatch, regex: Option<&Regex>, value: &str) -> bool {
    match wanted {
        ValueMatch::Exact(text) => **text == *value,
        ValueMatch::Prefix(text) => value.starts_with(&**text),
        ValueMatch::Suffix(text) => value.ends_with(&**text),
        ValueMatch::Contains(text) => value.contains(&**text),
        ValueMatch::Regex(pattern) => regex_holds(regex, pattern, value),
        ValueMatch::Present => true,
    }
}

fn regex_holds(regex: Option<&Regex>, pattern: &crate::matching::Pattern, text: &str) -> bool {
    debug_assert!(regex.is_some(), "{pattern:?} was not compiled with its match");
    regex.is_some_and(|regex| regex.is_match(text))
}

/// Says whether any of the networks holds the address. An IPv4 address that arrived on an IPv6
/// socket is the IPv4 address.
#[must_use]
pub(super) fn any_holds(networks: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    networks.iter().any(|network| network.contains(&client))
}

/// Gives the value of the first query parameter of a name (N11), both decoded; empty when it has
/// no `=`.
fn query_value<'r>(query: &'r str, name: &str) -> Option<Cow<'r, str>> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(value))
}

/// Undoes percent-encoding, `+` meaning a space. What then is not UTF-8 stays as it was sent, so
/// that two different texts never become one.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        let (value, after) = match (byte, after) {
            (b'+', _) => (b' ', after),
            (b'%', [high, low, further @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, further),
                (None, _) | (_, None) => (b'%', after),
            },
            (other, _) => (*other, after),
        };
        decoded.push(value);
        rest = after;
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Gives the value of the first cookie of a name.
fn cookie_value<'r>(jar: &'r str, name: &str) -> Option<Cow<'r, str>> {
    jar.split(';')
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| Cow::Borrowed(value))
}
