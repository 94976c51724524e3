//! What a rule asks of requests: TrafficRoute's matches (and, through them, HTTPRoute's and GRPCRoute's)
//! to the model's.

use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::own::traffic_route::{TrafficMatch, TrafficPathMatch};
use fairway_api::route::http::PathMatchType;
use fairway_model::matching::{HttpMatch, PathMatch, Pattern};
use ipnet::IpNet;

use super::RouteHead;
use super::fields::{Fields, fields};
use super::grpc;
use super::rank;
use crate::object::Kind;

/// Says whether a path is what the CRD fills in where none is written: every path.
pub(crate) fn is_default(path: &TrafficPathMatch) -> bool {
    path.kind.as_ref().is_none_or(|kind| *kind == PathMatchType::PathPrefix)
        && path.value.as_deref().is_none_or(|value| value == "/")
}

/// Reads one match.
pub(crate) fn read(
    head: &RouteHead<'_>,
    written: &TrafficMatch,
    rule: usize,
    position: usize,
) -> Result<HttpMatch, String> {
    let own =
        |field: &str, result: Result<_, String>| result.map_err(|why| format!("{field}: {why}"));
    let is_grpc = head.speaks == Kind::GrpcRoute;
    // The CRD fills in a path where none is written, whatever the protocol.
    let own_path = written.path.as_ref().filter(|path| !is_grpc || !is_default(path));
    let path = match (is_grpc, own_path, &written.grpc) {
        (true, Some(_), _) => return Err("path is for protocol HTTP: use grpc".to_owned()),
        (false, _, Some(_)) => return Err("grpc is for protocol GRPC: use path".to_owned()),
        (true, None, method) => grpc::path(method.as_ref())?,
        (false, path, None) => self::path(path)?,
    };
    let mut matched = HttpMatch {
        path,
        methods: methods(written)?,
        headers: own("headers", fields(&written.headers, Fields::Headers))?,
        query: own("queryParams", fields(&written.query_params, Fields::Query))?,
        cookies: own("cookies", fields(&written.cookies, Fields::Cookies))?,
        clients: networks("clientCIDRs", &written.client_cidrs)?,
        rank: rank::of(head, [0; 5], rule, position),
    };
    matched.rank = if is_grpc {
        grpc::rank(head, written.grpc.as_ref(), &matched, rule, position)
    } else {
        rank::rank(head, &matched, rule, position)
    };
    Ok(matched)
}

fn methods(written: &TrafficMatch) -> Result<Vec<Arc<str>>, String> {
    let mut methods: Vec<Arc<str>> = Vec::new();
    for method in written.method.iter().chain(&written.methods) {
        // Methods are case-sensitive (RFC 9110 9.1): `get` is not `GET`.
        let read =
            super::fields::header_name(method).map_err(|_why| format!("method {method:?}"))?;
        let same = read.eq_ignore_ascii_case(method);
        if same && !methods.iter().any(|known| **known == **method) {
            methods.push(method.as_str().into());
        }
    }
    methods.sort_unstable();
    Ok(methods)
}

/// Reads networks; an address alone is a network of one.
pub(crate) fn networks(field: &str, written: &[String]) -> Result<Vec<IpNet>, String> {
    let one = |text: &String| {
        let network = text.parse::<IpNet>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network
            .map(|network| network.trunc())
            .ok_or_else(|| format!("{field}: {text:?} is no network"))
    };
    let mut read: Vec<IpNet> = written.iter().map(one).collect::<Result<_, _>>()?;
    read.sort_unstable();
    read.dedup();
    Ok(read)
}

/// Reads a path match; an absent one is the prefix `/`.
fn path(written: Option<&TrafficPathMatch>) -> Result<PathMatch, String> {
    let Some(written) = written else { return Ok(PathMatch::Prefix("/".into())) };
    let text = written.value.as_deref().unwrap_or("/");
    let sensitive = written.case_sensitive.unwrap_or(true);
    match (written.kind.as_ref().unwrap_or(&PathMatchType::PathPrefix), sensitive) {
        (PathMatchType::Exact, true) => Ok(PathMatch::Exact(literal(text)?.into())),
        (PathMatchType::Exact, false) => {
            Ok(PathMatch::ExactIgnoreCase(literal(text)?.to_ascii_lowercase().into()))
        }
        (PathMatchType::PathPrefix, true) => Ok(PathMatch::Prefix(prefix(text)?.into())),
        (PathMatchType::PathPrefix, false) => {
            Ok(PathMatch::PrefixIgnoreCase(prefix(text)?.to_ascii_lowercase().into()))
        }
        (PathMatchType::StringPrefix, true) => Ok(PathMatch::StringPrefix(literal(text)?.into())),
        (PathMatchType::RegularExpression, true) => Pattern::parse(text)
            .map(PathMatch::Regex)
            .map_err(|why| format!("path {text:?}: {why}")),
        (kind @ (PathMatchType::StringPrefix | PathMatchType::RegularExpression), false) => {
            Err(format!("path: caseSensitive: false is not supported for {kind}"))
        }
        (PathMatchType::Other(word), _) => Err(format!("path: type {word} is not known")),
    }
}

/// `/foo/` means the same as `/foo` (HTTPPathMatch, `PathPrefix`).
pub(crate) fn prefix(text: &str) -> Result<String, String> {
    let read = literal(text)?;
    let trimmed = read.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

/// Reads a path as requests' paths are made canonical (N7, N8): escapes of unreserved characters are
/// undone, others written in upper case; characters that RFC 3986 does not allow plain in a path are
/// escaped; what no canonical path holds is refused.
pub(crate) fn literal(text: &str) -> Result<String, String> {
    let wrong = |why: &str| Err(format!("path {text:?}: {why}"));
    if !text.starts_with('/') {
        return wrong("a path begins with a slash");
    }
    if text.contains("//") || text.split('/').any(|part| part == "." || part == "..") {
        return wrong("empty and dot segments never reach a rule");
    }
    if text.bytes().any(|b| b.is_ascii_control() || b" ?#\\".contains(&b)) {
        return wrong("it holds characters that no path has");
    }
    let mut pieces = text.split('%');
    let mut read = String::with_capacity(text.len());
    escaped(pieces.next().unwrap_or_default(), &mut read);
    for piece in pieces {
        let Some((code, rest)) = piece.split_at_checked(2) else {
            return wrong("% is not followed by two hexadecimal digits");
        };
        let Ok(byte) = u8::from_str_radix(code, 16) else {
            return wrong("% is not followed by two hexadecimal digits");
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            read.push(char::from(byte));
        } else {
            read.push('%');
            read.push_str(&code.to_ascii_uppercase());
        }
        escaped(rest, &mut read);
    }
    Ok(read)
}

/// Appends text, with escapes for what cannot stand plain in a path (RFC 3986 3.3, `pchar`).
fn escaped(text: &str, read: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            read.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
            read.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_canonical() {
        assert_eq!(literal("/a%2f%41").as_deref(), Ok("/a%2FA"));
        assert_eq!(literal("/\u{fc}{a}\"").as_deref(), Ok("/%C3%BC%7Ba%7D%22"));
        assert_eq!(prefix("/").as_deref(), Ok("/"));
        assert_eq!(prefix("/a/").as_deref(), Ok("/a"));
        for wrong in ["", "a", "/a//b", "/a/../b", "/a?b", "/%", "/%zz", "/%2"] {
            assert!(literal(wrong).is_err(), "{wrong}");
        }
    }
}
