//! Placeholder.

/// A token bucket for each key; kept in `generation::RouteState`.
pub(crate) struct Limiter;

impl Limiter {
    pub(crate) fn new(_limit: &fairway_model::policy::RateLimit) -> Self {
        Self
    }
}
