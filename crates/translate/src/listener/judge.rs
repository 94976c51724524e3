//! One listener by itself: what it means, and what is wrong with it.

use std::sync::Arc;

use fairway_api::gateway::{AllowedRoutes, GatewayTls, Listener, ListenerTls, Protocol, TlsMode};
use fairway_model::gateway::{ListenerProtocol, TlsTermination};
use fairway_model::host::HostPattern;

use super::allowed::AllowedNamespaces;
use super::certificate::{Key, Keyring, Trouble};
use super::conflict::Family;
use super::frontend::{Frontend, frontend};
use crate::hostname;
use crate::ingress::tls::{Brought, for_hostname};
use crate::object::Kind;
use crate::refs::Asker;
use crate::verdict::{Conditions, Reason};

/// What one listener comes to.
pub(crate) struct Judged {
    pub(crate) name: Arc<str>,
    pub(crate) port: u16,
    pub(crate) hostname: HostPattern,
    /// `None` for a protocol that we do not know.
    pub(crate) family: Option<Family>,
    /// Kinds that the protocol can carry.
    pub(crate) carries: &'static [Kind],
    /// Kinds that it takes: of those that it carries, those that are allowed.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) namespaces: AllowedNamespaces,
    /// What the model gets; `None` when it cannot be served as written.
    pub(crate) protocol: Option<ListenerProtocol>,
    /// Key material that `protocol` names.
    pub(crate) keys: Vec<Key>,
    /// Faults only; what holds is said when all is known.
    pub(crate) conditions: Conditions,
}

/// Where a listener stands.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    /// Who asks for its certificates.
    pub(crate) owner: Asker<'a>,
    /// Who asks for its Gateway's authorities.
    pub(crate) gateway: Asker<'a>,
    /// TLS of the whole Gateway.
    pub(crate) tls: Option<&'a GatewayTls>,
    /// Certificates that Ingresses bring.
    pub(crate) brought: &'a [&'a [Brought]],
}

/// Judges one listener.
pub(crate) fn judge(listener: &Listener, site: Site<'_>, keyring: &mut Keyring<'_>) -> Judged {
    let (family, carries) = carried(&listener.protocol);
    let mut conditions = Conditions::default();
    if family.is_none() {
        let message = format!(
            "protocol {} is not known: use HTTP, HTTPS, TLS, TCP or UDP",
            listener.protocol
        );
        conditions.say(Reason::UnsupportedProtocol, message);
    }
    let port = u16::try_from(listener.port).unwrap_or_default();
    if port == 0 {
        let message = format!("port {} is not one of 1 to 65535", listener.port);
        conditions.say(Reason::UnsupportedValue, message);
    }
    let reads_hostnames = matches!(family, Some(Family::Plain | Family::Tls));
    let hostname = if reads_hostnames { listener.hostname.as_deref() } else { None };
    let parsed = hostname::parse(hostname);
    if parsed.is_none() {
        let text = hostname.unwrap_or_default();
        conditions.say(Reason::UnsupportedValue, format!("hostname {text:?} is not a hostname"));
    }
    // Per GEP-5224 the message names the filter, and nothing is served without it.
    if let Some(filter) = listener.filters.as_ref().and_then(|filters| filters.requests.first()) {
        let message = format!(
            "filters.requests[0]: {}: filters of a listener are not supported: leave them out",
            filter.kind
        );
        conditions.say(Reason::UnsupportedValue, message);
    }
    let kinds = kinds(listener.allowed_routes.as_ref(), carries, &mut conditions);
    let mut judged = Judged {
        name: listener.name.as_str().into(),
        port,
        hostname: parsed.unwrap_or(HostPattern::Any),
        family,
        carries,
        kinds,
        namespaces: namespaces(listener.allowed_routes.as_ref()),
        protocol: None,
        keys: Vec::new(),
        conditions,
    };
    let protocol = protocol(listener, site, keyring, &mut judged);
    let accepted = judged.conditions.get(crate::verdict::Condition::Accepted).is_none();
    judged.protocol = protocol.filter(|_| accepted);
    judged
}

/// Which kinds of route each protocol carries.
fn carried(protocol: &Protocol) -> (Option<Family>, &'static [Kind]) {
    const HTTP: &[Kind] = &[Kind::HttpRoute, Kind::GrpcRoute, Kind::TrafficRoute];
    const TLS: &[Kind] = &[Kind::TlsRoute, Kind::TrafficRoute];
    const TCP: &[Kind] = &[Kind::TcpRoute, Kind::TrafficRoute];
    const UDP: &[Kind] = &[Kind::UdpRoute, Kind::TrafficRoute];
    match protocol {
        Protocol::Http => (Some(Family::Plain), HTTP),
        Protocol::Https => (Some(Family::Tls), HTTP),
        Protocol::Tls => (Some(Family::Tls), TLS),
        Protocol::Tcp => (Some(Family::Tcp), TCP),
        Protocol::Udp => (Some(Family::Udp), UDP),
        Protocol::Other(_) => (None, &[]),
    }
}

