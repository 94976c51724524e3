//! What one Gateway does with a request, in the words of the user's objects.

use std::net::SocketAddr;

use fairway_model::filter::Mirror;
use fairway_model::matching::PathMatch;
use fairway_model::route::{
    BackendTarget, Failure, Forward, HttpAction, HttpRule, Route, Rule, StreamRule, WeightedBackend,
};
use fairway_model::select::Explanation;
use fairway_model::select::explain::{RuleOutcome, RuleVerdict};
use fairway_model::{ClusterId, Gateway, Model, RouteId};
use fairway_proxy::message::forward::Client;
use fairway_proxy::preview;
use serde::Serialize;

use super::asked::Asked;
use super::words;

/// See the module.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) gateway: String,
    pub(super) addresses: Vec<std::net::IpAddr>,
    pub(super) port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listener: Option<Listener>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<Winner>,
    /// Every other rule that is attached to the Gateway, and why it does not answer.
    pub(super) other_rules: Vec<Loser>,
    pub(super) other_listeners: Vec<Loser>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) protocol: &'static str,
    pub(super) hostname: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Winner {
    pub(super) rule: String,
    #[serde(rename = "match")]
    pub(super) matched: String,
    pub(super) host: String,
    #[serde(flatten)]
    pub(super) action: Action,
    /// What happens before the action: limits, address lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) before: Vec<String>,
}

/// What the rule does.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    Backends(Vec<Backend>),
    /// Fairway answers itself.
    Answers(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backend {
    pub(super) backend: String,
    pub(super) weight: u32,
    /// Share of the requests in percent.
    pub(super) percent: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) endpoints: Vec<SocketAddr>,
    /// Request line, host and fields that it sees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) sees: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fails: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) copies: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Loser {
    pub(super) name: String,
    pub(super) why: String,
}

/// Puts an explanation into words.
pub(super) fn answer(
    model: &Model,
    gateway_name: String,
    gateway: &Gateway,
    explanation: &Explanation,
    asked: &Asked,
) -> Answer {
    let listener = explanation.listener.as_ref().and_then(|id| model.listeners.get(id));
    let others = explanation.listeners.iter().filter_map(|verdict| {
        let name = model.listeners.get(&verdict.listener)?.name.to_string();
        Some(Loser { name, why: words::listener_lost(&verdict.outcome)? })
    });
    Answer {
        gateway: gateway_name,
        addresses: gateway.addresses.clone(),
        port: explanation.port,
        listener: listener.map(|listener| Listener {
            name: listener.name.to_string(),
            protocol: words::protocol(&listener.protocol),
            hostname: words::host(&listener.hostname),
        }),
        rule: winner(model, explanation, asked),
        other_rules: losers(model, explanation),
        other_listeners: others.collect(),
    }
}

fn losers(model: &Model, explanation: &Explanation) -> Vec<Loser> {
    let named = |id: &RouteId| model.routes.get(id).map(|route| words::origin(&route.origin));
    let winner = explanation.winner.as_ref().and_then(named);
    let lost = |verdict: &RuleVerdict| {
        let RuleOutcome::Lost { matched, reason } = &verdict.outcome else { return None };
        let route = model.routes.get(&verdict.route)?;
        let why = words::reason(reason, winner.as_deref());
        let demands = demands(route, *matched);
        let name = words::origin(&route.origin);
        let why = if demands.is_empty() { why } else { format!("{why} (it wants {demands})") };
        Some(Loser { name, why })
    };
    let mut losers: Vec<Loser> = explanation.rules.iter().filter_map(lost).collect();
    for elsewhere in &explanation.elsewhere {
        let listeners = elsewhere.listeners.iter().filter_map(|id| model.listeners.get(id));
        let names: Vec<&str> = listeners.map(|listener| &*listener.name).collect();
        let why = format!("it is attached to other listeners only: {}", names.join(", "));
        losers.extend(named(&elsewhere.route).map(|name| Loser { name, why }));
    }
    losers
}

/// What a rule asks for: the match that came nearest, or its hosts.
fn demands(route: &Route, matched: Option<usize>) -> String {
    let at = |rule: &HttpRule| matched.and_then(|nth| rule.matches.get(nth)).map(words::demands);
    let wanted = match &route.rule {
        Rule::Http(rule) => at(rule),
        Rule::Stream(_) => None,
    };
    wanted.unwrap_or_else(|| {
        let hosts = route.attachments.iter().flat_map(|attachment| &attachment.hosts);
        let mut hosts: Vec<String> = hosts.map(|host| words::host(&host.pattern)).collect();
        hosts.sort();
        hosts.dedup();
        hosts.join(", ")
    })
}

fn winner(model: &Model, explanation: &Explanation, asked: &Asked) -> Option<Winner> {
    let id = explanation.winner.as_ref()?;
    let route = model.routes.get(id)?;
    let verdict = explanation.rules.iter().find(|verdict| verdict.route == *id)?;
    let RuleOutcome::Won { matched, host } = &verdict.outcome else { return None };
    let (matched, action, before) = match &route.rule {
        Rule::Http(rule) => {
            let wanted = rule.matches.get(*matched)?;
            let action = action(model, rule, &wanted.path, asked);
            (words::demands(wanted), action, before(rule, asked))
        }
        Rule::Stream(rule) => {
            ("every connection".to_owned(), stream(model, rule, asked), Vec::new())
        }
    };
    let rule = words::origin(&route.origin);
    Some(Winner { rule, matched, host: words::host(host), action, before })
}

