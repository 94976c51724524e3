//! Which backend, and which of its endpoints, takes a request.

use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fairway_model::policy::LoadBalancing;
use foldhash::quality::FixedState;

use crate::generation::{ClusterState, EndpointState};
use crate::health;

/// Gives the place of the one that is drawn by weight; `None` when they sum up to zero.
pub(crate) fn weighted(weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
    let total: u64 = weights.clone().map(u64::from).sum();
    let mut drawn = match total {
        0 => return None,
        1 => 0,
        total => rand::random_range(0..total),
    };
    for (place, weight) in weights.enumerate() {
        match drawn.checked_sub(u64::from(weight)) {
            Some(rest) => drawn = rest,
            None => return Some(place),
        }
    }
    None
}

/// Chooses an endpoint: among those that may get traffic and do not rest, and rather one that is not
/// in `avoid` (tried before). When all rest, none does.
pub(crate) fn choose<'a>(
    cluster: &'a ClusterState,
    way: &LoadBalancing,
    turn: &AtomicU32,
    hash: Option<u64>,
    avoid: &[SocketAddr],
) -> Option<&'a Arc<EndpointState>> {
    let usable = cluster.usable();
    let now = health::now();
    let fit = |endpoint: &Arc<EndpointState>| {
        !endpoint.health.is_ejected(now) && !avoid.contains(&endpoint.address)
    };
    // The common case first: everybody is fit, nothing is copied.
    if usable.iter().all(fit) {
        return pick(usable, way, turn, hash);
    }
    let some = |keep: &dyn Fn(&Arc<EndpointState>) -> bool| -> Vec<&'a Arc<EndpointState>> {
        usable.iter().filter(|endpoint| keep(endpoint)).collect()
    };
    let healthy = |endpoint: &Arc<EndpointState>| !endpoint.health.is_ejected(now);
    let mut candidates = some(&fit);
    if candidates.is_empty() {
        candidates = some(&healthy);
    }
    if candidates.is_empty() {
        return pick(usable, way, turn, hash);
    }
    pick_of(&candidates, way, turn, hash)
}

fn pick<'a>(
    all: &'a [Arc<EndpointState>],
    way: &LoadBalancing,
    turn: &AtomicU32,
    hash: Option<u64>,
) -> Option<&'a Arc<EndpointState>> {
    let place = place(all.len(), |place| all.get(place), way, turn, hash)?;
    all.get(place)
}

fn pick_of<'a>(
    some: &[&'a Arc<EndpointState>],
    way: &LoadBalancing,
    turn: &AtomicU32,
    hash: Option<u64>,
) -> Option<&'a Arc<EndpointState>> {
    let place = place(some.len(), |place| some.get(place).copied(), way, turn, hash)?;
    some.get(place).copied()
}

fn place<'a>(
    count: usize,
    at: impl Fn(usize) -> Option<&'a Arc<EndpointState>>,
    way: &LoadBalancing,
    turn: &AtomicU32,
    hash: Option<u64>,
) -> Option<usize> {
    if count < 2 {
        return count.checked_sub(1);
    }
    let in_turn = || usize::try_from(turn.fetch_add(1, Ordering::Relaxed)).unwrap_or(0) % count;
    let place = match (way, hash) {
        (LoadBalancing::ConsistentHash(_), Some(hash)) => rendezvous(count, at, hash)?,
        (LoadBalancing::RoundRobin | LoadBalancing::ConsistentHash(_), _) => in_turn(),
        (LoadBalancing::Random, _) => rand::random_range(0..count),
        (LoadBalancing::LeastRequest, _) => {
            let first = rand::random_range(0..count);
            let second = (first + rand::random_range(1..count)) % count;
            let busy = |place| Some(at(place)?.in_flight.load(Ordering::Relaxed));
            if busy(second)? < busy(first)? { second } else { first }
        }
    };
    Some(place)
}

/// Rendezvous hashing: each endpoint draws a number by the key, the highest wins. So a key moves only
/// when its own endpoint goes, or when a new one wins it. Costs one hash an endpoint. The state is
/// fixed, so that all proxies choose alike.
fn rendezvous<'a>(
    count: usize,
    at: impl Fn(usize) -> Option<&'a Arc<EndpointState>>,
    hash: u64,
) -> Option<usize> {
    let state = FixedState::with_seed(0);
    let score = |place: &usize| at(*place).map(|one| state.hash_one((hash, one.address)));
    (0..count).max_by_key(score)
}

/// Hashes what a request is balanced by.
pub(crate) fn hash_of(key: &[u8]) -> u64 {
    FixedState::with_seed(1).hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_model::policy::HashSource;

    fn endpoints(count: u16) -> Vec<Arc<EndpointState>> {
        let endpoint = |port| Arc::new(EndpointState::new(([127, 0, 0, 1], port).into()));
        (1..=count).map(endpoint).collect()
    }

    #[test]
    fn weights_decide_and_zero_gets_nothing() {
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[weighted([90, 10, 0].into_iter()).expect("some weight")] += 1;
        }
        assert!((8_700..9_300).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[2], 0);
        assert_eq!(weighted([0, 0].into_iter()), None);
        assert_eq!(weighted([0, 1].into_iter()), Some(1));
    }

    #[test]
    fn round_robin_takes_each_in_turn() {
        let all = endpoints(3);
        let turn = AtomicU32::new(u32::MAX);
        let way = LoadBalancing::RoundRobin;
        let ports: Vec<_> =
            (0..7).map(|_| pick(&all, &way, &turn, None).expect("one").address.port()).collect();
        assert_eq!(ports[1..4], [1, 2, 3]);
        assert_eq!(ports[4..7], [1, 2, 3]);
    }

    #[test]
    fn the_less_busy_one_is_taken() {
        let all = endpoints(2);
        all[0].in_flight.store(5, Ordering::Relaxed);
        for _ in 0..20 {
            let one = pick(&all, &LoadBalancing::LeastRequest, &AtomicU32::new(0), None);
            assert_eq!(one.expect("one").address.port(), 2);
        }
    }

    #[test]
    fn few_keys_move_when_an_endpoint_goes() {
        let all = endpoints(10);
        let fewer: Vec<_> = all.iter().take(9).cloned().collect();
        let way = LoadBalancing::ConsistentHash(HashSource::Path);
        let port = |all: &[Arc<EndpointState>], key: u32| {
            let hash = hash_of(&key.to_be_bytes());
            pick(all, &way, &AtomicU32::new(0), Some(hash)).expect("one").address.port()
        };
        let moved = (0..1000).filter(|key| port(&all, *key) != port(&fewer, *key)).count();
        let owned = (0..1000).filter(|key| port(&all, *key) == 10).count();
        assert_eq!(moved, owned, "only keys of the endpoint that went have moved");
        assert!((50..200).contains(&owned), "{owned}");
    }
}
