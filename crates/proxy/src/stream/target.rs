//! Where a connection or a session goes: its rule, that rule's share, an endpoint.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fairway_model::RouteId;
use fairway_model::policy::{HashSource, IpAccess, LoadBalancing};
use fairway_model::route::{BackendTarget, Rule, StreamRule, WeightedTarget};
use rand::Rng;

use crate::generation::{ClusterState, EndpointState, Generation, ListenerState};

/// What was chosen for a connection or a session.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) route: RouteId,
    pub(crate) cluster: Arc<ClusterState>,
    /// The endpoint, and after it those to try when it cannot be reached.
    pub(crate) endpoints: Vec<Arc<EndpointState>>,
}

/// How many endpoints are tried.
const TRIES: usize = 3;

/// Chooses. `None` when no rule lets this client in, or its share leads nowhere: then the
/// connection is closed, the datagram dropped.
pub(crate) fn choose(
    generation: &Generation,
    listener: &ListenerState,
    server_name: Option<&str>,
    client: IpAddr,
) -> Option<Target> {
    let of = &listener.listener;
    let table = generation.table.port(of.gateway.as_str(), of.port)?;
    let table = table.listener(listener.id.as_str())?;
    let route = table.select_stream(server_name, Some(client))?;
    let Rule::Stream(rule) = &route.route.rule else { return None };
    if !allowed(&rule.ip_access, client) {
        return None;
    }
    let turn = route.extra.turn.fetch_add(1, Ordering::Relaxed);
    let cluster = match &share(&rule.backends, turn)?.target {
        BackendTarget::Cluster(id) => Arc::clone(generation.cluster(id)?),
        BackendTarget::Fail(_) => return None,
    };
    let endpoints = endpoints(&cluster, rule, client, turn);
    (!endpoints.is_empty()).then(|| Target { route: route.id.clone(), cluster, endpoints })
}

/// Says whether a session's target would still be one of its rule's, so that it may stay with it.
pub(crate) fn still_stands(
    generation: &Generation,
    target: &Target,
    endpoint: &Arc<EndpointState>,
) -> bool {
    let Some(route) = generation.table.route(target.route.as_str()) else { return false };
    let Rule::Stream(rule) = &route.route.rule else { return false };
    let named = rule.backends.iter().any(|backend| match &backend.target {
        BackendTarget::Cluster(id) => *id == target.cluster.id && backend.weight > 0,
        BackendTarget::Fail(_) => false,
    });
    let cluster = generation.cluster(&target.cluster.id);
    named
        && cluster.is_some_and(|cluster| {
            cluster.endpoints().iter().any(|known| Arc::ptr_eq(known, endpoint))
        })
}

/// The address lists; an IPv4 client on an IPv6 socket is one of IPv4.
fn allowed(access: &IpAccess, client: IpAddr) -> bool {
    let client = client.to_canonical();
    !access.deny.iter().any(|net| net.contains(&client))
        && (access.allow.is_empty() || access.allow.iter().any(|net| net.contains(&client)))
}

/// Gives each backend its share. Turns are spread by the golden ratio, which keeps any run of them
/// close to the weights, where random numbers would wander off.
fn share(backends: &[WeightedTarget], turn: u32) -> Option<&WeightedTarget> {
    const GOLDEN: u32 = 0x9E37_79B9;
    let total: u64 = backends.iter().map(|backend| u64::from(backend.weight)).sum();
    let mut point = (u64::from(turn.wrapping_mul(GOLDEN)) * total) >> 32;
    backends.iter().find(|backend| {
        let weight = u64::from(backend.weight);
        let hit = point < weight;
        point = point.saturating_sub(weight);
        hit
    })
}

