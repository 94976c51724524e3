//! The specification written down once more, as plainly as can be and without a look at the
//! matcher: collect every alternative that holds, sort, take the first.

use fairway_model::gateway::ListenerProtocol;
use fairway_model::host::{HostPattern, HostRank};
use fairway_model::matching::{FieldMatch, HttpMatch, PathMatch, Pattern, Rank, ValueMatch};
use fairway_model::route::Rule;
use fairway_model::select::Probe;
use fairway_model::{ListenerId, Model, Route, RouteId};

/// What decides between alternatives, in order.
pub(crate) type Key = (HostRank, Rank, RouteId, usize);

/// Gives the match that a request meets at a listener.
pub(crate) fn select(model: &Model, listener: &ListenerId, probe: &Probe) -> Option<Key> {
    let mut all = Vec::new();
    for (id, route) in &model.routes {
        let Rule::Http(rule) = &route.rule else { continue };
        for rank in host_ranks(route, listener, &probe.host) {
            for (matched, wanted) in rule.matches.iter().enumerate() {
                if match_holds(wanted, probe) {
                    all.push((rank, wanted.rank.clone(), id.clone(), matched));
                }
            }
        }
    }
    all.sort();
    all.into_iter().next()
}

/// Gives the rule over streams that a connection meets at a listener.
pub(crate) fn select_stream(model: &Model, listener: &ListenerId, name: &str) -> Option<Key> {
    let mut all = Vec::new();
    for (id, route) in &model.routes {
        let Rule::Stream(rule) = &route.rule else { continue };
        for rank in host_ranks(route, listener, name) {
            all.push((rank, rule.rank.clone(), id.clone(), 0));
        }
    }
    all.sort();
    all.into_iter().next()
}

/// Gives the listener on a port that answers for a host, or with `tls` for a server name.
pub(crate) fn listener(model: &Model, port: u16, host: &str, tls: bool) -> Option<ListenerId> {
    let mut fitting: Vec<_> = model
        .listeners
        .iter()
        .filter(|(_, listener)| listener.port == port && host_holds(&listener.hostname, host))
        .filter(|(_, listener)| match listener.protocol {
            ListenerProtocol::Https(_) => true,
            ListenerProtocol::Http => !tls,
            ListenerProtocol::TlsPassthrough | ListenerProtocol::TlsTerminate(_) => tls,
            ListenerProtocol::Tcp | ListenerProtocol::Udp => false,
        })
        .map(|(id, listener)| {
            let text = listener.hostname.to_string();
            let kind = match text.chars().next() {
                Some('*') if text == "*" => 2,
                Some('*' | '?') => 1,
                _ => 0,
            };
            (kind, usize::MAX - text.len(), text.starts_with('*'), id)
        })
        .collect();
    fitting.sort();
    fitting.first().map(|(_, _, _, id)| (*id).clone())
}

/// Gives the ranks of the hosts under which a route is attached to a listener and that match.
pub(crate) fn host_ranks(route: &Route, listener: &ListenerId, host: &str) -> Vec<HostRank> {
    let mut ranks = Vec::new();
    for attachment in &route.attachments {
        for attached in &attachment.hosts {
            if attachment.listener == *listener && host_holds(&attached.pattern, host) {
                ranks.push(attached.rank);
            }
        }
    }
    ranks
}

/// Label by label, from the right.
pub(crate) fn host_holds(pattern: &HostPattern, host: &str) -> bool {
    let text = pattern.to_string();
    if text == "*" {
        return true;
    }
    let mut wanted: Vec<&str> = text.split('.').rev().collect();
    let labels: Vec<&str> = host.split('.').rev().collect();
    match *wanted.last().unwrap() {
        "*" => {
            wanted.pop();
            // Whatever stands before the suffix is one label or more, and not nothing.
            labels.len() > wanted.len()
                && labels[..wanted.len()] == wanted[..]
                && !(labels.len() == wanted.len() + 1 && labels[wanted.len()].is_empty())
        }
        "?" => {
            wanted.pop();
            labels.len() == wanted.len() + 1
                && labels[..wanted.len()] == wanted[..]
                && !labels[wanted.len()].is_empty()
        }
        _ => labels == wanted,
    }
}

pub(crate) fn match_holds(wanted: &HttpMatch, probe: &Probe) -> bool {
    path_holds(&wanted.path, &probe.path)
        && method_holds(wanted, probe)
        && wanted.headers.iter().all(|field| header_holds(field, probe))
        && wanted.query.iter().all(|field| query_holds(field, probe))
        && wanted.cookies.iter().all(|field| cookie_holds(field, probe))
        && client_holds(wanted, probe)
}

