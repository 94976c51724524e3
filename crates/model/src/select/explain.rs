//! Why a request meets the rule it meets: the winner from the compiled index, and for every other
//! rule the reason why it lost, from evaluating it alone.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Table;
use super::compiled::CompiledRoute;
use super::evaluate::Miss;
use super::port::{ListenerTable, PortTable, Selected};
use super::request::Request;
use crate::gateway::{Listener, ListenerProtocol};
use crate::host::{HostPattern, HostRank};
use crate::matching::Rank;
use crate::route::Rule;
use crate::{GatewayId, ListenerId, Model, RouteId};

/// What happens to a request at a port of a gateway, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Explanation {
    /// Which gateway was asked.
    pub gateway: GatewayId,
    /// Which of its ports, as declared.
    pub port: u16,
    /// The listener that takes the request; none answers 404, or ends the TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<ListenerId>,
    /// The rule that takes it; none answers 404, or closes the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<RouteId>,
    /// Every listener of the gateway, by Id.
    pub listeners: Vec<ListenerVerdict>,
    /// Every rule that is attached to the listener, by Id.
    pub rules: Vec<RuleVerdict>,
    /// Rules that are attached to other listeners of the gateway only, by Id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
}

/// What became of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenerVerdict {
    /// Which one.
    pub listener: ListenerId,
    /// Why it takes the request or does not.
    pub outcome: ListenerOutcome,
}

/// Why a listener takes a request or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ListenerOutcome {
    /// It does.
    Won,
    /// It listens on another port.
    PortDiffers {
        /// That port.
        port: u16,
    },
    /// Its hostname does not match the request's host.
    HostDiffers {
        /// That hostname.
        hostname: HostPattern,
    },
    /// Its hostname matches too, and that of the winner more exactly; or it speaks a protocol that
    /// does not ask for a host, while the winner's does.
    LessSpecific {
        /// Its hostname.
        hostname: HostPattern,
    },
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleVerdict {
    /// Which one.
    pub route: RouteId,
    /// Whether it takes the request.
    pub outcome: RuleOutcome,
}

/// Whether a rule takes a request, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum RuleOutcome {
    /// It does.
    Won {
        /// Place of the match that holds in the rule's `matches`.
        matched: usize,
        /// Under which host of the route.
        host: HostPattern,
    },
    /// It does not.
    Lost {
        /// The match that came nearest; none when no host of the rule matches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matched: Option<usize>,
        /// What it failed at.
        reason: Reason,
    },
}

/// Why a rule lost. Things are looked at in this order, and the first that differs is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Reason {
    /// None of its hosts matches the request's.
    HostDiffers,
    /// It is a rule over requests on a listener of streams, or the other way round.
    ProtocolDiffers,
    /// The path is another.
    PathDiffers,
    /// The method is another.
    MethodDiffers,
    /// A header field is missing or has another value.
    HeaderDiffers {
        /// Its name, lower case.
        name: Arc<str>,
    },
    /// A query parameter is missing or has another value.
    QueryDiffers {
        /// Its name.
        name: Arc<str>,
    },
    /// A cookie is missing or has another value.
    CookieDiffers {
        /// Its name.
        name: Arc<str>,
    },
    /// The client's address is in none of the networks, or not known.
    ClientDiffers,
    /// It matches, and another rule that does comes first.
    OutrankedBy {
        /// The winner.
        route: RouteId,
        /// What decided.
        by: RankKey,
    },
}

/// What decides between two rules that both match, in order (see
/// [`Rank`](crate::matching::Rank)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RankKey {
    /// How exact the hostname is.
    Host,
    /// Which family of front-ends it came from.
    Class,
    /// The kind of path match: exact before prefix before regular expression.
    PathKind,
    /// The length of the path's value.
    PathLength,
    /// Whether it names a method.
    Method,
    /// How many header fields it names.
    Headers,
    /// How many query parameters it names.
    Query,
    /// The age of the route.
    Created,
    /// Namespace and name of the route, by alphabet.
    Object,
    /// The rule's place in its route.
    Rule,
    /// The match's place in its rule.
    Position,
    /// The Id: ranks that are equal throughout.
    Id,
}

