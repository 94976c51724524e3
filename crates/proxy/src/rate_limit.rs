//! How many requests pass: a token bucket for each key, counted for the whole process. The bucket is
//! kept as GCRA does, in one number: the time at which it would be full again.
//!
//! Keys are clients' to choose, so the table is bounded: when a shard is full and nothing in it has
//! run out, further keys share one bucket.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fairway_model::policy::{RateLimit, RateLimitKey};
use foldhash::fast::RandomState;

use crate::message::Headers;

/// Shards, so that threads seldom wait for one another.
const SHARDS: usize = 16;

/// Keys in a shard; 16 shards of them take some 2 MiB.
const SHARD_KEYS: usize = 4096;

/// Key of those that share a bucket because the table is full.
const OVERFLOW: u64 = u64::MAX;

/// One limit of one rule, with its buckets; kept in `generation::RouteState`.
pub(crate) struct Limiter {
    key: RateLimitKey,
    status: u16,
    /// Time for one request, in nanoseconds.
    interval: u64,
    /// How far ahead of now a bucket may run, in nanoseconds.
    tolerance: u64,
    began: Instant,
    hasher: RandomState,
    /// A lock is needed because a limit holds for all threads together; it is held for one look-up.
    shards: Vec<Mutex<HashMap<u64, u64, RandomState>>>,
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limited {
    /// The status to answer.
    pub(crate) status: u16,
    /// When the next one passes; for `Retry-After`.
    pub(crate) after: Duration,
}

impl Limiter {
    pub(crate) fn new(limit: &RateLimit) -> Self {
        let period = u64::try_from(limit.period.duration().as_nanos()).unwrap_or(u64::MAX);
        let interval = (period / u64::from(limit.requests.max(1))).max(1);
        Self {
            key: limit.key.clone(),
            status: limit.status,
            interval,
            tolerance: interval.saturating_mul(u64::from(limit.burst.saturating_sub(1))),
            began: Instant::now(),
            hasher: RandomState::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Takes a token for the request, if there is one.
    pub(crate) fn check(&self, client: IpAddr, headers: &Headers) -> Result<(), Limited> {
        self.take(self.key(client, headers), Instant::now())
    }

    fn key(&self, client: IpAddr, headers: &Headers) -> u64 {
        let hash = match &self.key {
            RateLimitKey::ClientIp => self.hasher.hash_one(client.to_canonical()),
            RateLimitKey::Header(name) => self.hasher.hash_one(headers.joined(name)),
            RateLimitKey::Constant => 0,
        };
        hash.min(OVERFLOW - 1)
    }

    fn take(&self, key: u64, now: Instant) -> Result<(), Limited> {
        let now = now.saturating_duration_since(self.began).as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let place = usize::try_from(key % SHARDS as u64).unwrap_or_default();
        let Some(shard) = self.shards.get(place) else { return Ok(()) };
        // Whoever panicked with the lock held has left a number of the table whole.
        let mut buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SHARD_KEYS && !buckets.contains_key(&key) {
            buckets.retain(|_, full| *full > now);
        }
        let key =
            if buckets.len() > SHARD_KEYS && !buckets.contains_key(&key) { OVERFLOW } else { key };
        let full = buckets.entry(key).or_insert(0);
        let ahead = (*full).max(now);
        if ahead - now > self.tolerance {
            let after = Duration::from_nanos(ahead - now - self.tolerance);
            return Err(Limited { status: self.status, after });
        }
        *full = ahead.saturating_add(self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_model::policy::Millis;

    fn limiter(requests: u32, burst: u32, key: RateLimitKey) -> Limiter {
        let period = Millis::new(1000).expect("not zero");
        Limiter::new(&RateLimit { key, requests, period, burst, status: 429 })
    }

    #[test]
    fn a_burst_passes_then_one_by_one() {
        let limiter = limiter(10, 3, RateLimitKey::Constant);
        let start = limiter.began;
        let passes = |ms: u64| limiter.take(0, start + Duration::from_millis(ms)).is_ok();
        assert_eq!([passes(0), passes(0), passes(0), passes(0)], [true, true, true, false]);
        assert!(passes(100) && !passes(100));
        assert!(passes(200) && passes(1000) && passes(1000) && passes(1000) && !passes(1000));
    }

    #[test]
    fn the_wait_is_told() {
        let limiter = limiter(1, 1, RateLimitKey::Constant);
        let start = limiter.began;
        assert!(limiter.take(0, start).is_ok());
        let limited = limiter.take(0, start + Duration::from_millis(400)).unwrap_err();
        assert_eq!(limited, Limited { status: 429, after: Duration::from_millis(600) });
    }

    #[test]
    fn clients_have_buckets_of_their_own() {
        let limiter = limiter(1, 1, RateLimitKey::ClientIp);
        let headers = Headers::new();
        let client = |last| IpAddr::from([192, 0, 2, last]);
        assert!(limiter.check(client(1), &headers).is_ok());
        assert!(limiter.check(client(1), &headers).is_err());
        assert!(limiter.check(client(2), &headers).is_ok());
    }

    #[test]
    fn the_table_is_bounded() {
        let limiter = limiter(1, 1, RateLimitKey::ClientIp);
        for key in 0..200_000_u64 {
            let _passed = limiter.take(key, limiter.began);
        }
        let keys: usize = limiter.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(keys <= SHARDS * (SHARD_KEYS + 2), "{keys}");
    }
}
