//! What to make of objects that are gone without a word. A deletion that was observed is obeyed at once. But
//! a list that lacks more than half of a kind's objects, or a kind that vanishes as a whole, is more often an
//! accident (a restored backup, a CustomResourceDefinition removed with the chart that brought it) than
//! somebody's wish, and obeying it would take everything off the air.
//!
//! A state machine on moments that are passed in; it does nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fairway_translate::{Kind, Name};
use tokio::time::Instant;

/// As many objects may be gone without a word, whatever their share.
const FEW: usize = 10;

/// Why objects count although the cluster does not have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A list lacked them.
    List,
    /// Their CustomResourceDefinition is gone, or going.
    Definition,
}

/// Objects of one kind that are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) names: BTreeSet<Name>,
    pub(super) cause: Cause,
    /// When the first of them was missed.
    pub(super) since: Instant,
    /// When the cluster is to be asked again.
    ask: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Guard {
    patience: Duration,
    accept: bool,
    held: BTreeMap<Kind, Hold>,
}

impl Guard {
    /// Makes one that believes a second list after `patience`; with `accept`, anything at once.
    pub(super) const fn new(patience: Duration, accept: bool) -> Self {
        Self { patience, accept, held: BTreeMap::new() }
    }

    /// Gives what is held.
    pub(super) fn held(&self) -> impl Iterator<Item = (Kind, &Hold)> {
        self.held.iter().map(|(kind, hold)| (*kind, hold))
    }

    /// A whole list was taken: of `known` objects it lacked `gone`, those that are held among them. Gives
    /// those that are to be given up.
    pub(super) fn listed(
        &mut self,
        kind: Kind,
        known: usize,
        gone: BTreeSet<Name>,
        now: Instant,
    ) -> BTreeSet<Name> {
        let hold = self.held.remove(&kind);
        if self.accept || gone.len() <= FEW || gone.len() * 2 <= known {
            return gone;
        }
        let before = hold.filter(|hold| hold.cause == Cause::List);
        let (confirmed, since) = match before {
            Some(hold) if now >= hold.since + self.patience => {
                (gone.intersection(&hold.names).cloned().collect(), now)
            }
            Some(hold) => (BTreeSet::new(), hold.since),
            None => (BTreeSet::new(), now),
        };
        let names: BTreeSet<Name> = gone.difference(&confirmed).cloned().collect();
        if !names.is_empty() {
            let ask = Some(since + self.patience);
            self.held.insert(kind, Hold { names, cause: Cause::List, since, ask });
        }
        confirmed
    }

    /// An object went together with its definition. Says whether it is to be given up.
    pub(super) fn lost(
        &mut self,
        kind: Kind,
        names: impl IntoIterator<Item = Name>,
        now: Instant,
    ) -> bool {
        if self.accept {
            return true;
        }
        let mut names: BTreeSet<Name> = names.into_iter().collect();
        if names.is_empty() {
            return false;
        }
        let since = match self.held.remove(&kind) {
            Some(hold) => {
                names.extend(hold.names);
                hold.since
            }
            None => now,
        };
        self.held.insert(kind, Hold { names, cause: Cause::Definition, since, ask: None });
        false
    }

    /// The definition is there again: the next list says what there is.
    pub(super) fn returned(&mut self, kind: Kind, now: Instant) {
        if let Some(hold) = self.held.get_mut(&kind) {
            hold.cause = Cause::List;
            hold.since = now;
            hold.ask = Some(now + self.patience);
        }
    }

    /// An object is there, or was seen to be deleted: either way it is not held any more.
    pub(super) fn settled(&mut self, kind: Kind, name: &Name) {
        let Some(hold) = self.held.get_mut(&kind) else { return };
        hold.names.remove(name);
        if hold.names.is_empty() {
            self.held.remove(&kind);
        }
    }

