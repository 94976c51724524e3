//! Who leads: a pure state machine over what was seen of the Lease. Times are passed in and monotonic: the
//! Lease's own clock readings are another machine's and decide nothing.

use std::time::Duration;

use tokio::time::Instant;

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// A holder that has not been seen to renew for so long has lost it.
    pub lease: Duration,
    /// A leader that could not renew for so long stops leading. Shorter than `lease`, so that it has stopped
    /// before another one may begin.
    pub renew: Duration,
    /// Between two looks at the Lease.
    pub retry: Duration,
}

impl Default for Terms {
    /// As other controllers have it.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Who holds it; empty when it was given back.
    pub holder: String,
    /// What changes at every renewal: the version of the object.
    pub version: String,
    /// For how long the holder wants it; ours counts when it says nothing.
    pub lease: Option<Duration>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the Lease: there is none.
    Create,
    /// Write ourselves in: it is free, or its holder is gone.
    Take,
    /// Say that we are still here.
    Renew,
    /// Somebody else leads.
    Wait,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Candidate {
    me: String,
    terms: Terms,
    /// The last Lease that differed from the one before, and when it was seen first.
    seen: Option<(Seen, Instant)>,
    /// When the last write of ours that succeeded was begun.
    renewed: Option<Instant>,
}

impl Candidate {
    /// Begins without knowing anything.
    #[must_use]
    pub fn new(me: impl Into<String>, terms: Terms) -> Self {
        Self { me: me.into(), terms, seen: None, renewed: None }
    }

    /// Takes in the Lease as it was read at `now`, `None` when there is none, and says what to do.
    pub fn evaluate(&mut self, lease: Option<Seen>, now: Instant) -> Step {
        let Some(lease) = lease else {
            self.seen = None;
            self.renewed = None;
            return Step::Create;
        };
        let since = match &self.seen {
            Some((known, since)) if *known == lease => *since,
            Some(_) | None => now,
        };
        let wanted = lease.lease.unwrap_or(self.terms.lease);
        let (ours, free) = (lease.holder == self.me, lease.holder.is_empty());
        self.seen = Some((lease, since));
        if ours {
            return Step::Renew;
        }
        self.renewed = None;
        // Not `>=`: who began to renew just in time is still there.
        if free || now.saturating_duration_since(since) > wanted { Step::Take } else { Step::Wait }
    }

    /// Takes in that a write of ours, begun at `began`, succeeded and left the Lease at `version`.
    pub fn wrote(&mut self, version: String, began: Instant, now: Instant) {
        let lease = Seen { holder: self.me.clone(), version, lease: Some(self.terms.lease) };
        self.seen = Some((lease, now));
        self.renewed = Some(began);
    }

    /// Says whether we lead at `now`. True for `renew` after the last write that succeeded was begun, so it
    /// ends by itself when the API server cannot be reached.
    #[must_use]
    pub fn leads(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    /// Gives when leading ends unless it is renewed.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + self.terms.renew)
    }

    /// Gives how long to wait before the next look.
    #[must_use]
    pub const fn retry(&self) -> Duration {
        self.terms.retry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

    fn at(origin: Instant, seconds: u64) -> Instant {
        origin + Duration::from_secs(seconds)
    }

    fn seen(holder: &str, version: u64) -> Option<Seen> {
        Some(Seen { holder: holder.to_owned(), version: version.to_string(), lease: None })
    }

    #[test]
    fn a_free_lease_is_taken_and_a_held_one_only_after_silence() {
        let origin = Instant::now();
        let mut me = Candidate::new("me", Terms::default());
        assert_eq!(me.evaluate(None, origin), Step::Create);
        assert_eq!(me.evaluate(seen("", 1), origin), Step::Take);
        assert_eq!(me.evaluate(seen("other", 2), origin), Step::Wait);
        assert_eq!(me.evaluate(seen("other", 3), at(origin, 14)), Step::Wait, "it has renewed");
        assert_eq!(me.evaluate(seen("other", 3), at(origin, 29)), Step::Wait);
        assert_eq!(me.evaluate(seen("other", 3), at(origin, 30)), Step::Take);
    }

    #[test]
    fn who_cannot_renew_stops_before_another_may_begin() {
        let origin = Instant::now();
        let mut me = Candidate::new("me", Terms::default());
        me.wrote("1".to_owned(), origin, at(origin, 1));
        assert!(me.leads(at(origin, 9)));
        assert!(!me.leads(at(origin, 10)), "counted from when the write was begun");
        // It may lead again.
        assert_eq!(me.evaluate(seen("me", 1), at(origin, 60)), Step::Renew);
        me.wrote("2".to_owned(), at(origin, 60), at(origin, 60));
        assert!(me.leads(at(origin, 61)));
    }

    /// A Lease as the API server keeps it: writes need the version that was read.
    #[derive(Default)]
    struct Server {
        lease: Option<(String, u64)>,
        version: u64,
    }

    impl Server {
        fn write(&mut self, read: Option<u64>, holder: &str) -> Option<u64> {
            if self.lease.as_ref().map(|(_, version)| *version) != read {
                return None;
            }
            self.version += 1;
            self.lease = Some((holder.to_owned(), self.version));
            Some(self.version)
        }
    }

    /// One thing that happens: who acts, how much time passes before, and what the network does.
    type Event = (u8, u16, u8);

    /// A write on its way: who, what it read, when it was begun, and when it arrives.
    struct Flight {
        who: usize,
        read: Option<u64>,
        began: Instant,
        answer_lost: bool,
    }

    fn play(events: &[Event]) -> Result<(), String> {
        let origin = Instant::now();
        let mut now = origin;
        let mut server = Server::default();
        let mut all: Vec<Candidate> =
            ["a", "b", "c"].map(|name| Candidate::new(name, Terms::default())).into();
        let mut flights: Vec<Flight> = Vec::new();
        for &(what, pause, network) in events {
            now += Duration::from_millis(u64::from(pause % 4000));
            let who = usize::from(what % 3);
            // Writes arrive late, and in any order.
            if network & 1 == 1 && !flights.is_empty() {
                let flight = flights.remove(usize::from(network >> 4) % flights.len());
                let holder = all[flight.who].me.clone();
                let written = server.write(flight.read, &holder);
                if let (Some(version), false) = (written, flight.answer_lost) {
                    all[flight.who].wrote(version.to_string(), flight.began, now);
                }
            } else if network & 2 == 0 {
                let read = server.lease.clone();
                let seen = read.clone().map(|(holder, version)| Seen {
                    holder,
                    version: version.to_string(),
                    lease: None,
                });
                if all[who].evaluate(seen, now) != Step::Wait
                    && flights.iter().all(|flight| flight.who != who)
                {
                    let read = read.map(|(_, version)| version);
                    flights.push(Flight { who, read, began: now, answer_lost: network & 4 == 4 });
                }
            }
            let leaders = all.iter().filter(|candidate| candidate.leads(now)).count();
            if leaders > 1 {
                return Err(format!("{leaders} lead at once"));
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn there_are_never_two_leaders(events in proptest::collection::vec(any::<Event>(), 0..400)) {
            let played = play(&events);
            prop_assert!(played.is_ok(), "{:?}", played);
        }
    }
}
