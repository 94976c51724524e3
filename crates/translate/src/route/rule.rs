//! Rules over requests. HTTPRoute's and GRPCRoute's are turned into TrafficRoute's first and lowered as
//! those, so that an HTTPRoute's spec pasted into a TrafficRoute means the same by construction.

use std::sync::Arc;

use fairway_api::own::TrafficRoute;
use fairway_api::own::traffic_route::{
    HostnameWildcard, Plugins, TrafficMatch, TrafficProtocol, TrafficRouteRule,
};
use fairway_api::route::{GrpcRoute, HttpRoute};
use fairway_model::matching::{HttpMatch, PathMatch};
use fairway_model::policy::{IpAccess, RateLimit};
use fairway_model::route::{Failure, Forward, HttpAction, HttpDialect, HttpRule, Rule};

use super::filters::{self, Filters, Site};
use super::ledger::Ledger;
use super::{LoweredRule, RouteHead, RouteOutcome, empty, forward, lower, matches, stream};
use crate::backend::Speaks;
use crate::ground::Ground;
use crate::object::{Kind, ObjectKey};
use crate::policy::{
    ip_access, load_balancing, passive_health, rate_limit, retry, session, timeouts,
};
use crate::verdict::Reason;

/// Lowers an HTTPRoute.
pub(crate) fn http_route(
    ground: &Ground<'_>,
    key: ObjectKey,
    route: &Arc<HttpRoute>,
) -> RouteOutcome {
    let spec = &route.spec;
    let head = (key, Kind::HttpRoute);
    let head = RouteHead::new(head, &route.metadata, &spec.parent_refs, &spec.hostnames, false);
    lower(ground, &head, route, |ledger| {
        let rules = spec.rules.iter().map(TrafficRouteRule::from).enumerate();
        rules.map(|(index, rule)| one(ledger, index, &rule, None)).collect()
    })
}

/// Lowers a GRPCRoute.
pub(crate) fn grpc_route(
    ground: &Ground<'_>,
    key: ObjectKey,
    route: &Arc<GrpcRoute>,
) -> RouteOutcome {
    let spec = &route.spec;
    let head = (key, Kind::GrpcRoute);
    let head = RouteHead::new(head, &route.metadata, &spec.parent_refs, &spec.hostnames, false);
    lower(ground, &head, route, |ledger| {
        let rules = spec.rules.iter().map(TrafficRouteRule::from).enumerate();
        rules.map(|(index, rule)| one(ledger, index, &rule, None)).collect()
    })
}

/// Lowers a TrafficRoute of any protocol.
pub(crate) fn traffic_route(
    ground: &Ground<'_>,
    key: ObjectKey,
    route: &Arc<TrafficRoute>,
) -> RouteOutcome {
    let spec = &route.spec;
    let speaks = match spec.protocol.as_ref().unwrap_or(&TrafficProtocol::Http) {
        TrafficProtocol::Http | TrafficProtocol::Other(_) => Kind::HttpRoute,
        TrafficProtocol::Grpc => Kind::GrpcRoute,
        TrafficProtocol::Tls => Kind::TlsRoute,
        TrafficProtocol::Tcp => Kind::TcpRoute,
        TrafficProtocol::Udp => Kind::UdpRoute,
    };
    let single_label =
        match spec.hostname_wildcard.as_ref().unwrap_or(&HostnameWildcard::MultiLabel) {
            HostnameWildcard::MultiLabel | HostnameWildcard::Other(_) => false,
            HostnameWildcard::SingleLabel => true,
        };
    let head = (key, speaks);
    let head =
        RouteHead::new(head, &route.metadata, &spec.parent_refs, &spec.hostnames, single_label);
    if spec.parent_refs.is_empty() {
        return empty(head.key, route);
    }
    lower(ground, &head, route, |ledger| {
        unknown_words(ledger, route);
        let rules = spec.rules.iter().enumerate();
        let defaults = spec.defaults.as_ref();
        if matches!(speaks, Kind::HttpRoute | Kind::GrpcRoute) {
            rules.map(|(index, rule)| one(ledger, index, rule, defaults)).collect()
        } else {
            rules.map(|(index, rule)| stream::one(ledger, index, rule, defaults)).collect()
        }
    })
}

/// A protocol or a wildcard depth that we do not know makes every rule invalid: what it would mean for
/// them nobody can say.
fn unknown_words(ledger: &mut Ledger<'_>, route: &TrafficRoute) {
    let mut say = |field: &str, word: &str| {
        for rule in 0..route.spec.rules.len() {
            ledger.invalid(
                rule,
                Reason::UnsupportedValue,
                &format!("{field}: {word} is not known"),
            );
        }
    };
    if let Some(TrafficProtocol::Other(word)) = &route.spec.protocol {
        say("protocol", word);
    }
    if let Some(HostnameWildcard::Other(word)) = &route.spec.hostname_wildcard {
        say("hostnameWildcard", word);
    }
}

/// The block that holds for a rule: its own, else the route's default. A block counts as a whole.
pub(crate) fn block<'a, T>(
    rule: &'a TrafficRouteRule,
    defaults: Option<&'a Plugins>,
    field: impl Fn(&'a Plugins) -> Option<&'a T>,
) -> Option<&'a T> {
    field(&rule.plugins).or_else(|| defaults.and_then(field))
}