pub(crate) fn path_holds(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(text) => path == &**text,
        PathMatch::Prefix(text) => below(text, path),
        PathMatch::StringPrefix(text) => path.chars().take(text.chars().count()).eq(text.chars()),
        PathMatch::Regex(pattern) => regex_holds(pattern, path),
        PathMatch::ExactIgnoreCase(text) => path.to_ascii_lowercase() == **text,
        PathMatch::PrefixIgnoreCase(text) => below(text, &path.to_ascii_lowercase()),
    }
}

/// Segment by segment.
fn below(prefix: &str, path: &str) -> bool {
    let segments =
        |text: &str| -> Vec<String> { text.split('/').skip(1).map(str::to_owned).collect() };
    let wanted: Vec<String> = segments(prefix).into_iter().filter(|s| !s.is_empty()).collect();
    path.starts_with('/')
        && segments(path).iter().zip(&wanted).filter(|(a, b)| a == b).count() == wanted.len()
}

fn regex_holds(pattern: &Pattern, text: &str) -> bool {
    let whole = format!(r"\A(?:{})\z", pattern.as_str());
    regex::Regex::new(&whole).unwrap().is_match(text)
}

pub(crate) fn method_holds(wanted: &HttpMatch, probe: &Probe) -> bool {
    wanted.methods.is_empty() || wanted.methods.iter().any(|method| **method == *probe.method)
}

pub(crate) fn header_holds(field: &FieldMatch, probe: &Probe) -> bool {
    let values: Vec<&str> = probe
        .headers
        .iter()
        .filter(|(name, _)| *name == *field.name)
        .map(|(_, value)| value.as_str())
        .collect();
    let value = (!values.is_empty()).then(|| values.join(","));
    field_holds(field, value.as_deref())
}

pub(crate) fn query_holds(field: &FieldMatch, probe: &Probe) -> bool {
    let query = probe.query.clone().unwrap_or_default();
    for pair in query.split('&') {
        let mut parts = pair.splitn(2, '=');
        let name = parts.next().unwrap();
        if decoded(name) == *field.name {
            return field_holds(field, Some(&decoded(parts.next().unwrap_or(""))));
        }
    }
    field_holds(field, None)
}

fn decoded(text: &str) -> String {
    let hex = |digits: &[u8]| {
        let text = std::str::from_utf8(digits).ok()?;
        text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(text, 16).unwrap())
    };
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' if at + 2 < bytes.len() && hex(&bytes[at + 1..at + 3]).is_some() => {
                out.extend(hex(&bytes[at + 1..at + 3]));
                at += 2;
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

pub(crate) fn cookie_holds(field: &FieldMatch, probe: &Probe) -> bool {
    for (_, jar) in probe.headers.iter().filter(|(name, _)| name == "cookie") {
        for pair in jar.split(';') {
            let pair = pair.trim();
            if let Some((name, value)) = pair.split_once('=')
                && *name == *field.name
            {
                return field_holds(field, Some(value));
            }
        }
    }
    field_holds(field, None)
}

fn field_holds(field: &FieldMatch, value: Option<&str>) -> bool {
    let holds = match (value, &field.value) {
        (None, _) => false,
        (Some(_), ValueMatch::Present) => true,
        (Some(value), ValueMatch::Exact(text)) => value == &**text,
        (Some(value), ValueMatch::Prefix(text)) => value.find(&**text) == Some(0),
        (Some(value), ValueMatch::Suffix(text)) => {
            value.chars().rev().take(text.chars().count()).eq(text.chars().rev())
        }
        (Some(value), ValueMatch::Contains(text)) => value.find(&**text).is_some(),
        (Some(value), ValueMatch::Regex(pattern)) => regex_holds(pattern, value),
    };
    if field.negate { !holds } else { holds }
}

pub(crate) fn client_holds(wanted: &HttpMatch, probe: &Probe) -> bool {
    let Some(client) = probe.client else { return wanted.clients.is_empty() };
    let client = match client {
        std::net::IpAddr::V6(address) => {
            address.to_ipv4_mapped().map_or(client, std::net::IpAddr::V4)
        }
        std::net::IpAddr::V4(_) => client,
    };
    wanted.clients.is_empty() || wanted.clients.iter().any(|network| network.contains(&client))
}
