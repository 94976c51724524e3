//! Which status is written when: a pure account of what is wanted, on its way, and written but not yet seen in
//! a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_translate::status::{Change, Status};
use fairway_translate::{ObjectKey, Snapshot};
use tokio::time::Instant;

/// How soon after a write the next one of the same object may be made at once.
const CALM: Duration = Duration::from_secs(2);
/// How long a status that changes again and again has to stand still before it is written.
const STILL: Duration = Duration::from_millis(300);
/// How long it is put off at most.
const LONGEST: Duration = Duration::from_secs(3);
/// How soon a write that failed is tried again, the first time and at most.
const RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A status to write, and the version of the object that it was rendered from: who has written meanwhile is
/// not written over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) key: ObjectKey,
    pub(super) status: Arc<Status>,
    pub(super) version: String,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It is written, and the object has this version now.
    Written(String),
    /// Somebody else was first; the watch brings what they wrote.
    Conflict,
    /// The object is gone.
    Gone,
    /// Anything else.
    Failed,
}

#[derive(Debug)]
struct Wanted {
    status: Arc<Status>,
    version: String,
    first: Instant,
    due: Instant,
}

#[derive(Debug)]
struct Written {
    from: String,
    to: String,
    status: Arc<Status>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    wanted: BTreeMap<ObjectKey, Wanted>,
    flying: BTreeMap<ObjectKey, Job>,
    /// Written, while snapshots may still show the object as it was before.
    unseen: BTreeMap<ObjectKey, Written>,
    last: BTreeMap<ObjectKey, Instant>,
    failures: BTreeMap<ObjectKey, u32>,
    /// Versions that a write was refused for: nothing is written until another one is seen.
    conflicts: BTreeMap<ObjectKey, String>,
    /// Objects of which something else is unseen than when it was last asked.
    touched: BTreeSet<ObjectKey>,
}

impl Queue {
    /// Gives what was written and is not seen in a snapshot yet, as far as that is new; without a status, what the
    /// snapshot shows counts again.
    pub(super) fn news(&mut self, snapshot: &Snapshot) -> Vec<(ObjectKey, Option<Arc<Status>>)> {
        let touched = &mut self.touched;
        self.unseen.retain(|key, written| {
            let version = snapshot.metadata(key).and_then(|meta| meta.resource_version.as_deref());
            let unseen = version == Some(written.from.as_str());
            if !unseen {
                touched.insert(key.clone());
            }
            unseen
        });
        let unseen = |key: ObjectKey| {
            let status = self.unseen.get(&key).map(|written| Arc::clone(&written.status));
            (key, status)
        };
        std::mem::take(&mut self.touched).into_iter().map(unseen).collect()
    }

    /// Takes in what the statuses of these objects shall be; those of others stay as they were to be.
    pub(super) fn want(&mut self, changes: &[Change], snapshot: &Snapshot, now: Instant) {
        for Change { key, shown, wanted, earlier: _ } in changes {
            let before = self.wanted.remove(key);
            if !snapshot.contains(key) {
                self.forget(key);
                continue;
            }
            let Some(status) = wanted.as_ref().filter(|wanted| shown.as_ref() != Some(wanted))
            else {
                continue;
            };
            let Some(version) = self.version(key, snapshot) else { continue };
            if self.conflicts.get(key).is_some_and(|refused| *refused == version) {
                continue;
            }
            let wanted = match before {
                Some(known) if known.status == *status => Wanted { version, ..known },
                Some(known) => self.scheduled(key, status, version, known.first, now),
                None => self.scheduled(key, status, version, now, now),
            };
            self.wanted.insert(key.clone(), wanted);
        }
    }

