//! What is known of an endpoint from how it answers: passive outlier ejection. Kept for each endpoint
//! of a Service, for all threads and rules together, in a few atomics; a rule without the policy
//! records nothing.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use fairway_model::policy::PassiveHealth;

use crate::generation::EndpointState;

/// Moments are kept as milliseconds since this one; zero means never.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// An ejection lasts at most so many times its base, however often it happens.
const LONGEST: u32 = 10;

/// What came of a request to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The head of a response with this status.
    Status(u16),
    /// None: no connection, a broken one, no answer in time.
    Failed,
}

/// What is known of an endpoint's health; kept in `generation::EndpointState`.
#[derive(Default)]
pub(crate) struct Health {
    server_errors: AtomicU32,
    gateway_errors: AtomicU32,
    last_error: AtomicU64,
    ejected_until: AtomicU64,
    ejections: AtomicU32,
}

/// Gives now in the form that is kept. Never zero.
pub(crate) fn now() -> u64 {
    let elapsed = BEGAN.elapsed().as_millis();
    u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_add(1)
}

impl Health {
    /// Says whether the endpoint rests.
    pub(crate) fn is_ejected(&self, now: u64) -> bool {
        self.ejected_until.load(Ordering::Relaxed) > now
    }

    /// Takes note of an answer. `all` are the endpoints of the cluster, this one among them; it gives
    /// whether the endpoint rests from now on.
    pub(crate) fn record(
        &self,
        answer: Answer,
        policy: &PassiveHealth,
        all: &[Arc<EndpointState>],
        now: u64,
    ) -> bool {
        let (server_error, gateway_error) = match answer {
            Answer::Status(status) => ((500..=599).contains(&status), matches!(status, 502..=504)),
            Answer::Failed => (true, true),
        };
        if !server_error {
            self.server_errors.store(0, Ordering::Relaxed);
            self.gateway_errors.store(0, Ordering::Relaxed);
            return false;
        }
        let interval = u64::try_from(policy.interval.duration().as_millis()).unwrap_or(u64::MAX);
        let last = self.last_error.swap(now, Ordering::Relaxed);
        if now.saturating_sub(last) > interval {
            self.server_errors.store(0, Ordering::Relaxed);
            self.gateway_errors.store(0, Ordering::Relaxed);
        }
        let server_errors = self.server_errors.fetch_add(1, Ordering::Relaxed) + 1;
        let gateway_errors = if gateway_error {
            self.gateway_errors.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            self.gateway_errors.store(0, Ordering::Relaxed);
            0
        };
        let reached = |limit: Option<u32>, count: u32| limit.is_some_and(|limit| count >= limit);
        let bad = reached(policy.consecutive_5xx, server_errors)
            || reached(policy.consecutive_gateway_errors, gateway_errors);
        bad && !self.is_ejected(now) && may_eject(policy, all, now) && self.eject(policy, now)
    }

    fn eject(&self, policy: &PassiveHealth, now: u64) -> bool {
        let times = self.ejections.fetch_add(1, Ordering::Relaxed).saturating_add(1).min(LONGEST);
        let base = policy.base_ejection_time.duration().as_millis();
        let base = u64::try_from(base).unwrap_or(u64::MAX);
        let until = now.saturating_add(base.saturating_mul(u64::from(times)));
        self.ejected_until.store(until, Ordering::Relaxed);
        self.server_errors.store(0, Ordering::Relaxed);
        self.gateway_errors.store(0, Ordering::Relaxed);
        true
    }
}

/// One endpoint may always rest; more only up to the policy's share.
fn may_eject(policy: &PassiveHealth, all: &[Arc<EndpointState>], now: u64) -> bool {
    let resting = all.iter().filter(|endpoint| endpoint.health.is_ejected(now)).count();
    resting == 0 || (resting + 1) * 100 <= all.len() * usize::from(policy.max_ejection_percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_model::policy::Millis;

    fn policy(percent: u8) -> PassiveHealth {
        PassiveHealth {
            consecutive_5xx: Some(3),
            consecutive_gateway_errors: None,
            interval: Millis::new(1000).expect("not zero"),
            base_ejection_time: Millis::new(500).expect("not zero"),
            max_ejection_percent: percent,
        }
    }

    fn endpoints(count: u16) -> Vec<Arc<EndpointState>> {
        let endpoint = |port| Arc::new(EndpointState::new(([127, 0, 0, 1], port).into()));
        (1..=count).map(endpoint).collect()
    }

    fn fail(all: &[Arc<EndpointState>], which: usize, times: u32, now: u64) -> bool {
        let health = &all[which].health;
        (0..times).fold(false, |_, _| health.record(Answer::Failed, &policy(50), all, now))
    }

    #[test]
    fn a_row_of_errors_ejects_and_longer_each_time() {
        let all = endpoints(4);
        assert!(!fail(&all, 0, 2, 10));
        assert!(!all[0].health.record(Answer::Status(200), &policy(50), &all, 10));
        assert!(!fail(&all, 0, 2, 10), "an answer broke the row");
        assert!(fail(&all, 0, 1, 10));
        assert!(all[0].health.is_ejected(509) && !all[0].health.is_ejected(510));
        assert!(fail(&all, 0, 3, 600));
        assert!(all[0].health.is_ejected(1599) && !all[0].health.is_ejected(1600));
    }

    #[test]
    fn an_old_row_is_forgotten() {
        let all = endpoints(2);
        assert!(!fail(&all, 0, 2, 10));
        assert!(!fail(&all, 0, 2, 2000));
        assert!(fail(&all, 0, 1, 2001));
    }

    #[test]
    fn one_may_rest_always_and_no_more_than_the_share() {
        let all = endpoints(4);
        assert!(fail(&all, 0, 3, 10));
        assert!(fail(&all, 1, 3, 10), "two of four are a half");
        assert!(!fail(&all, 2, 3, 10), "three would be more");
        let alone = endpoints(1);
        assert!(fail(&alone, 0, 3, 10), "one may always");
    }
}
