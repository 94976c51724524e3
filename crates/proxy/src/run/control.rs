//! The one place that decides what is served: generations are built here, and sockets opened and
//! closed for them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fairway_model::{Delta, ListenerId, Model};

use super::thread::{Order, Threads};
use super::{ListenerOutcome, Outcomes};
use crate::generation::{Builder, Generation, Refused};
use crate::listen::Sockets;
use crate::settings::Settings;

/// What is served now.
#[derive(Default)]
pub(super) struct Control {
    builder: Builder,
    generation: Arc<Generation>,
    refused: Refused,
    sockets: Sockets,
    /// Generations that requests may still hold. They are dropped from here, so that no data
    /// thread has to take a large table apart.
    retired: Vec<Arc<Generation>>,
    /// Nothing is opened any more.
    closed: bool,
}

impl Control {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { builder: Builder::new(settings.addresses.clone()), ..Self::default() }
    }

    pub(super) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    pub(super) fn apply(
        &mut self,
        model: &Model,
        delta: &Delta,
        settings: &Settings,
        threads: &Threads,
    ) -> Refused {
        let (next, refused) = self.builder.build(&self.generation, model, delta);
        let next = Arc::new(next);
        let close = self.sockets.unwanted(&next);
        // Threads know the generation before they have its sockets, and give up old sockets before
        // new ones are bound that may overlap them.
        threads.tell(|done| Order::Serve {
            generation: Arc::clone(&next),
            close: close.clone(),
            done,
        });
        self.retired.push(std::mem::replace(&mut self.generation, next));
        self.retired.retain(|old| Arc::strong_count(old) > 1);
        self.refused = refused.clone();
        self.open(settings, threads);
        refused
    }

    /// Tries again to bind what could not be. Says whether there was anything to try.
    pub(super) fn retry(&mut self, settings: &Settings, threads: &Threads) -> bool {
        self.retired.retain(|old| Arc::strong_count(old) > 1);
        let any = self.sockets.any_failed();
        if any {
            self.open(settings, threads);
        }
        any
    }

    /// Opens nothing from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    fn open(&mut self, settings: &Settings, threads: &Threads) {
        if self.closed {
            return;
        }
        let by_thread = self.sockets.bind(&self.generation, settings);
        if by_thread.iter().all(Vec::is_empty) {
            return;
        }
        let mut by_thread = by_thread.into_iter();
        threads.tell(|done| {
            let sockets = by_thread.next().unwrap_or_default();
            Order::Open { sockets, done }
        });
    }

    /// Says what became of each listener.
    pub(super) fn outcomes(&self) -> Outcomes {
        let mut addresses: BTreeMap<&ListenerId, Vec<SocketAddr>> = BTreeMap::new();
        let mut errors: BTreeMap<&ListenerId, &str> = BTreeMap::new();
        for (key, port) in self.generation.sockets() {
            for id in &port.listeners {
                match self.sockets.state(key) {
                    Ok(address) => addresses.entry(id).or_default().push(address),
                    Err(why) => {
                        errors.insert(id, why);
                    }
                }
            }
        }
        let outcome = |id: &ListenerId| {
            let mut addresses = addresses.get(id).cloned().unwrap_or_default();
            addresses.sort_unstable();
            let refused = self.refused.listeners.get(id).map(String::as_str);
            let unbound = addresses.is_empty().then_some("its gateway has no address");
            match refused.or(errors.get(id).copied()).or(unbound) {
                None => ListenerOutcome::Serving { addresses },
                Some(why) => {
                    ListenerOutcome::Failed { error: format!("listener {id}: {why}"), addresses }
                }
            }
        };
        self.generation.listeners().map(|(id, _)| (id.clone(), outcome(id))).collect()
    }
}
