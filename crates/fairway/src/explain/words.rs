//! The model's matches and protocols in words for people.

use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::host::HostPattern;
use fairway_model::matching::{FieldMatch, HttpMatch, PathMatch, ValueMatch};
use fairway_model::route::Origin;
use fairway_model::select::explain::{ListenerOutcome, Reason};

/// `TrafficRoute shop/cart rule 0 "cart"`.
pub(super) fn origin(origin: &Origin) -> String {
    let Origin { kind, namespace, name, rule, .. } = origin;
    let named = origin.rule_name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
    format!("{kind} {namespace}/{name} rule {rule}{named}")
}

pub(super) fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => "any host".to_owned(),
        HostPattern::Exact(_) | HostPattern::Wildcard { .. } => pattern.to_string(),
    }
}

pub(super) const fn protocol(protocol: &ListenerProtocol) -> &'static str {
    match protocol {
        ListenerProtocol::Http => "HTTP",
        ListenerProtocol::Https(_) => "HTTPS",
        ListenerProtocol::TlsTerminate(_) => "TLS, terminated",
        ListenerProtocol::TlsPassthrough => "TLS, passed through",
        ListenerProtocol::Tcp => "TCP",
        ListenerProtocol::Udp => "UDP",
    }
}

pub(super) const fn backend_protocol(protocol: BackendProtocol) -> &'static str {
    match protocol {
        BackendProtocol::Http => "http",
        BackendProtocol::H2c => "h2c",
        BackendProtocol::Tcp => "tcp",
        BackendProtocol::Udp => "udp",
    }
}

/// All that a match asks for.
pub(super) fn demands(wanted: &HttpMatch) -> String {
    let mut parts = vec![path(&wanted.path)];
    if !wanted.methods.is_empty() {
        parts.push(format!("method {}", wanted.methods.join(" or ")));
    }
    let all = [
        ("header", &wanted.headers),
        ("query parameter", &wanted.query),
        ("cookie", &wanted.cookies),
    ];
    for (what, fields) in all {
        parts.extend(fields.iter().map(|wanted| field(what, wanted)));
    }
    if !wanted.clients.is_empty() {
        let networks: Vec<String> = wanted.clients.iter().map(ToString::to_string).collect();
        parts.push(format!("client in {}", networks.join(" or ")));
    }
    parts.join(", ")
}

pub(super) fn path(wanted: &PathMatch) -> String {
    match wanted {
        PathMatch::Exact(value) => format!("path {value}"),
        PathMatch::Prefix(value) => format!("path prefix {value}"),
        PathMatch::StringPrefix(value) => format!("path beginning with {value}"),
        PathMatch::Regex(pattern) => format!("path of the form {}", pattern.as_str()),
        PathMatch::ExactIgnoreCase(value) => format!("path {value} in any case"),
        PathMatch::PrefixIgnoreCase(value) => format!("path prefix {value} in any case"),
    }
}

fn field(what: &str, wanted: &FieldMatch) -> String {
    let not = if wanted.negate { "not " } else { "" };
    let name = &wanted.name;
    match &wanted.value {
        ValueMatch::Exact(value) => format!("{what} {name} {not}{value:?}"),
        ValueMatch::Prefix(value) => format!("{what} {name} {not}beginning with {value:?}"),
        ValueMatch::Suffix(value) => format!("{what} {name} {not}ending in {value:?}"),
        ValueMatch::Contains(value) => format!("{what} {name} {not}containing {value:?}"),
        ValueMatch::Regex(pattern) => {
            format!("{what} {name} {not}of the form {}", pattern.as_str())
        }
        ValueMatch::Present => format!("{what} {name} {not}present"),
    }
}

/// Why a listener does not take the request; nothing when it does.
pub(super) fn listener_lost(outcome: &ListenerOutcome) -> Option<String> {
    match outcome {
        ListenerOutcome::Won => None,
        ListenerOutcome::PortDiffers { port } => Some(format!("it listens on port {port}")),
        ListenerOutcome::HostDiffers { hostname } => {
            Some(format!("its hostname {} does not match", host(hostname)))
        }
        ListenerOutcome::LessSpecific { hostname } => {
            Some(format!("its hostname {} matches less exactly", host(hostname)))
        }
    }
}

/// Says why a rule lost; `outranking` names the winner as users do.
pub(super) fn reason(reason: &Reason, outranking: Option<&str>) -> String {
    if let (Reason::OutrankedBy { by, .. }, Some(winner)) = (reason, outranking) {
        return format!("it matches, but {winner} {by}");
    }
    reason.to_string()
}
