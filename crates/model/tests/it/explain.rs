//! What `explain` says is true: its winner is the index's, and each loser lost for the reason named.

use std::collections::BTreeSet;

use fairway_model::gateway::ListenerProtocol;
use fairway_model::host::HostRank;
use fairway_model::matching::{HttpMatch, Rank};
use fairway_model::route::Rule;
use fairway_model::select::Probe;
use fairway_model::select::explain::{
    Explanation, ListenerOutcome, RankKey, Reason, RuleOutcome, explain,
};
use fairway_model::{ListenerId, Model, Route, RouteId};
use proptest::collection::vec;
use proptest::prelude::{TestCaseError, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::cases;
use super::naive;
use super::routing::{PORTS, gateway_id, probe, routing};
use super::select::{compile, key};

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn explanations_are_true(
        model in routing(),
        port in select(PORTS.to_vec()),
        probes in vec(probe(), 8),
    ) {
        for probe in &probes {
            let explanation = explain(&model, &gateway_id(), port, probe);
            listeners_are_right(&model, port, probe, &explanation)?;
            let Some(listener) = &explanation.listener else {
                prop_assert_eq!((explanation.winner, explanation.rules), (None, vec![]));
                continue;
            };
            let asked = asked(&model, listener, probe);
            winner_is_right(&model, port, &asked, &explanation)?;
            everyone_is_there(&model, listener, &explanation)?;
            for verdict in &explanation.rules {
                if let RuleOutcome::Lost { matched, reason } = &verdict.outcome {
                    let winner = explanation.winner.as_ref();
                    let loser = Loser { model: &model, id: &verdict.route, matched: *matched, asked: &asked };
                    loser.lost_for(reason, winner)?;
                }
            }
        }
    }

    #[test]
    fn explanations_are_written_and_read(model in routing(), probe in probe()) {
        let explanation = explain(&model, &gateway_id(), 80, &probe);
        let text = serde_json::to_string(&explanation).unwrap();
        prop_assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation);
    }
}

/// A request at a listener. Those without names see no host.
struct Asked<'a> {
    listener: &'a ListenerId,
    http: bool,
    probe: Probe,
}

fn asked<'a>(model: &Model, listener: &'a ListenerId, probe: &Probe) -> Asked<'a> {
    let protocol = &model.listeners[listener].protocol;
    let mut probe = probe.clone();
    if matches!(protocol, ListenerProtocol::Tcp | ListenerProtocol::Udp) {
        probe.host.clear();
    }
    let http = matches!(protocol, ListenerProtocol::Http | ListenerProtocol::Https(_));
    Asked { listener, http, probe }
}

fn listeners_are_right(
    model: &Model,
    port: u16,
    probe: &Probe,
    explanation: &Explanation,
) -> Result<(), TestCaseError> {
    let nameless = model.listeners.iter().filter(|(_, listener)| {
        listener.port == port
            && matches!(listener.protocol, ListenerProtocol::Tcp | ListenerProtocol::Udp)
    });
    let expected = naive::listener(model, port, &probe.host, true)
        .or_else(|| naive::listener(model, port, &probe.host, false))
        .or_else(|| nameless.map(|(id, _)| id.clone()).next());
    prop_assert_eq!(&explanation.listener, &expected);
    let listed: Vec<&ListenerId> = explanation.listeners.iter().map(|v| &v.listener).collect();
    prop_assert_eq!(listed, model.listeners.keys().collect::<Vec<_>>());
    for verdict in &explanation.listeners {
        let listener = &model.listeners[&verdict.listener];
        let holds = naive::host_holds(&listener.hostname, &probe.host);
        match &verdict.outcome {
            ListenerOutcome::Won => prop_assert_eq!(Some(&verdict.listener), expected.as_ref()),
            ListenerOutcome::PortDiffers { port: named } => {
                prop_assert!(listener.port != port && listener.port == *named);
            }
            ListenerOutcome::HostDiffers { hostname } => {
                prop_assert!(!holds && listener.port == port && listener.hostname == *hostname);
            }
            ListenerOutcome::LessSpecific { hostname } => {
                prop_assert!(holds && expected.is_some());
                prop_assert!(listener.port == port && listener.hostname == *hostname);
            }
        }
    }
    Ok(())
}

fn winner_is_right(
    model: &Model,
    port: u16,
    asked: &Asked<'_>,
    explanation: &Explanation,
) -> Result<(), TestCaseError> {
    let table = compile(model);
    let port = table.port(gateway_id().as_str(), port).unwrap();
    let listener = port.listener(asked.listener.as_str()).unwrap();
    let expected = if asked.http {
        key(listener, &asked.probe).map(|(_, _, id, _)| id)
    } else {
        listener.select_stream(Some(&asked.probe.host), None).map(|route| route.id.clone())
    };
    prop_assert_eq!(&explanation.winner, &expected);
    let won: Vec<&RouteId> = explanation
        .rules
        .iter()
        .filter(|verdict| matches!(verdict.outcome, RuleOutcome::Won { .. }))
        .map(|verdict| &verdict.route)
        .collect();
    prop_assert_eq!(won, expected.iter().collect::<Vec<_>>());
    Ok(())
}

