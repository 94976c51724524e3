//! What the fleets say, kept until their next word: which listeners are open, which routes are live.
//!
//! A route is live when every connected proxy of each of its Gateways serves it, and at least one does. A
//! Gateway without connected proxies keeps the last word: proxies serve on while a controller is away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_model::listener::container_port;
use fairway_model::{Delta, GatewayId, ListenerId, Model};
use fairway_stream::Resource;
use fairway_stream::grpc::server::ProxyState;
use fairway_translate::status::{ListenerOutcome, Live, Outcomes};
use fairway_translate::{Kind, Name, ObjectKey};
use tokio::time::Instant;

use crate::view;

/// Routes on their way, and what came of those before.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) outcomes: Outcomes,
    pending: BTreeMap<ObjectKey, Pending>,
    /// The greatest sequence that every connected proxy of a gateway serves; absent without proxies.
    served: BTreeMap<GatewayId, u64>,
    reachable: Reachable,
    /// Routes that came to be live since it was last asked.
    touched: BTreeSet<ObjectKey>,
}

/// Ports of proxies that clients get to: those for which a fleet's Service has a ready endpoint. A proxy may
/// have opened a port that nobody is sent to yet.
pub(super) type Reachable = BTreeMap<GatewayId, BTreeSet<u16>>;

/// A generation of a route that has not been confirmed yet.
#[derive(Debug)]
struct Pending {
    generation: i64,
    sequence: u64,
    noticed: Instant,
    gateways: BTreeSet<GatewayId>,
}

impl Progress {
    /// Begins with what statuses tell of the time before.
    pub(super) fn begin(outcomes: Outcomes) -> Self {
        Self { outcomes, ..Self::default() }
    }

    /// Takes note of a model that was published for a change noticed then.
    pub(super) fn sent(&mut self, model: &Model, delta: &Delta, sequence: u64, noticed: Instant) {
        for route in delta.routes.put.values() {
            let origin = &route.origin;
            let Some(kind) = route_kind(&origin.kind) else { continue };
            let name = Name::new(Arc::clone(&origin.namespace), Arc::clone(&origin.name));
            let key = ObjectKey { kind, name };
            let generation = origin.generation;
            if self.outcomes.live.get(&key).is_some_and(|live| live.generation == generation) {
                // Live already: only what it stands on has changed, which is not a change of its own.
                continue;
            }
            let gateways = route.attachments.iter().filter_map(|attachment| {
                model.listeners.get(&attachment.listener).map(|listener| listener.gateway.clone())
            });
            let pending = self.pending.entry(key).or_insert_with(|| Pending {
                generation,
                sequence,
                noticed,
                gateways: BTreeSet::new(),
            });
            if pending.generation != generation {
                *pending = Pending { generation, sequence, noticed, gateways: BTreeSet::new() };
            }
            pending.gateways.extend(gateways);
        }
    }

    /// Takes in which ports clients get to.
    pub(super) fn reach(&mut self, reachable: Reachable) {
        self.reachable = reachable;
    }

    /// Takes in how all proxies stand; gives how long each change took that is live now.
    pub(super) fn heard(&mut self, model: &Model, proxies: &[ProxyState]) -> Vec<Duration> {
        let connected: Vec<&ProxyState> = proxies.iter().filter(|proxy| proxy.connected).collect();
        self.served.clear();
        for proxy in &connected {
            let acknowledged = proxy.acknowledged.unwrap_or(0);
            self.served
                .entry(proxy.gateway.clone())
                .and_modify(|least| *least = (*least).min(acknowledged))
                .or_insert(acknowledged);
        }
        self.listeners(model, &connected);
        self.refused(&connected);
        self.confirm()
    }

    /// Says whether every fleet that has proxies serves everything that was published.
    pub(super) fn is_settled(&self, sequence: u64) -> bool {
        self.served.values().all(|served| *served >= sequence)
    }

    /// Forgets a route that is gone.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.outcomes.live.remove(key);
        self.pending.remove(key);
    }

    /// Gives the routes that came to be live since it was last asked.
    pub(super) fn take_touched(&mut self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.touched)
    }

    fn confirm(&mut self) -> Vec<Duration> {
        let served = &self.served;
        let is_served = |pending: &Pending| {
            !pending.gateways.is_empty()
                && pending.gateways.iter().all(|gateway| {
                    served.get(gateway).is_some_and(|least| *least >= pending.sequence)
                })
        };
        let done: Vec<ObjectKey> = self
            .pending
            .iter()
            .filter(|(_, pending)| is_served(pending))
            .map(|(key, _)| key.clone())
            .collect();
        let mut took = Vec::with_capacity(done.len());
        for key in done {
            let Some(pending) = self.pending.remove(&key) else { continue };
            let elapsed = pending.noticed.elapsed();
            let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let live = Live { generation: pending.generation, milliseconds };
            self.touched.insert(key.clone());
            self.outcomes.live.insert(key, live);
            took.push(elapsed);
        }
        took
    }

    fn listeners(&mut self, model: &Model, connected: &[&ProxyState]) {
        let mut said: BTreeMap<ListenerId, ListenerOutcome> = BTreeMap::new();
        for proxy in connected {
            for (id, outcome) in &proxy.listeners {
                let outcome = match outcome {
                    Ok(()) => ListenerOutcome::Bound,
                    Err(why) => ListenerOutcome::Failed(why.as_str().into()),
                };
                // One proxy that cannot is a fault to show, whatever the others can.
                match said.get(id) {
                    Some(ListenerOutcome::Failed(_)) => {}
                    Some(ListenerOutcome::Bound) | None => {
                        said.insert(id.clone(), outcome);
                    }
                }
            }
        }
        let heard: BTreeSet<&GatewayId> = connected.iter().map(|proxy| &proxy.gateway).collect();
        let before = std::mem::take(&mut self.outcomes.listeners);
        for (id, listener) in &model.listeners {
            let outcome = if heard.contains(&listener.gateway) {
                said.remove(id)
            } else {
                before.get(id).cloned()
            };
            let ports = self.reachable.get(&listener.gateway);
            let reached = ports.is_some_and(|all| all.contains(&container_port(listener.port)));
            if let Some(outcome) = outcome.filter(|outcome| {
                // One that nobody gets to is not there yet; one that failed is worth saying.
                reached || matches!(outcome, ListenerOutcome::Failed(_))
            }) {
                self.outcomes.listeners.insert(id.clone(), outcome);
            }
        }
    }

    fn refused(&mut self, connected: &[&ProxyState]) {
        let refused = connected.iter().flat_map(|proxy| &proxy.refused);
        let refused = refused.filter_map(|(resource, why)| match resource {
            Resource::Route(id) => Some((id.clone(), Arc::from(why.as_str()))),
            Resource::Gateway(_)
            | Resource::Listener(_)
            | Resource::Cluster(_)
            | Resource::Secret(_) => None,
        });
        self.outcomes.refused = refused.collect();
    }
}

fn route_kind(name: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| kind.name() == name && view::is_route(*kind))
}