fn endpoints(
    cluster: &ClusterState,
    rule: &StreamRule,
    client: IpAddr,
    turn: u32,
) -> Vec<Arc<EndpointState>> {
    let usable = cluster.usable();
    if usable.is_empty() {
        return Vec::new();
    }
    let in_turn = usize::try_from(turn).unwrap_or_default() % usable.len();
    let random = || rand::rng().random_range(0..usable.len());
    let first = match &rule.load_balancing {
        LoadBalancing::RoundRobin => in_turn,
        LoadBalancing::Random => random(),
        LoadBalancing::LeastRequest => {
            let (one, other) = (random(), random());
            if busy(usable, other) < busy(usable, one) { other } else { one }
        }
        LoadBalancing::ConsistentHash(HashSource::ClientIp) => hashed(usable, client),
        // A stream has none of these: it is balanced in turn.
        LoadBalancing::ConsistentHash(
            HashSource::Header(_)
            | HashSource::Cookie(_)
            | HashSource::Path
            | HashSource::QueryParam(_),
        ) => in_turn,
    };
    let (before, from) = usable.split_at(first);
    from.iter().chain(before).take(TRIES).cloned().collect()
}

fn busy(endpoints: &[Arc<EndpointState>], at: usize) -> u32 {
    endpoints.get(at).map_or(u32::MAX, |endpoint| endpoint.in_flight.load(Ordering::Relaxed))
}

/// Rendezvous hashing: of all endpoints the one that likes this client most, so that the coming or
/// going of one moves no client between others. The seed is fixed, so that all processes agree.
fn hashed(endpoints: &[Arc<EndpointState>], client: IpAddr) -> usize {
    let hasher = foldhash::quality::FixedState::with_seed(0);
    let liking = |endpoint: &Arc<EndpointState>| hasher.hash_one((endpoint.address, client));
    let best = endpoints.iter().enumerate().max_by_key(|(_, endpoint)| liking(endpoint));
    best.map_or(0, |(at, _)| at)
}

/// Counts a connection to an endpoint for as long as it stands.
pub(crate) struct InFlight(Arc<EndpointState>);

impl InFlight {
    pub(crate) fn new(endpoint: &Arc<EndpointState>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }

    pub(crate) fn endpoint(&self) -> &Arc<EndpointState> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use fairway_model::ClusterId;

    use super::*;

    fn backend(name: &str, weight: u32) -> WeightedTarget {
        WeightedTarget { weight, target: BackendTarget::Cluster(ClusterId::new(name)) }
    }

    #[test]
    fn shares_follow_the_weights_in_every_run_of_turns() {
        let backends = [backend("none", 0), backend("most", 90), backend("some", 10)];
        for start in [0, 1_000, u32::MAX - 50] {
            let turns = (0..100).map(|n| start.wrapping_add(n));
            let some = turns.filter(|turn| share(&backends, *turn) == backends.get(2)).count();
            assert!((9..=11).contains(&some), "{some}");
        }
        assert_eq!(share(&[], 1), None);
        assert_eq!(share(&backends[..1], 1), None, "no weight at all");
    }

    #[test]
    fn few_clients_move_when_an_endpoint_goes() {
        let endpoint = |n: u8| Arc::new(EndpointState::new(([10, 0, 0, n], 80).into()));
        let all: Vec<_> = (0..10).map(endpoint).collect();
        let fewer: Vec<_> = all.iter().skip(1).cloned().collect();
        let at = |those: &[Arc<EndpointState>], n: u8| {
            those[hashed(those, [192, 0, 2, n].into())].address
        };
        for n in 0..200 {
            let before = at(&all, n);
            assert!(before == all[0].address || before == at(&fewer, n));
        }
        let used: std::collections::BTreeSet<_> = (0..200).map(|n| at(&all, n)).collect();
        assert_eq!(used.len(), 10, "all of them get clients");
    }

    #[test]
    fn deny_comes_before_allow() {
        let access = IpAccess {
            allow: vec!["10.0.0.0/8".parse().expect("a net")],
            deny: vec!["10.1.0.0/16".parse().expect("a net")],
        };
        let asked = |text: &str| allowed(&access, text.parse().expect("an address"));
        assert!(asked("10.2.0.1") && asked("::ffff:10.2.0.1"));
        assert!(!asked("10.1.0.1") && !asked("::ffff:10.1.0.1") && !asked("192.0.2.1"));
        assert!(allowed(&IpAccess::default(), "::1".parse().expect("an address")));
    }
}
