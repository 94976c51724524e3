//! What is kept with each rule beyond what the model says: its counters and limits.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use fairway_model::policy::RateLimit;
use fairway_model::route::Rule;
use fairway_model::{Route, RouteId};

use super::Map;
use crate::rate_limit::Limiter;

/// A rule's state, one for all threads, kept across generations: a change of the rule's text or of
/// its neighbours gives nobody a fresh budget.
#[derive(Clone, Default)]
pub(crate) struct RouteState {
    /// One for each of the rule's `rate_limits`, in their order.
    pub(crate) rate_limits: Vec<Arc<Limiter>>,
    /// Whose turn it is among backends.
    pub(crate) share: Arc<AtomicU32>,
    /// Whose turn it is among endpoints, for round robin. Not the same one: two steps at a time
    /// would pass over every other endpoint.
    pub(crate) turn: Arc<AtomicU32>,
}

/// The states of all rules there are.
#[derive(Default)]
pub(super) struct RouteStates(Map<RouteId, Kept>);

struct Kept {
    limits: Vec<RateLimit>,
    state: RouteState,
}

impl RouteStates {
    /// Gives the state of a new or changed rule. A limiter whose own settings are the same as
    /// before goes on with its buckets.
    pub(super) fn state(&mut self, id: &RouteId, route: &Route) -> RouteState {
        let limits = match &route.rule {
            Rule::Http(rule) => rule.rate_limits.clone(),
            Rule::Stream(_) => Vec::new(),
        };
        let before = self.0.remove(id);
        let mut old: Vec<(RateLimit, Arc<Limiter>)> = Vec::new();
        let mut next = RouteState::default();
        if let Some(Kept { limits, state }) = before {
            (next.share, next.turn) = (state.share, state.turn);
            old = limits.into_iter().zip(state.rate_limits).collect();
        }
        next.rate_limits = limits
            .iter()
            .map(|limit| match old.iter().position(|(before, _)| before == limit) {
                Some(at) => old.swap_remove(at).1,
                None => Arc::new(Limiter::new(limit)),
            })
            .collect();
        self.0.insert(id.clone(), Kept { limits, state: next.clone() });
        next
    }

    pub(super) fn forget(&mut self, id: &RouteId) {
        self.0.remove(id);
    }
}
