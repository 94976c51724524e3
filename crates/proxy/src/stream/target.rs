//! Where a connection or a session goes: its rule, that rule's share, an endpoint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fairway_model::RouteId;
use fairway_model::policy::{HashSource, LoadBalancing};
use fairway_model::route::{BackendTarget, Rule, WeightedTarget};

use crate::balance;
use crate::filter::ip_access;
use crate::generation::{ClusterState, EndpointState, Generation, ListenerState};

/// How many endpoints are tried for one connection.
const TRIES: usize = 3;

/// What was chosen for a connection or a session.
pub(crate) struct Target {
    pub(crate) cluster: Arc<ClusterState>,
    route: RouteId,
    load_balancing: LoadBalancing,
    turn: Arc<AtomicU32>,
    hash: Option<u64>,
    tried: Vec<SocketAddr>,
}

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
    if !ip_access::allows(&rule.ip_access, client) {
        return None;
    }
    let cluster = match &share(&rule.backends, &route.extra.share)?.target {
        BackendTarget::Cluster(id) => Arc::clone(generation.cluster(id)?),
        BackendTarget::Fail(_) => return None,
    };
    let hash = match &rule.load_balancing {
        LoadBalancing::ConsistentHash(HashSource::ClientIp) => {
            Some(balance::hash_of(client.to_canonical().to_string().as_bytes()))
        }
        // A stream has none of these: it is balanced in turn.
        LoadBalancing::ConsistentHash(
            HashSource::Header(_)
            | HashSource::Cookie(_)
            | HashSource::Path
            | HashSource::QueryParam(_),
        )
        | LoadBalancing::RoundRobin
        | LoadBalancing::LeastRequest
        | LoadBalancing::Random => None,
    };
    Some(Target {
        cluster,
        route: route.id.clone(),
        load_balancing: rule.load_balancing.clone(),
        turn: Arc::clone(&route.extra.turn),
        hash,
        tried: Vec::new(),
    })
}

impl Target {
    /// Gives the next endpoint to try; `None` when there is none, or enough were tried.
    pub(crate) fn next(&mut self) -> Option<InFlight> {
        if self.tried.len() >= TRIES {
            return None;
        }
        let endpoint = balance::choose(
            &self.cluster,
            &self.load_balancing,
            &self.turn,
            self.hash,
            &self.tried,
        )?;
        if self.tried.contains(&endpoint.address) {
            return None;
        }
        self.tried.push(endpoint.address);
        Some(InFlight::new(endpoint))
    }
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

/// Gives each backend its share. Turns are spread by the golden ratio, which keeps any run of them
/// close to the weights, where random numbers would wander off.
fn share<'a>(backends: &'a [WeightedTarget], turn: &AtomicU32) -> Option<&'a WeightedTarget> {
    const GOLDEN: u32 = 0x9E37_79B9;
    let total: u64 = backends.iter().map(|backend| u64::from(backend.weight)).sum();
    let turn = turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
    let mut point = (u64::from(turn) * total) >> 32;
    backends.iter().find(|backend| {
        let weight = u64::from(backend.weight);
        let hit = point < weight;
        point = point.saturating_sub(weight);
        hit
    })
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
            let turn = AtomicU32::new(start);
            let drawn = (0..100).map(|_| share(&backends, &turn));
            let some = drawn.filter(|drawn| *drawn == backends.get(2)).count();
            assert!((9..=11).contains(&some), "{some}");
        }
        let turn = AtomicU32::new(0);
        assert_eq!(share(&[], &turn), None);
        assert_eq!(share(&backends[..1], &turn), None, "no weight at all");
    }
}