/// Reads a part of a rule: a fault is noted and the part left at its default, as the rule fails anyway.
pub(crate) fn part<T: Default>(ledger: &mut Ledger<'_>, rule: usize, read: Result<T, String>) -> T {
    read.unwrap_or_else(|why| {
        ledger.invalid(rule, Reason::UnsupportedValue, &why);
        T::default()
    })
}

fn one(
    ledger: &mut Ledger<'_>,
    index: usize,
    rule: &TrafficRouteRule,
    defaults: Option<&Plugins>,
) -> LoweredRule {
    let is_grpc = ledger.head.speaks == Kind::GrpcRoute;
    let matches = read_matches(ledger, index, &rule.matches);
    let paths: Vec<&PathMatch> = matches.iter().map(|matched| &matched.path).collect();
    let speaks = if is_grpc { Speaks::Grpc } else { Speaks::Http };
    let site = Site { rule: index, field: "filters", speaks, paths: &paths, of_backend: false };
    let mut filters = filters::read(ledger, site, &rule.filters);
    let (ip_access, rate_limits) = guards(ledger, index, rule, defaults);
    let cors = filters.cors.take();
    let response_headers = std::mem::take(&mut filters.response_headers);
    let action = action(ledger, site, rule, defaults, filters);
    let action = match ledger.fault(index) {
        // A rule that cannot be served as written answers 500 where it matches, so that neither an auth
        // nor a rewrite is skipped and no other rule sees its requests.
        Some(fault) => {
            HttpAction::Fail(Failure { status: 500, reason: Arc::clone(&fault.message) })
        }
        None => action,
    };
    let dialect = if is_grpc { HttpDialect::Grpc } else { HttpDialect::Plain };
    let lowered =
        HttpRule { matches, dialect, ip_access, rate_limits, cors, action, response_headers };
    LoweredRule {
        place: format!("rule/{index}"),
        index,
        name: rule.name.as_deref().map(Arc::from),
        rule: (!lowered.matches.is_empty()).then(|| Rule::Http(Box::new(lowered))),
    }
}

/// Reads the alternatives. One that cannot be read is left out; a rule that says nothing matches all.
fn read_matches(ledger: &mut Ledger<'_>, rule: usize, written: &[TrafficMatch]) -> Vec<HttpMatch> {
    let all = [TrafficMatch::default()];
    let written = if written.is_empty() { &all } else { written };
    let mut read = Vec::with_capacity(written.len());
    for (position, matched) in written.iter().enumerate() {
        match matches::read(ledger.head, matched, rule, position) {
            Ok(matched) => read.push(matched),
            Err(why) => {
                let why = format!("matches[{position}]: {why}");
                ledger.invalid(rule, Reason::UnsupportedValue, &why);
            }
        }
    }
    read
}

/// Reads who may call: each list is the rule's own, else the route's default.
pub(crate) fn ip_access(
    rule: &TrafficRouteRule,
    defaults: Option<&Plugins>,
) -> Result<IpAccess, String> {
    let lists = |field: fn(&Plugins) -> &Vec<String>| {
        let own = Some(field(&rule.plugins)).filter(|list| !list.is_empty());
        own.or_else(|| defaults.map(field)).map_or(&[][..], Vec::as_slice)
    };
    ip_access::read(lists(|p| &p.ip_allow), lists(|p| &p.ip_deny))
}

fn guards(
    ledger: &mut Ledger<'_>,
    index: usize,
    rule: &TrafficRouteRule,
    defaults: Option<&Plugins>,
) -> (IpAccess, Vec<RateLimit>) {
    let access = ip_access(rule, defaults);
    let limits = block(rule, defaults, |plugins| plugins.rate_limit.as_ref());
    let limits = limits.map_or(Ok(Vec::new()), rate_limit::read);
    (part(ledger, index, access), part(ledger, index, limits))
}

fn action(
    ledger: &mut Ledger<'_>,
    site: Site<'_>,
    rule: &TrafficRouteRule,
    defaults: Option<&Plugins>,
    filters: Filters,
) -> HttpAction {
    let Filters { request_headers, mirrors, redirect, rewrite, respond, .. } = filters;
    if let Some(redirect) = redirect {
        return HttpAction::Redirect(redirect);
    }
    if let Some(respond) = respond {
        return HttpAction::Respond(respond);
    }
    let backends = match forward::backends(ledger, site, &rule.backend_refs) {
        Ok(backends) => backends,
        Err(failure) => return HttpAction::Fail(failure),
    };
    let index = site.rule;
    let waits = block(rule, defaults, |plugins| plugins.timeouts.as_ref());
    let again = block(rule, defaults, |plugins| plugins.retry.as_ref());
    let balance = block(rule, defaults, |plugins| plugins.load_balancing.as_ref());
    let health = block(rule, defaults, |plugins| plugins.health_check.as_ref());
    let health = health.and_then(|health| health.passive.as_ref());
    let stays = rule.session_persistence.as_ref();
    let marked = format!("{}/{index}", ledger.head.object);
    HttpAction::Forward(Box::new(Forward {
        backends,
        request_headers,
        rewrite,
        mirrors,
        timeouts: part(ledger, index, waits.map_or(Ok(Default::default()), timeouts::read)),
        retry: part(ledger, index, again.map_or(Ok(None), retry::read)),
        session: part(ledger, index, stays.map(|s| session::read(s, &marked)).transpose()),
        load_balancing: part(
            ledger,
            index,
            balance.map_or(Ok(Default::default()), load_balancing::read),
        ),
        passive_health: part(ledger, index, health.map(passive_health::read).transpose()),
    }))
}