    fn scheduled(
        &self,
        key: &ObjectKey,
        status: &Arc<Status>,
        version: String,
        first: Instant,
        now: Instant,
    ) -> Wanted {
        let calm =
            self.last.get(key).is_none_or(|last| now.saturating_duration_since(*last) > CALM);
        let due = if calm { now } else { (now + STILL).min(first + LONGEST) };
        let due = match self.failures.get(key) {
            Some(failures) => due.max(now + pause(*failures)),
            None => due,
        };
        Wanted { status: Arc::clone(status), version, first, due }
    }

    fn version(&self, key: &ObjectKey, snapshot: &Snapshot) -> Option<String> {
        match self.unseen.get(key) {
            Some(written) => Some(written.to.clone()),
            None => snapshot.metadata(key)?.resource_version.clone(),
        }
    }

    /// Gives a job that is due, if there is one; it is on its way then.
    pub(super) fn next(&mut self, now: Instant) -> Option<Job> {
        let due = |(key, wanted): &(&ObjectKey, &Wanted)| {
            wanted.due <= now && !self.flying.contains_key(*key)
        };
        let key = self.wanted.iter().find(due).map(|(key, _)| key.clone())?;
        let wanted = self.wanted.remove(&key)?;
        let job = Job { key: key.clone(), status: wanted.status, version: wanted.version };
        self.flying.insert(key, job.clone());
        Some(job)
    }