    /// Gives when the next kind has to be listed again, to confirm what is held.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.values().filter_map(|hold| hold.ask).min()
    }

    /// Gives the kinds that have to be listed now, and asks for each again after the same patience.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<Kind> {
        let patience = self.patience;
        let due = self.held.iter_mut().filter(|(_, hold)| hold.ask.is_some_and(|ask| ask <= now));
        let asked = due.map(|(kind, hold)| {
            hold.ask = Some(now + patience);
            *kind
        });
        asked.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);
    const KIND: Kind = Kind::HttpRoute;

    fn names(range: std::ops::Range<usize>) -> BTreeSet<Name> {
        range.map(|number| Name::new("shop", format!("route-{number:03}"))).collect()
    }

    fn held(guard: &Guard) -> usize {
        guard.held().map(|(_, hold)| hold.names.len()).sum()
    }

    #[test]
    fn few_may_go_and_half_of_many() {
        let now = Instant::now();
        let mut guard = Guard::new(PATIENCE, false);
        for (known, gone) in [(10, 10), (20, 10), (100, 50), (1, 1), (1000, 500)] {
            assert_eq!(guard.listed(KIND, known, names(0..gone), now).len(), gone, "{known}");
        }
        assert_eq!(guard.due(), None);
        for (known, gone) in [(11, 11), (20, 11), (100, 51)] {
            assert!(guard.listed(KIND, known, names(0..gone), now).is_empty(), "{known}");
            assert_eq!(held(&guard), gone);
        }
    }

    #[test]
    fn a_second_list_is_believed_only_after_a_while() {
        let start = Instant::now();
        let mut guard = Guard::new(PATIENCE, false);
        assert!(guard.listed(KIND, 20, names(0..20), start).is_empty());
        assert_eq!(guard.due(), Some(start + PATIENCE));
        assert!(guard.ask(start + PATIENCE / 2).is_empty(), "not yet");
        let early = start + PATIENCE / 2;
        assert!(guard.listed(KIND, 20, names(0..20), early).is_empty(), "too soon");
        assert_eq!(guard.due(), Some(start + PATIENCE), "counted from the first");
        let late = start + PATIENCE;
        assert_eq!(guard.ask(late), [KIND]);
        assert!(guard.ask(late).is_empty(), "once");
        assert_eq!(guard.listed(KIND, 20, names(0..20), late).len(), 20);
        assert_eq!((held(&guard), guard.due()), (0, None));
    }

    #[test]
    fn only_what_both_lists_lacked_is_given_up() {
        let start = Instant::now();
        let mut guard = Guard::new(PATIENCE, false);
        guard.listed(KIND, 40, names(0..25), start);
        let late = start + PATIENCE;
        let given_up = guard.listed(KIND, 40, names(10..40), late);
        assert_eq!(given_up, names(10..25));
        assert_eq!(held(&guard), 15, "those that went in between wait for a list of their own");
        assert_eq!(guard.due(), Some(late + PATIENCE));
    }

    #[test]
    fn what_comes_back_or_is_seen_to_go_is_not_held() {
        let start = Instant::now();
        let mut guard = Guard::new(PATIENCE, false);
        guard.listed(KIND, 12, names(0..12), start);
        for name in names(0..12) {
            guard.settled(KIND, &name);
        }
        assert_eq!((held(&guard), guard.due()), (0, None));
        guard.listed(KIND, 20, names(0..15), start);
        // Most of them are back: the few that are not are believed to be gone.
        assert_eq!(guard.listed(KIND, 20, names(0..3), start), names(0..3));
        assert_eq!(held(&guard), 0);
    }

    #[test]
    fn a_lost_definition_holds_however_few_until_it_is_back_and_listed() {
        let start = Instant::now();
        let mut guard = Guard::new(PATIENCE, false);
        assert!(!guard.lost(KIND, names(0..3), start));
        assert!(!guard.lost(KIND, names(3..5), start + PATIENCE));
        assert_eq!((held(&guard), guard.due()), (5, None), "for ever");
        guard.returned(KIND, start + 2 * PATIENCE);
        assert_eq!(guard.listed(KIND, 5, names(0..5), start + 2 * PATIENCE).len(), 5);
        assert!(!guard.lost(KIND, names(0..20), start));
        let back = start + 10 * PATIENCE;
        guard.returned(KIND, back);
        assert!(guard.listed(KIND, 20, names(0..20), back).is_empty(), "many are held on");
        assert_eq!(guard.listed(KIND, 20, names(0..20), back + PATIENCE).len(), 20);
    }

    #[test]
    fn who_accepts_deletions_holds_nothing() {
        let now = Instant::now();
        let mut guard = Guard::new(PATIENCE, true);
        assert_eq!(guard.listed(KIND, 20, names(0..20), now).len(), 20);
        assert!(guard.lost(KIND, names(0..20), now));
        assert_eq!(held(&guard), 0);
    }
}
