//! How often events are told. Pure: the time is passed in.

use std::collections::HashMap;
use std::time::Duration;

use fairway_translate::ObjectKey;
use tokio::time::Instant;

use super::Happening;

/// The same words about the same object are not told again within this time.
const SAME: Duration = Duration::from_secs(600);
/// Events that one object may have at once, and how soon it may have one more; as client-go has it.
const OF_ONE: Bucket = Bucket { burst: 25, refill: Duration::from_secs(300) };
/// The same for all objects together.
const OF_ALL: Bucket = Bucket { burst: 200, refill: Duration::from_millis(100) };
/// What is remembered is swept when it is more than this.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Copy)]
struct Bucket {
    burst: u32,
    refill: Duration,
}

/// When the bucket was, or will be, full: one moment says all.
#[derive(Clone, Copy, Debug)]
struct Level(Instant);

impl Bucket {
    fn takes(self, level: Option<Level>, now: Instant) -> Option<Level> {
        let full = level.map_or(now, |level| level.0.max(now));
        let after = full + self.refill;
        (after.duration_since(now) <= self.refill * self.burst).then_some(Level(after))
    }
}

/// What was told lately.
#[derive(Debug, Default)]
pub(super) struct Limit {
    objects: HashMap<ObjectKey, Level>,
    all: Option<Level>,
    told: HashMap<Happening, Instant>,
}

impl Limit {
    /// Says whether it may be told now; then it counts as told.
    pub(super) fn allows(&mut self, happening: &Happening, now: Instant) -> bool {
        self.sweep(now);
        let is_same = |told: &Instant| now.saturating_duration_since(*told) < SAME;
        if self.told.get(happening).is_some_and(is_same) {
            return false;
        }
        let of_one = OF_ONE.takes(self.objects.get(&happening.key).copied(), now);
        let of_all = OF_ALL.takes(self.all, now);
        let (Some(of_one), Some(of_all)) = (of_one, of_all) else { return false };
        self.objects.insert(happening.key.clone(), of_one);
        self.all = Some(of_all);
        self.told.insert(happening.clone(), now);
        true
    }

    fn sweep(&mut self, now: Instant) {
        if self.told.len() > REMEMBERED {
            self.told.retain(|_, told| now.saturating_duration_since(*told) < SAME);
        }
        if self.objects.len() > REMEMBERED {
            self.objects.retain(|_, level| level.0 > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_translate::{Kind, Name};

    fn happening(object: usize, note: usize) -> Happening {
        let name = Name::new("shop", format!("route-{object}"));
        Happening {
            key: ObjectKey { kind: Kind::HttpRoute, name },
            bad: true,
            reason: "BackendNotFound".to_owned(),
            note: note.to_string(),
        }
    }

    #[test]
    fn the_same_is_told_once_in_a_while() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        assert!(limit.allows(&happening(1, 1), now));
        assert!(!limit.allows(&happening(1, 1), now + SAME - Duration::from_secs(1)));
        assert!(limit.allows(&happening(1, 1), now + SAME));
    }

    #[test]
    fn an_object_that_changes_all_the_time_is_cut_short_and_not_its_neighbour() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let told = (0..1000).filter(|note| limit.allows(&happening(1, *note), now)).count();
        assert_eq!(told, 25);
        assert!(limit.allows(&happening(2, 0), now));
        let later = now + Duration::from_secs(300);
        let told = (1000..2000).filter(|note| limit.allows(&happening(1, *note), later)).count();
        assert_eq!(told, 1);
    }

    #[test]
    fn all_together_are_bounded() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let told = (0..10_000).filter(|object| limit.allows(&happening(*object, 0), now)).count();
        assert_eq!(told, 200);
        let later = now + Duration::from_secs(1);
        let told = (10_000..20_000).filter(|object| limit.allows(&happening(*object, 0), later));
        assert_eq!(told.count(), 10);
    }
}