    /// Gives when the next job is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = self.wanted.iter().filter(|(key, _)| !self.flying.contains_key(*key));
        waiting.map(|(_, wanted)| wanted.due).min()
    }

    /// How many statuses are to be written or on their way.
    pub(super) fn len(&self) -> usize {
        self.wanted.len() + self.flying.len()
    }

    /// Takes in what became of a job.
    pub(super) fn done(&mut self, key: &ObjectKey, done: Done, now: Instant) {
        let Some(job) = self.flying.remove(key) else { return };
        match done {
            Done::Written(version) => {
                self.failures.remove(key);
                self.conflicts.remove(key);
                self.last.insert(key.clone(), now);
                if let Some(wanted) = self.wanted.get_mut(key)
                    && wanted.version == job.version
                {
                    wanted.version.clone_from(&version);
                    wanted.due = wanted.due.max(now + STILL);
                }
                if self.wanted.get(key).is_some_and(|wanted| wanted.status == job.status) {
                    self.wanted.remove(key);
                }
                if version != job.version {
                    // What is unseen began at the version that snapshots may still show.
                    let from = match self.unseen.remove(key) {
                        Some(written) if written.to == job.version => written.from,
                        Some(_) | None => job.version,
                    };
                    let written = Written { from, to: version, status: job.status };
                    self.unseen.insert(key.clone(), written);
                    self.touched.insert(key.clone());
                }
            }
            Done::Conflict => {
                self.unseen.remove(key);
                self.touched.insert(key.clone());
                self.conflicts.insert(key.clone(), job.version);
            }
            Done::Gone => self.forget(key),
            Done::Failed => {
                let failures = self.failures.entry(key.clone()).or_default();
                *failures += 1;
                let due = now + pause(*failures);
                let again = Wanted { status: job.status, version: job.version, first: now, due };
                self.wanted.entry(key.clone()).or_insert(again).due = due;
            }
        }
    }

    /// Another replica writes now: nothing of what was on its way is known any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget(&mut self, key: &ObjectKey) {
        self.wanted.remove(key);
        if self.unseen.remove(key).is_some() {
            self.touched.insert(key.clone());
        }
        self.last.remove(key);
        self.failures.remove(key);
        self.conflicts.remove(key);
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = RETRY.saturating_mul(1_u32 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::kind::decode;
    use fairway_api::reference::ParentReference;
    use fairway_api::status::{RouteParentStatus, RouteStatus};
    use fairway_translate::status::Statuses;
    use fairway_translate::{Kind, Name};
    use serde_json::json;

    fn snapshot(version: &str) -> Snapshot {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"namespace": "shop", "name": "cart", "resourceVersion": version},
            "spec": {},
        });
        Snapshot::new([decode(route).expect("a route")])
    }

    fn key() -> ObjectKey {
        ObjectKey { kind: Kind::HttpRoute, name: Name::new("shop", "cart") }
    }

    fn statuses(parents: usize) -> Statuses {
        let parent = RouteParentStatus {
            parent_ref: ParentReference::default(),
            controller_name: String::new(),
            conditions: Vec::new(),
        };
        let parents = vec![parent; parents];
        Statuses::from([(key(), Arc::new(Status::Route(RouteStatus { parents })))])
    }

    /// What a snapshot shows, with what was written over it.
    #[derive(Default)]
    struct Shown(Statuses);

    impl Shown {
        fn want(&mut self, queue: &mut Queue, wanted: &Statuses, version: &str, now: Instant) {
            let snapshot = snapshot(version);
            for (key, status) in queue.news(&snapshot) {
                match status {
                    Some(status) => self.0.insert(key, status),
                    None => self.0.remove(&key),
                };
            }
            let change = |(key, status): (&ObjectKey, &Arc<Status>)| Change {
                key: key.clone(),
                shown: self.0.get(key).cloned(),
                earlier: None,
                wanted: Some(Arc::clone(status)),
            };
            let changes: Vec<Change> = wanted.iter().map(change).collect();
            queue.want(&changes, &snapshot, now);
        }
    }

    #[test]
    fn a_status_is_written_once_though_the_watch_is_late() {
        let mut queue = Queue::default();
        let now = Instant::now();
        let mut shown = Shown::default();
        shown.want(&mut queue, &statuses(1), "7", now);
        let job = queue.next(now).expect("a job");
        assert_eq!(job.version, "7");
        assert_eq!(queue.next(now), None, "it is on its way");
        queue.done(&key(), Done::Written("8".to_owned()), now);
        // The snapshot is still the old one.
        shown.want(&mut queue, &statuses(1), "7", now);
        assert_eq!(queue.next(now + LONGEST), None);
        // Another status is written on top of what we wrote.
        shown.want(&mut queue, &statuses(2), "7", now);
        assert_eq!(queue.next(now), None, "it has to stand still first");
        assert_eq!(queue.next(now + STILL).expect("a job").version, "8");
    }

    #[test]
    fn a_conflict_waits_for_the_watch() {
        let mut queue = Queue::default();
        let now = Instant::now();
        Shown::default().want(&mut queue, &statuses(1), "7", now);
        assert!(queue.next(now).is_some());
        queue.done(&key(), Done::Conflict, now);
        Shown::default().want(&mut queue, &statuses(1), "7", now);
        assert_eq!(queue.due(), None);
        Shown::default().want(&mut queue, &statuses(1), "9", now);
        assert_eq!(queue.next(now).expect("a job").version, "9");
    }

    #[test]
    fn a_status_that_changes_a_thousand_times_is_written_twice() {
        let mut queue = Queue::default();
        let mut now = Instant::now();
        let (mut writes, mut version) = (0, 7);
        let mut shown = Shown::default();
        for parents in 1..=1000 {
            shown.want(&mut queue, &statuses(parents), "7", now);
            now += Duration::from_millis(2);
            if queue.next(now).is_some() {
                writes += 1;
                version += 1;
                queue.done(&key(), Done::Written(version.to_string()), now);
            }
        }
        now += STILL;
        writes += usize::from(queue.next(now).is_some());
        assert_eq!(writes, 2);
    }

    #[test]
    fn failures_are_tried_again_and_less_and_less_often() {
        let mut queue = Queue::default();
        let mut now = Instant::now();
        Shown::default().want(&mut queue, &statuses(1), "7", now);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert!(queue.next(now).is_some());
            queue.done(&key(), Done::Failed, now);
            let due = queue.due().expect("it is tried again");
            pauses.push(due - now);
            now = due;
        }
        assert_eq!(pauses.first(), Some(&RETRY));
        assert_eq!(pauses.last(), Some(&LONGEST_RETRY));
    }
}
