//! Whether a request is tried again, and after which wait (GEP-1731; topics N14, N15). What can be
//! sent again at all (the body is still at hand, no byte of a response has gone out) is the caller's to
//! know.

use std::time::Duration;

use fairway_model::policy::{Retry, RetryOn};

use crate::message::Method;

/// The wait before the second try when the rule names none.
const BACKOFF: Duration = Duration::from_millis(25);

/// The wait grows up to so many times the first one.
const LONGEST: u32 = 16;

/// Why a try did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The backend answered with this status.
    Status(u16),
    /// There was no answer.
    Failure(RetryOn),
}

/// Gives the wait before the next try; `None` when there is none. `tried` counts the tries so far, at
/// least 1.
pub(crate) fn wait(retry: &Retry, tried: u32, method: &Method, cause: Cause) -> Option<Duration> {
    if tried > retry.attempts || !calls_for(retry, cause) {
        return None;
    }
    let unseen = matches!(cause, Cause::Failure(RetryOn::ConnectFailure | RetryOn::RefusedStream));
    if !unseen && !retry.non_idempotent && !is_idempotent(method) {
        return None;
    }
    let base = retry.backoff.map_or(BACKOFF, |backoff| backoff.duration());
    let factor = 1_u32.checked_shl(tried - 1).unwrap_or(LONGEST).min(LONGEST);
    let longest = base.saturating_mul(factor);
    // Never less than the rule's own wait; the rest is spread, so that clients do not come in waves.
    let spread = longest.saturating_sub(base).mul_f64(rand::random::<f64>());
    Some(base.saturating_add(spread))
}

fn calls_for(retry: &Retry, cause: Cause) -> bool {
    match cause {
        Cause::Status(status) => retry.codes.contains(&status),
        Cause::Failure(failure) => retry.on.contains(&failure),
    }
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_model::policy::Millis;

    fn retry() -> Retry {
        Retry {
            attempts: 2,
            codes: vec![503],
            on: vec![RetryOn::ConnectFailure, RetryOn::Reset],
            backoff: Millis::new(10),
            per_try_timeout: None,
            non_idempotent: false,
        }
    }

    #[test]
    fn only_what_the_rule_names_and_so_often() {
        let again = |tried, cause| wait(&retry(), tried, &Method::Get, cause).is_some();
        assert!(again(1, Cause::Status(503)) && again(2, Cause::Status(503)));
        assert!(!again(3, Cause::Status(503)));
        assert!(!again(1, Cause::Status(500)));
        assert!(again(1, Cause::Failure(RetryOn::Reset)));
        assert!(!again(1, Cause::Failure(RetryOn::Timeout)));
    }

    #[test]
    fn what_may_have_been_carried_out_is_not_sent_twice() {
        let again = |cause| wait(&retry(), 1, &Method::Post, cause).is_some();
        assert!(!again(Cause::Status(503)) && !again(Cause::Failure(RetryOn::Reset)));
        assert!(again(Cause::Failure(RetryOn::ConnectFailure)), "nothing was sent");
        let careless = Retry { non_idempotent: true, ..retry() };
        assert!(wait(&careless, 1, &Method::Post, Cause::Status(503)).is_some());
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let long = Retry { attempts: 100, ..retry() };
        for tried in 1..=100 {
            let wait = wait(&long, tried, &Method::Get, Cause::Status(503)).expect("another try");
            assert!(wait >= Duration::from_millis(10) && wait <= Duration::from_millis(160));
        }
    }
}
