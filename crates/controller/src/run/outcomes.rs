//! What the data plane says, kept until the next word: which listeners are open, which routes are live.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::ListenerId;
use fairway_stream::{Ack, Resource, Update};
use fairway_translate::status::{ListenerOutcome, Live, Outcomes};
use fairway_translate::verdict::Verdicts;
use fairway_translate::{Kind, Name, ObjectKey};

use crate::view::{self, Bound};

/// Updates on their way, and what came of those before.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) outcomes: Outcomes,
    sent: VecDeque<Sent>,
    served: bool,
}

#[derive(Debug)]
struct Sent {
    sequence: u64,
    noticed: Instant,
    /// Generations that are live once it is acknowledged.
    generations: BTreeMap<ObjectKey, i64>,
}

impl Progress {
    /// Takes note of an update that was sent for a change noticed then.
    pub(super) fn sent(&mut self, update: &Update, noticed: Instant) {
        let mut generations = BTreeMap::new();
        for route in update.delta.routes.put.values() {
            let origin = &route.origin;
            if let Some(kind) = route_kind(&origin.kind) {
                let name = Name::new(Arc::clone(&origin.namespace), Arc::clone(&origin.name));
                generations.insert(ObjectKey { kind, name }, origin.generation);
            }
        }
        self.sent.push_back(Sent { sequence: update.sequence, noticed, generations });
    }

    /// Takes note of an acknowledgement; gives how long the change took from being noticed.
    pub(super) fn acknowledged(&mut self, ack: &Ack) -> Option<Duration> {
        let mut took = None;
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.sequence <= ack.sequence) {
            let elapsed = sent.noticed.elapsed();
            let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            for (key, generation) in sent.generations {
                self.outcomes.live.insert(key, Live { generation, milliseconds });
            }
            took = Some(elapsed);
        }
        self.served = true;
        let refused = ack.refused.iter().filter_map(|(resource, why)| match resource {
            Resource::Route(id) => Some((id.clone(), Arc::from(why.as_str()))),
            Resource::Gateway(_)
            | Resource::Listener(_)
            | Resource::Cluster(_)
            | Resource::Secret(_) => None,
        });
        self.outcomes.refused = refused.collect();
        for (resource, why) in &ack.refused {
            tracing::warn!(%resource, %why, "the data plane refuses");
        }
        took
    }

    /// Says whether the data plane has confirmed anything yet.
    pub(super) fn is_served(&self) -> bool {
        self.served
    }

    /// Forgets routes that are gone.
    pub(super) fn forget_others(&mut self, verdicts: &Verdicts) {
        self.outcomes.live.retain(|key, _| verdicts.contains_key(key));
    }
}

fn route_kind(name: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| kind.name() == name && view::is_route(*kind))
}

/// Gives what became of the listeners in the words of `translate`.
pub(super) fn of_listeners(bound: &Bound) -> BTreeMap<ListenerId, ListenerOutcome> {
    let outcome = |error: &Option<String>| match error {
        None => ListenerOutcome::Bound,
        Some(error) => ListenerOutcome::Failed(error.as_str().into()),
    };
    bound.iter().map(|(id, listener)| (id.clone(), outcome(&listener.error))).collect()
}