fn before(rule: &HttpRule, asked: &Asked) -> Vec<String> {
    let mut before = Vec::new();
    if !preview::allows(&rule.ip_access, asked.client) {
        before.push(format!("the client {} is not let in: 403", asked.client));
    }
    for limit in &rule.rate_limits {
        let seconds = limit.period.duration().as_secs_f64();
        before.push(format!(
            "beyond {} requests in {seconds} s (burst {}): {}",
            limit.requests, limit.burst, limit.status
        ));
    }
    before
}

fn action(model: &Model, rule: &HttpRule, matched: &PathMatch, asked: &Asked) -> Action {
    match &rule.action {
        HttpAction::Forward(forward) => {
            let total = forward.backends.iter().map(|backend| u64::from(backend.weight)).sum();
            let shown = forward.backends.iter().map(|backend| {
                let mut shown = target(model, &backend.target, backend.weight, total);
                shown.sees = sees(forward, backend, matched, asked);
                let mirrors = forward.mirrors.iter().chain(&backend.mirrors);
                shown.copies = mirrors.map(|mirror| copy(model, mirror)).collect();
                shown
            });
            Action::Backends(shown.collect())
        }
        HttpAction::Redirect(redirect) => {
            let location = preview::location(redirect, matched, &asked.head, asked.port);
            Action::Answers(match location {
                Ok(location) => format!("{} to {location}", redirect.status),
                Err(error) => format!("500: {error}"),
            })
        }
        HttpAction::Respond(response) => {
            let length = response.body.len();
            Action::Answers(format!("{} with a body of {length} bytes", response.status))
        }
        HttpAction::Fail(failure) => Action::Answers(failed(failure)),
    }
}

fn stream(model: &Model, rule: &StreamRule, asked: &Asked) -> Action {
    if !preview::allows(&rule.ip_access, asked.client) {
        let text = format!("the client {} is not let in: the connection is closed", asked.client);
        return Action::Answers(text);
    }
    let total = rule.backends.iter().map(|backend| u64::from(backend.weight)).sum();
    let shown = rule.backends.iter();
    Action::Backends(
        shown.map(|backend| target(model, &backend.target, backend.weight, total)).collect(),
    )
}

fn target(model: &Model, target: &BackendTarget, weight: u32, total: u64) -> Backend {
    let percent = |total: u64| 100.0 * f64::from(weight) / precise(total);
    let mut shown = Backend {
        backend: String::new(),
        weight,
        percent: if total == 0 { 0.0 } else { percent(total) },
        endpoints: Vec::new(),
        sees: Vec::new(),
        fails: None,
        copies: Vec::new(),
    };
    match target {
        BackendTarget::Cluster(id) => {
            shown.backend = cluster(model, id);
            let endpoints = model.endpoints.get(id).map(|endpoints| &endpoints.0[..]);
            shown.endpoints =
                endpoints.unwrap_or_default().iter().map(|endpoint| endpoint.address).collect();
        }
        BackendTarget::Fail(failure) => {
            "a reference that leads nowhere".clone_into(&mut shown.backend);
            shown.fails = Some(failed(failure));
        }
    }
    shown
}

/// Weights are at most 1,000,000 each and few, so nothing is lost.
fn precise(total: u64) -> f64 {
    u32::try_from(total).map_or(f64::MAX, f64::from)
}

fn failed(failure: &Failure) -> String {
    format!("{}: {}", failure.status, failure.reason)
}

fn cluster(model: &Model, id: &ClusterId) -> String {
    let Some(cluster) = model.clusters.get(id) else { return id.to_string() };
    let tls = if cluster.tls.is_some() { " by TLS" } else { "" };
    let protocol = words::backend_protocol(cluster.protocol);
    format!("Service {}/{}:{} ({protocol}{tls})", cluster.namespace, cluster.service, cluster.port)
}

fn copy(model: &Model, mirror: &Mirror) -> String {
    let share = format!("{} of {} requests", mirror.numerator, mirror.denominator);
    match &mirror.target {
        BackendTarget::Cluster(id) => format!("{share} to {}", cluster(model, id)),
        BackendTarget::Fail(failure) => format!("none: {}", failed(failure)),
    }
}

fn sees(
    forward: &Forward,
    backend: &WeightedBackend,
    matched: &PathMatch,
    asked: &Asked,
) -> Vec<String> {
    let mut head = asked.head.clone();
    let client = Client { address: asked.client, port: asked.port, trusted: false };
    if let Err(error) = preview::forward(&mut head, &client, forward, backend, matched) {
        return vec![format!("nothing: {error}; the client gets 500")];
    }
    let mut lines = vec![
        format!("{} {}", head.method.as_str(), head.path_and_query()),
        format!("host: {}", head.authority),
    ];
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    lines.extend(head.headers.iter().map(|(name, value)| format!("{name}: {}", text(value))));
    lines
}
