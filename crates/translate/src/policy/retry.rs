//! When a request is tried again (GEP-1731; N14, N15).

use fairway_api::own::plugin::{self, RetryOn as Written};
use fairway_model::policy::{Retry, RetryOn};

use super::millis;

/// Reads the block. Per HTTPRouteRetry, connection failures, broken connections and time-outs call for
/// another try wherever a block stands; `retryOn` narrows that. No attempts means no block.
pub(crate) fn read(written: &plugin::Retry) -> Result<Option<Retry>, String> {
    let attempts = written.attempts.unwrap_or(1);
    let attempts = u32::try_from(attempts).map_err(|_negative| "retry.attempts: below zero")?;
    let code = |code: &i32| {
        let read = u16::try_from(*code).ok().filter(|code| (400..=599).contains(code));
        read.ok_or_else(|| format!("retry.codes: {code} is not one of 400 to 599"))
    };
    let mut codes: Vec<u16> = written.codes.iter().map(code).collect::<Result<_, _>>()?;
    codes.sort_unstable();
    codes.dedup();
    let one = |word: &Written| match word {
        Written::ConnectFailure => Ok(RetryOn::ConnectFailure),
        Written::Reset => Ok(RetryOn::Reset),
        Written::Timeout => Ok(RetryOn::Timeout),
        Written::RefusedStream => Ok(RetryOn::RefusedStream),
        Written::Other(word) => Err(format!("retry.retryOn: {word} is not known")),
    };
    let mut on: Vec<RetryOn> = written.retry_on.iter().map(one).collect::<Result<_, _>>()?;
    if on.is_empty() {
        use RetryOn::{ConnectFailure, RefusedStream, Reset, Timeout};
        on = vec![ConnectFailure, Reset, Timeout, RefusedStream];
    }
    on.sort_unstable();
    on.dedup();
    let read = Retry {
        attempts,
        codes,
        on,
        backoff: millis("retry.backoff", written.backoff.as_ref())?,
        per_try_timeout: millis("retry.perTryTimeout", written.per_try_timeout.as_ref())?,
        non_idempotent: written.non_idempotent.unwrap_or(false),
    };
    Ok((attempts > 0).then_some(read))
}
