//! Which of several matches wins, as numbers. Per the HTTPRoute specification, on one host: an exact path,
//! then the longest prefix, then a method, then the most headers, then the most query parameters; then
//! the older route, the first by `namespace/name`, the first rule. Regular expressions, whose place the
//! specification leaves open, stand between exact paths and prefixes, the longest text first.

use std::sync::Arc;

use fairway_model::matching::{HttpMatch, PathMatch, Rank};

use super::RouteHead;

/// Gives the rank of a match; everything but the rank is filled in already.
pub(crate) fn rank(
    head: &RouteHead<'_>,
    matched: &HttpMatch,
    rule: usize,
    position: usize,
) -> Rank {
    let (kind, length) = match &matched.path {
        // All exact paths that match one request are equal.
        PathMatch::Exact(_) | PathMatch::ExactIgnoreCase(_) => (0, 0),
        PathMatch::Regex(pattern) => (1, pattern.as_str().len()),
        PathMatch::Prefix(text)
        | PathMatch::StringPrefix(text)
        | PathMatch::PrefixIgnoreCase(text) => (2, text.len()),
    };
    let length = if kind == 0 { 0 } else { descending(length) };
    let specificity = [
        kind,
        length,
        u32::from(matched.methods.is_empty()),
        descending(matched.headers.len() + matched.cookies.len() + matched.clients.len().min(1)),
        descending(matched.query.len()),
    ];
    of(head, specificity, rule, position)
}

/// Gives the rank of a rule over connections: the older route wins.
pub(crate) fn of(
    head: &RouteHead<'_>,
    specificity: [u32; 5],
    rule: usize,
    position: usize,
) -> Rank {
    Rank {
        class: 0,
        specificity,
        created: head.created,
        object: Arc::clone(&head.object),
        rule: u32::try_from(rule).unwrap_or(u32::MAX),
        position: u32::try_from(position).unwrap_or(u32::MAX),
    }
}

/// Turns "more is better" round.
pub(crate) fn descending(count: usize) -> u32 {
    u32::MAX - u32::try_from(count).unwrap_or(u32::MAX)
}