/// A rule that cannot take the request, since its listeners do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Elsewhere {
    /// Which one.
    pub route: RouteId,
    /// Where it is attached.
    pub listeners: Vec<ListenerId>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostDiffers => f.write_str("none of its hosts matches"),
            Self::ProtocolDiffers => f.write_str("the listener speaks another protocol"),
            Self::PathDiffers => f.write_str("the path differs"),
            Self::MethodDiffers => f.write_str("the method differs"),
            Self::HeaderDiffers { name } => write!(f, "header {name} differs"),
            Self::QueryDiffers { name } => write!(f, "query parameter {name} differs"),
            Self::CookieDiffers { name } => write!(f, "cookie {name} differs"),
            Self::ClientDiffers => f.write_str("the client's address is not in its networks"),
            Self::OutrankedBy { route, by } => write!(f, "it matches, but {route} {by}"),
        }
    }
}

impl fmt::Display for RankKey {
    /// Says it of the winner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "has the more exact hostname",
            Self::Class => "comes from a kind of route that goes first",
            Self::PathKind => "has the more exact kind of path",
            Self::PathLength => "has the longer path",
            Self::Method => "names a method",
            Self::Headers => "names more headers",
            Self::Query => "names more query parameters",
            Self::Created => "is older",
            Self::Object => "comes first by namespace and name",
            Self::Rule => "is an earlier rule of the same route",
            Self::Position => "has an earlier match",
            Self::Id => "comes first by its Id",
        })
    }
}

/// Explains a request at a declared port of a gateway. The request's host is taken as its TLS
/// server name too. Compiles the model; who has a table asks [`Table::explain`].
#[must_use]
pub fn explain(
    model: &Model,
    gateway: &GatewayId,
    port: u16,
    request: &impl Request,
) -> Explanation {
    Table::compile(model, &mut |_, _| ()).explain(gateway, port, request)
}

impl<X> Table<X> {
    /// Explains a request, see [`explain`].
    #[must_use]
    pub fn explain(&self, gateway: &GatewayId, port: u16, request: &impl Request) -> Explanation {
        let table = self.port(gateway.as_str(), port);
        let listener = table.and_then(|table| listener_of(table, request.host()));
        let winner = listener.and_then(|listener| winner_of(listener, request));
        let (rules, elsewhere) = self.verdicts(gateway, listener, winner.as_ref(), request);
        Explanation {
            gateway: gateway.clone(),
            port,
            listener: listener.map(|listener| listener.id().clone()),
            winner: winner.map(|winner| winner.route.id.clone()),
            listeners: self.listener_verdicts(gateway, port, listener, request.host()),
            rules,
            elsewhere,
        }
    }

    fn listener_verdicts(
        &self,
        gateway: &GatewayId,
        asked: u16,
        winner: Option<&ListenerTable<X>>,
        host: &str,
    ) -> Vec<ListenerVerdict> {
        let won = |id: &ListenerId| winner.is_some_and(|winner| winner.id() == id);
        let mut verdicts: Vec<_> = self
            .listeners_of(gateway)
            .map(|(id, listener)| {
                let hostname = listener.hostname.clone();
                let outcome = match listener.port {
                    _ if won(id) => ListenerOutcome::Won,
                    port if port != asked => ListenerOutcome::PortDiffers { port },
                    _ if hostname.matches(host) => ListenerOutcome::LessSpecific { hostname },
                    _ => ListenerOutcome::HostDiffers { hostname },
                };
                ListenerVerdict { listener: id.clone(), outcome }
            })
            .collect();
        verdicts.sort_unstable_by(|a, b| a.listener.cmp(&b.listener));
        verdicts
    }

    fn listeners_of(
        &self,
        gateway: &GatewayId,
    ) -> impl Iterator<Item = (&ListenerId, &Arc<Listener>)> {
        self.listeners
            .iter()
            .filter_map(|(id, slot)| Some((id, slot.listener.as_ref()?)))
            .filter(move |(_, listener)| listener.gateway == *gateway)
    }

