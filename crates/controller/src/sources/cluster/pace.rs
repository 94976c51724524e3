//! How fast a cluster is asked again, and how long changes are gathered before they are told. Plain
//! arithmetic on moments; nothing here waits.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// Spreads a pause by a fifth either way, so that replicas do not ask in step.
pub(super) fn spread(pause: Duration) -> Duration {
    // A hasher with random keys is all the randomness that this needs.
    let random = RandomState::new().build_hasher().finish() % 401;
    pause * (800 + u32::try_from(random).unwrap_or(200)) / 1000
}

/// Pauses that double, up to a limit.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Gives how long to wait after one more failure.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.longest);
        spread(pause).min(self.longest)
    }

    /// Begins anew after a success.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Gathers events that come close to each other.
#[derive(Debug)]
pub(super) struct Quiet {
    quiet: Duration,
    longest: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Quiet {
    pub(super) const fn new(quiet: Duration, longest: Duration) -> Self {
        Self { quiet, longest, first: None, last: None }
    }

    pub(super) fn note(&mut self, at: Instant) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// Gives when what was noted is to be told.
    pub(super) fn due(&self) -> Option<Instant> {
        Some((self.last? + self.quiet).min(self.first? + self.longest))
    }

    /// Says whether more may be gathered.
    pub(super) fn may_grow(&self, now: Instant) -> bool {
        self.first.is_none_or(|first| now < first + self.longest)
    }

    /// Gives the moment of the first event, and begins anew.
    pub(super) const fn take(&mut self) -> Option<Instant> {
        self.last = None;
        self.first.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_limit() {
        let mut backoff = Backoff::new(100 * MS, 1000 * MS);
        let pauses: Vec<Duration> = (0..6).map(|_| backoff.pause()).collect();
        for (pause, expected) in pauses.iter().zip([100, 200, 400, 800, 1000, 1000]) {
            assert!(*pause >= expected * MS * 4 / 5, "{pauses:?}");
            assert!(*pause <= expected * MS * 6 / 5 && *pause <= 1000 * MS, "{pauses:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= 120 * MS);
    }

    #[test]
    fn a_lone_event_waits_for_quiet_and_a_stream_of_them_not_for_ever() {
        let mut quiet = Quiet::new(2 * MS, 20 * MS);
        let start = Instant::now();
        assert_eq!(quiet.due(), None);
        quiet.note(start);
        assert_eq!(quiet.due(), Some(start + 2 * MS));
        for later in 1..30 {
            quiet.note(start + later * MS);
        }
        assert_eq!(quiet.due(), Some(start + 20 * MS));
        assert_eq!(quiet.take(), Some(start));
        assert_eq!(quiet.due(), None);
    }
}