fn kinds(
    allowed: Option<&AllowedRoutes>,
    carries: &'static [Kind],
    conditions: &mut Conditions,
) -> Vec<Kind> {
    let wanted = allowed.map_or(&[][..], |allowed| &allowed.kinds);
    if wanted.is_empty() {
        return carries.to_vec();
    }
    let mut kinds = Vec::new();
    for entry in wanted {
        let known = carries.iter().find(|k| k.name() == entry.kind && k.group() == entry.group());
        match known {
            Some(kind) if !kinds.contains(kind) => kinds.push(*kind),
            Some(_) => {}
            None => {
                let message = format!(
                    "allowedRoutes.kinds: {} of group {} cannot hang on this protocol",
                    entry.kind,
                    entry.group()
                );
                conditions.say(Reason::InvalidRouteKinds, message);
            }
        }
    }
    kinds
}

fn namespaces(allowed: Option<&AllowedRoutes>) -> AllowedNamespaces {
    let from = allowed.and_then(|allowed| allowed.namespaces.as_ref());
    AllowedNamespaces::read(from, AllowedNamespaces::Same)
}

fn protocol(
    listener: &Listener,
    site: Site<'_>,
    keyring: &mut Keyring<'_>,
    judged: &mut Judged,
) -> Option<ListenerProtocol> {
    let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_ref());
    match (&listener.protocol, mode) {
        (Protocol::Http, _) => Some(ListenerProtocol::Http),
        (Protocol::Tcp, _) => Some(ListenerProtocol::Tcp),
        (Protocol::Udp, _) => Some(ListenerProtocol::Udp),
        (Protocol::Other(_), _) => None,
        (Protocol::Tls, Some(TlsMode::Passthrough)) => Some(ListenerProtocol::TlsPassthrough),
        (
            Protocol::Tls | Protocol::Https,
            Some(mode @ (TlsMode::Other(_) | TlsMode::Passthrough)),
        ) => {
            let message = format!("tls.mode {mode} is not supported for {}", listener.protocol);
            judged.conditions.say(Reason::UnsupportedValue, message);
            None
        }
        (Protocol::Tls, None | Some(TlsMode::Terminate)) => {
            let certificates = certificates(listener.tls.as_ref(), site, keyring, judged)?;
            let termination = TlsTermination { certificates, client_validation: None };
            Some(ListenerProtocol::TlsTerminate(termination))
        }
        (Protocol::Https, None | Some(TlsMode::Terminate)) => {
            let certificates = certificates(listener.tls.as_ref(), site, keyring, judged);
            let conditions = &mut judged.conditions;
            let client_validation =
                match frontend(site.tls, judged.port, site.gateway, keyring, conditions) {
                    Frontend::Open => None,
                    Frontend::Validated(validation, keys) => {
                        judged.keys.extend(keys);
                        Some(validation)
                    }
                    Frontend::Closed => return None,
                };
            let certificates = certificates?;
            Some(ListenerProtocol::Https(TlsTermination { certificates, client_validation }))
        }
    }
}

/// Looks up the certificates; one that is good enough is served although others are not.
fn certificates(
    tls: Option<&ListenerTls>,
    site: Site<'_>,
    keyring: &mut Keyring<'_>,
    judged: &mut Judged,
) -> Option<Vec<fairway_model::SecretId>> {
    let references = tls.map_or(&[][..], |tls| &tls.certificate_refs);
    let mut ids = Vec::new();
    for reference in references {
        let kind = (reference.group(), reference.kind());
        let name = (reference.namespace.as_deref(), reference.name.as_str());
        match keyring.certificate(site.owner, kind, name) {
            Ok(key) => {
                ids.push(key.0.clone());
                judged.keys.push(key);
            }
            Err(trouble) => {
                let reason = match trouble {
                    Trouble::NotPermitted(_) => Reason::RefNotPermitted,
                    Trouble::Kind(_) | Trouble::Broken(_) => Reason::InvalidCertificateRef,
                };
                let message = format!("tls.certificateRefs: {}", trouble.message());
                judged.conditions.say(reason, message);
            }
        }
    }
    for brought in site.brought {
        for key in for_hostname(brought, &judged.hostname) {
            if !ids.contains(&key.0) {
                ids.push(key.0.clone());
                judged.keys.push(key.clone());
            }
        }
    }
    if references.is_empty() && ids.is_empty() {
        let message = "tls.certificateRefs is empty: name a Secret of type kubernetes.io/tls";
        judged.conditions.say(Reason::InvalidCertificateRef, message);
    }
    (!ids.is_empty()).then_some(ids)
}
