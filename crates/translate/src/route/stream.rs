//! Rules over connections and datagrams: TLSRoute, TCPRoute, UDPRoute, and TrafficRoutes that speak so.

use std::sync::Arc;

use fairway_api::own::traffic_route::{Plugins, TrafficMatch, TrafficRouteRule};
use fairway_api::route::{TcpRoute, TlsRoute, UdpRoute};
use fairway_model::route::{Rule, StreamRule};

use super::ledger::Ledger;
use super::rule::{block, ip_access, part};
use super::{LoweredRule, RouteHead, RouteOutcome, forward, lower, matches, rank};
use crate::backend::Speaks;
use crate::ground::Ground;
use crate::object::{Kind, ObjectKey};
use crate::policy::load_balancing;
use crate::verdict::Reason;

/// Lowers a TLSRoute.
pub(crate) fn tls_route(
    ground: &Ground<'_>,
    key: ObjectKey,
    route: &Arc<TlsRoute>,
) -> RouteOutcome {
    let spec = &route.spec;
    let head = (key, Kind::TlsRoute);
    let head = RouteHead::new(head, &route.metadata, &spec.parent_refs, &spec.hostnames, false);
    lower(ground, &head, route, |ledger| {
        let rules = spec.rules.iter().map(TrafficRouteRule::from).enumerate();
        rules.map(|(index, rule)| one(ledger, index, &rule, None)).collect()
    })
}

/// Lowers a TCPRoute.
pub(crate) fn tcp_route(
    ground: &Ground<'_>,
    key: ObjectKey,
    route: &Arc<TcpRoute>,
) -> RouteOutcome {
    let spec = &route.spec;
    let head =
        RouteHead::new((key, Kind::TcpRoute), &route.metadata, &spec.parent_refs, &[], false);
    lower(ground, &head, route, |ledger| {
        let rules = spec.rules.iter().map(TrafficRouteRule::from).enumerate();
        rules.map(|(index, rule)| one(ledger, index, &rule, None)).collect()
    })
}

/// Lowers a UDPRoute.
pub(crate) fn udp_route(
    ground: &Ground<'_>,
    key: ObjectKey,
    route: &Arc<UdpRoute>,
) -> RouteOutcome {
    let spec = &route.spec;
    let head =
        RouteHead::new((key, Kind::UdpRoute), &route.metadata, &spec.parent_refs, &[], false);
    lower(ground, &head, route, |ledger| {
        let rules = spec.rules.iter().map(TrafficRouteRule::from).enumerate();
        rules.map(|(index, rule)| one(ledger, index, &rule, None)).collect()
    })
}

/// Lowers one rule; what only makes sense for requests makes it invalid.
pub(crate) fn one(
    ledger: &mut Ledger<'_>,
    index: usize,
    rule: &TrafficRouteRule,
    defaults: Option<&Plugins>,
) -> LoweredRule {
    let asks = rule.matches.iter().any(|wanted| !is_default(wanted));
    if asks || !rule.filters.is_empty() || rule.session_persistence.is_some() {
        let why = "matches, filters and sessionPersistence are for protocols HTTP and GRPC";
        ledger.invalid(index, Reason::UnsupportedValue, why);
    }
    if asks_for_requests(&rule.plugins) || defaults.is_some_and(asks_for_requests) {
        let why = "timeouts, retry, rateLimit and healthCheck are for protocols HTTP and GRPC";
        ledger.invalid(index, Reason::UnsupportedValue, why);
    }
    let speaks = if ledger.head.speaks == Kind::UdpRoute { Speaks::Udp } else { Speaks::Tcp };
    let mut backends = forward::targets(ledger, index, &rule.backend_refs, speaks);
    let ip_access = part(ledger, index, ip_access(rule, defaults));
    let balance = block(rule, defaults, |plugins| plugins.load_balancing.as_ref());
    let balance = balance.map_or(Ok(Default::default()), load_balancing::read);
    let load_balancing = part(ledger, index, balance);
    if ledger.fault(index).is_some() {
        // Fail closed: without backends every connection is closed.
        backends.clear();
    }
    let rank = rank::of(ledger.head, [0; 5], index, 0);
    let rule_name = rule.name.as_deref().map(Arc::from);
    LoweredRule {
        place: format!("rule/{index}"),
        index,
        name: rule_name,
        rule: Some(Rule::Stream(StreamRule { rank, backends, load_balancing, ip_access })),
    }
}

/// Says whether a match is what the CRD writes into rules that have none: everything.
fn is_default(wanted: &TrafficMatch) -> bool {
    let path_is = wanted.path.as_ref().is_none_or(matches::is_default);
    path_is && *wanted == TrafficMatch { path: wanted.path.clone(), ..TrafficMatch::default() }
}

/// Says whether a block is there that only requests could be subject to: it is never left out silently.
fn asks_for_requests(plugins: &Plugins) -> bool {
    plugins.timeouts.is_some()
        || plugins.retry.is_some()
        || plugins.rate_limit.is_some()
        || plugins.health_check.is_some()
}
