//! Which of a rule's backends takes a request, and which hear it too.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use fairway_model::filter::Mirror;
use fairway_model::policy::{HashSource, LoadBalancing};
use fairway_model::route::{BackendTarget, Forward, WeightedBackend};

use super::exchange::Exchange;
use super::mirror::{self, Tap, Target};
use crate::balance;
use crate::downstream::Client;
use crate::failure::Failure;
use crate::filter::mirror::draws;
use crate::generation::{ClusterState, EndpointState, Generation};
use crate::health;
use crate::message::RequestHead;
use crate::session::{Mark, cookie};

/// The backend that was chosen.
pub(super) struct Chosen<'g> {
    pub(super) backend: &'g WeightedBackend,
    pub(super) cluster: &'g ClusterState,
    /// The endpoint that the client's session is with.
    pub(super) pinned: Option<&'g Arc<EndpointState>>,
}

/// Chooses: the backend of the client's session while its endpoint lives, else one by weight (N23).
///
/// # Errors
/// `Broken` when the share falls to a reference that cannot be served.
pub(super) fn choose<'g>(
    forward: &'g Forward,
    session: Option<&Mark>,
    generation: &'g Generation,
) -> Result<Chosen<'g>, Failure> {
    if let Some(chosen) = session.and_then(|mark| of_session(forward, mark, generation)) {
        return Ok(chosen);
    }
    let place = match forward.backends.len() {
        1 => Some(0),
        _ => balance::weighted(forward.backends.iter().map(|backend| backend.weight)),
    };
    let backend = place.and_then(|place| forward.backends.get(place));
    let backend = backend.ok_or(Failure::Broken(500))?;
    match &backend.target {
        BackendTarget::Fail(failure) => Err(Failure::Broken(failure.status)),
        BackendTarget::Cluster(id) => {
            let cluster = generation.cluster(id).ok_or(Failure::NoEndpoint)?;
            Ok(Chosen { backend, cluster, pinned: None })
        }
    }
}

fn of_session<'g>(
    forward: &'g Forward,
    mark: &Mark,
    generation: &'g Generation,
) -> Option<Chosen<'g>> {
    let now = health::now();
    forward.backends.iter().filter(|backend| backend.weight > 0).find_map(|backend| {
        let BackendTarget::Cluster(id) = &backend.target else { return None };
        let cluster = generation.cluster(id)?;
        let pinned = cluster.endpoints().iter().find(|endpoint| {
            mark.is(cluster.id.as_str(), endpoint.address) && !endpoint.health.is_ejected(now)
        })?;
        Some(Chosen { backend, cluster, pinned: Some(pinned) })
    })
}

/// Hashes what the rule balances by; `None` when it does not, or the request has none of it.
pub(super) fn hash(way: &LoadBalancing, head: &RequestHead, client: IpAddr) -> Option<u64> {
    let LoadBalancing::ConsistentHash(source) = way else { return None };
    match source {
        HashSource::Header(name) => head.headers.joined(name).map(|value| balance::hash_of(&value)),
        HashSource::Cookie(name) => {
            cookie(&head.headers, name).map(|value| balance::hash_of(value.as_bytes()))
        }
        HashSource::ClientIp => Some(balance::hash_of(client.to_string().as_bytes())),
        HashSource::Path => Some(balance::hash_of(head.path.bytes())),
        HashSource::QueryParam(name) => {
            let mut pairs = head.query.as_ref()?.pairs();
            let value = pairs.find(|(key, _)| *key == &**name)?.1;
            Some(balance::hash_of(value.as_bytes()))
        }
    }
}

/// Starts the copies of a request whose head is ready to be sent.
pub(super) fn mirrors(
    mirrors: [&[Mirror]; 2],
    exchange: &Exchange<'_>,
    client: &Client,
    generation: &Generation,
) -> Vec<Tap> {
    let mut taps = Vec::new();
    for mirror in mirrors.into_iter().flatten().filter(|mirror| draws(mirror)) {
        let BackendTarget::Cluster(id) = &mirror.target else { continue };
        let Some(cluster) = generation.cluster(id) else { continue };
        let turn = AtomicU32::new(rand::random());
        let chosen = balance::choose(cluster, &LoadBalancing::RoundRobin, &turn, None, &[]);
        let Some(endpoint) = chosen.cloned() else { continue };
        let gateway = client.connection.gateway.clone();
        let target = Target { cluster: Arc::clone(cluster), endpoint, gateway };
        taps.extend(mirror::start(&client.worker, target, &exchange.head, exchange.framing));
    }
    taps
}