    fn verdicts(
        &self,
        gateway: &GatewayId,
        listener: Option<&ListenerTable<X>>,
        winner: Option<&Selected<'_, X>>,
        request: &impl Request,
    ) -> (Vec<RuleVerdict>, Vec<Elsewhere>) {
        let mut rules = Vec::new();
        let mut elsewhere = Vec::new();
        for (id, route) in self.routes.iter() {
            let attached = || route.route.attachments.iter().map(|attachment| &attachment.listener);
            match listener.filter(|table| attached().any(|id| id == table.id())) {
                Some(table) => {
                    let outcome = outcome_of(route, table, winner, request);
                    rules.push(RuleVerdict { route: id.clone(), outcome });
                }
                None => {
                    let ours = |id: &&ListenerId| {
                        let slot = self.listeners.get(id.as_str());
                        let listener = slot.and_then(|slot| slot.listener.as_ref());
                        listener.is_some_and(|listener| listener.gateway == *gateway)
                    };
                    let listeners: Vec<_> = attached().filter(ours).cloned().collect();
                    if !listeners.is_empty() {
                        elsewhere.push(Elsewhere { route: id.clone(), listeners });
                    }
                }
            }
        }
        rules.sort_unstable_by(|a, b| a.route.cmp(&b.route));
        elsewhere.sort_unstable_by(|a, b| a.route.cmp(&b.route));
        (rules, elsewhere)
    }
}

/// Gives the listener that a request comes to: by server name where TLS is spoken, else by host,
/// else the one that asks for neither.
fn listener_of<'a, X>(port: &'a PortTable<X>, host: &str) -> Option<&'a ListenerTable<X>> {
    let asks_for_nothing = |table: &&ListenerTable<X>| match table.listener().protocol {
        ListenerProtocol::Tcp | ListenerProtocol::Udp => true,
        ListenerProtocol::Http
        | ListenerProtocol::Https(_)
        | ListenerProtocol::TlsTerminate(_)
        | ListenerProtocol::TlsPassthrough => false,
    };
    port.listener_for_server_name(Some(host))
        .or_else(|| port.listener_for_host(host))
        .or_else(|| port.listeners().find(asks_for_nothing))
}

/// What a listener reads of a request: all of it, the server name, or nothing.
enum Reads<'r> {
    Request(&'r str),
    ServerName(&'r str),
}

impl<'r> Reads<'r> {
    fn of<X>(listener: &ListenerTable<X>, request: &'r impl Request) -> Self {
        match listener.listener().protocol {
            ListenerProtocol::Http | ListenerProtocol::Https(_) => Self::Request(request.host()),
            ListenerProtocol::TlsTerminate(_) | ListenerProtocol::TlsPassthrough => {
                Self::ServerName(request.host())
            }
            ListenerProtocol::Tcp | ListenerProtocol::Udp => Self::ServerName(""),
        }
    }
}

fn winner_of<'a, X>(
    listener: &'a ListenerTable<X>,
    request: &impl Request,
) -> Option<Selected<'a, X>> {
    match Reads::of(listener, request) {
        Reads::Request(_) => listener.select(request),
        Reads::ServerName(name) => listener.best_stream(name),
    }
}