fn everyone_is_there(
    model: &Model,
    listener: &ListenerId,
    explanation: &Explanation,
) -> Result<(), TestCaseError> {
    let here = |route: &Route| route.attachments.iter().any(|a| a.listener == *listener);
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        model.routes.iter().partition(|(_, route)| here(route));
    let ids = |entries: Vec<(&RouteId, _)>| entries.into_iter().map(|(id, _)| id.clone()).collect();
    let here: BTreeSet<RouteId> = ids(here);
    let elsewhere: BTreeSet<RouteId> = ids(elsewhere);
    prop_assert_eq!(
        explanation.rules.iter().map(|v| v.route.clone()).collect::<BTreeSet<_>>(),
        here
    );
    let named: BTreeSet<_> = explanation.elsewhere.iter().map(|v| v.route.clone()).collect();
    prop_assert_eq!(named, elsewhere);
    Ok(())
}

struct Loser<'a> {
    model: &'a Model,
    id: &'a RouteId,
    matched: Option<usize>,
    asked: &'a Asked<'a>,
}

impl Loser<'_> {
    fn lost_for(&self, reason: &Reason, winner: Option<&RouteId>) -> Result<(), TestCaseError> {
        let route = &self.model.routes[self.id];
        let probe = &self.asked.probe;
        let hosts = naive::host_ranks(route, self.asked.listener, &probe.host);
        match (reason, &route.rule) {
            (Reason::HostDiffers, _) => prop_assert!(hosts.is_empty()),
            (Reason::ProtocolDiffers, rule) => {
                prop_assert_eq!(matches!(rule, Rule::Http(_)), !self.asked.http);
            }
            (Reason::OutrankedBy { route: named, by }, rule) => {
                prop_assert_eq!(Some(named), winner);
                if let (Rule::Http(rule), Some(matched)) = (rule, self.matched) {
                    prop_assert!(naive::match_holds(&rule.matches[matched], probe));
                }
                self.outranked(named, *by)?;
            }
            (reason, Rule::Http(rule)) => {
                prop_assert!(!hosts.is_empty());
                prop_assert!(!rule.matches.iter().any(|wanted| naive::match_holds(wanted, probe)));
                let wanted = &rule.matches[self.matched.unwrap()];
                prop_assert!(differs_so(wanted, probe, reason), "{:?}: {:?}", wanted, reason);
            }
            (reason, Rule::Stream(_)) => prop_assert!(false, "{:?} of a stream", reason),
        }
        Ok(())
    }

    /// The named key decides: all before it are equal, and it is less for the winner.
    fn outranked(&self, winner: &RouteId, by: RankKey) -> Result<(), TestCaseError> {
        let (winner_rank, loser_rank) = (self.rank_of(winner), self.rank_of(self.id));
        prop_assert!((&winner_rank, winner) < (&loser_rank, self.id));
        let (winner, loser) = (keys(&winner_rank), keys(&loser_rank));
        let decided = winner.iter().zip(&loser).find(|(winner, loser)| winner.1 != loser.1);
        match decided {
            Some((winner, loser)) => {
                prop_assert_eq!(winner.0, by);
                prop_assert!(winner.1 < loser.1);
            }
            None => prop_assert_eq!(by, RankKey::Id),
        }
        Ok(())
    }

    /// The least rank under which a rule matches the request.
    fn rank_of(&self, id: &RouteId) -> (HostRank, Rank) {
        let mut alone = self.model.clone();
        alone.routes.retain(|other, _| other == id);
        let (listener, probe) = (self.asked.listener, &self.asked.probe);
        let (host, rank, ..) = if self.asked.http {
            naive::select(&alone, listener, probe).unwrap()
        } else {
            naive::select_stream(&alone, listener, &probe.host).unwrap()
        };
        (host, rank)
    }
}

/// The keys of a rank in order, each turned into something that compares as it does.
fn keys((host, rank): &(HostRank, Rank)) -> Vec<(RankKey, (HostRank, i64, String))> {
    let number = |n: i64| (*host, n, String::new());
    let [kind, length, method, headers, query] = rank.specificity;
    vec![
        (RankKey::Host, number(0)),
        (RankKey::Class, number(rank.class.into())),
        (RankKey::PathKind, number(kind.into())),
        (RankKey::PathLength, number(length.into())),
        (RankKey::Method, number(method.into())),
        (RankKey::Headers, number(headers.into())),
        (RankKey::Query, number(query.into())),
        (RankKey::Created, number(rank.created)),
        (RankKey::Object, (*host, 0, rank.object.to_string())),
        (RankKey::Rule, number(rank.rule.into())),
        (RankKey::Position, number(rank.position.into())),
    ]
}

/// All that is looked at before holds, and what is named does not.
fn differs_so(wanted: &HttpMatch, probe: &Probe, reason: &Reason) -> bool {
    let first = |holds: bool, named: Reason| (!holds).then_some(named);
    let mut found = first(naive::path_holds(&wanted.path, &probe.path), Reason::PathDiffers)
        .or_else(|| first(naive::method_holds(wanted, probe), Reason::MethodDiffers));
    for field in &wanted.headers {
        let name = field.name.clone();
        found = found
            .or_else(|| first(naive::header_holds(field, probe), Reason::HeaderDiffers { name }));
    }
    for field in &wanted.query {
        let name = field.name.clone();
        found = found
            .or_else(|| first(naive::query_holds(field, probe), Reason::QueryDiffers { name }));
    }
    for field in &wanted.cookies {
        let name = field.name.clone();
        found = found
            .or_else(|| first(naive::cookie_holds(field, probe), Reason::CookieDiffers { name }));
    }
    found = found.or_else(|| first(naive::client_holds(wanted, probe), Reason::ClientDiffers));
    found.as_ref() == Some(reason)
}