/// Evaluates one rule alone, without any index.
fn outcome_of<X>(
    route: &Arc<CompiledRoute<X>>,
    listener: &ListenerTable<X>,
    winner: Option<&Selected<'_, X>>,
    request: &impl Request,
) -> RuleOutcome {
    if let Some(winner) = winner.filter(|winner| winner.route.id == route.id) {
        let host = winner.host.pattern.clone();
        return RuleOutcome::Won { matched: winner.matched, host };
    }
    let host = match (Reads::of(listener, request), &route.route.rule) {
        (Reads::Request(host), Rule::Http(_)) | (Reads::ServerName(host), Rule::Stream(_)) => host,
        (Reads::Request(_), Rule::Stream(_)) | (Reads::ServerName(_), Rule::Http(_)) => {
            return RuleOutcome::Lost { matched: None, reason: Reason::ProtocolDiffers };
        }
    };
    let hosts = matching_hosts(route, listener.id(), host);
    let Some(host) = hosts.min() else {
        return RuleOutcome::Lost { matched: None, reason: Reason::HostDiffers };
    };
    match alone(route, request) {
        Ok(matched) => {
            let winner = winner.expect("the index proposes every rule that holds alone");
            let by = decisive(
                (winner.host.rank, winner.route.rank(winner.matched)),
                (host, route.rank(matched)),
            );
            let reason = Reason::OutrankedBy { route: winner.route.id.clone(), by };
            RuleOutcome::Lost { matched: Some(matched), reason }
        }
        Err((matched, miss)) => {
            RuleOutcome::Lost { matched: Some(matched), reason: reason_of(miss) }
        }
    }
}

/// Gives the ranks of the hosts under which a rule is attached to a listener and that match.
fn matching_hosts<X>(
    route: &CompiledRoute<X>,
    listener: &ListenerId,
    host: &str,
) -> impl Iterator<Item = HostRank> {
    let attachments = route.route.attachments.iter();
    attachments
        .filter(move |attachment| attachment.listener == *listener)
        .flat_map(|attachment| &attachment.hosts)
        .filter(move |attached| attached.pattern.matches(host))
        .map(|attached| attached.rank)
}

/// Evaluates all matches of a rule: gives the first by rank of those that hold, else the one that
/// came nearest with what it failed at.
fn alone<X>(route: &CompiledRoute<X>, request: &impl Request) -> Result<usize, (usize, Miss)> {
    let all = 0..route.alternatives();
    match &route.route.rule {
        Rule::Stream(_) => Ok(0),
        Rule::Http(_) => {
            let holds = |matched: &usize| route.evaluate(*matched, request).is_ok();
            let first = all.clone().filter(holds).min_by_key(|matched| route.rank(*matched));
            first.ok_or_else(|| {
                let misses =
                    all.filter_map(|at| route.evaluate(at, request).err().map(|miss| (at, miss)));
                misses
                    .max_by(|(a_at, a), (b_at, b)| a.depth().cmp(&b.depth()).then(b_at.cmp(a_at)))
                    .unwrap_or((0, Miss::Path))
            })
        }
    }
}

fn reason_of(miss: Miss) -> Reason {
    match miss {
        Miss::Path => Reason::PathDiffers,
        Miss::Method => Reason::MethodDiffers,
        Miss::Header(name) => Reason::HeaderDiffers { name },
        Miss::Query(name) => Reason::QueryDiffers { name },
        Miss::Cookie(name) => Reason::CookieDiffers { name },
        Miss::Client => Reason::ClientDiffers,
    }
}

/// Gives the first key in which two ranks differ.
fn decisive(winner: (HostRank, Option<&Rank>), loser: (HostRank, Option<&Rank>)) -> RankKey {
    if winner.0 != loser.0 {
        return RankKey::Host;
    }
    let (Some(winner), Some(loser)) = (winner.1, loser.1) else { return RankKey::Id };
    let Rank { class, specificity, created, object, rule, position } = winner;
    let [kind, length, method, headers, query] = specificity;
    let [other_kind, other_length, other_method, other_headers, other_query] = &loser.specificity;
    let keys = [
        (*class != loser.class, RankKey::Class),
        (kind != other_kind, RankKey::PathKind),
        (length != other_length, RankKey::PathLength),
        (method != other_method, RankKey::Method),
        (headers != other_headers, RankKey::Headers),
        (query != other_query, RankKey::Query),
        (*created != loser.created, RankKey::Created),
        (*object != loser.object, RankKey::Object),
        (*rule != loser.rule, RankKey::Rule),
        (*position != loser.position, RankKey::Position),
    ];
    keys.into_iter().find(|(differs, _)| *differs).map_or(RankKey::Id, |(_, key)| key)
}
