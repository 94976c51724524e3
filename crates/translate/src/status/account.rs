//! Statuses kept from change to change: what objects carry, and what they shall carry. The values are those of
//! [`current`](super::current) and [`render`](super::render), at the cost of what has changed: the rest is
//! passed over by its pointer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::{ListenerId, RouteId};

use super::carried::carried;
use super::{FleetOutcome, ListenerOutcome, Outcomes, Pen, Status, Statuses};
use crate::object::{Kind, ObjectKey};
use crate::plan::Plan;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// See the module.
#[derive(Debug, Default)]
pub struct Account {
    shown: Statuses,
    wanted: Statuses,
    last: Option<Last>,
}

/// What the statuses stand on.
#[derive(Debug)]
struct Last {
    snapshot: Arc<Snapshot>,
    plan: Arc<Plan>,
    settings: Settings,
    listeners: BTreeMap<ListenerId, ListenerOutcome>,
    refused: BTreeMap<RouteId, Arc<str>>,
    fleets: BTreeMap<ObjectKey, FleetOutcome>,
}

/// How things stand.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// All objects.
    pub snapshot: &'a Arc<Snapshot>,
    /// What they mean.
    pub plan: &'a Arc<Plan>,
    /// How they were understood.
    pub settings: &'a Settings,
    /// What data planes say.
    pub outcomes: &'a Outcomes,
}

/// What is new besides what pointers show.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// Objects whose entry in [`Outcomes::live`] is new, or gone.
    pub live: BTreeSet<ObjectKey>,
    /// Statuses that were written, and that the snapshot does not show yet; without one, what the snapshot
    /// shows counts again.
    pub written: Vec<(ObjectKey, Option<Arc<Status>>)>,
}

/// An object whose status may have to be written.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub key: ObjectKey,
    /// What it carries.
    pub shown: Option<Arc<Status>>,
    /// What it was to carry before.
    pub earlier: Option<Arc<Status>>,
    /// What it shall carry; none when nothing is said about it.
    pub wanted: Option<Arc<Status>>,
}

impl Account {
    /// What all statuses shall be.
    #[must_use]
    pub const fn wanted(&self) -> &Statuses {
        &self.wanted
    }

    /// Brings everything up to date; gives all objects that are new, gone, or spoken of in another way.
    pub fn follow(
        &mut self,
        standing: &Standing<'_>,
        news: News,
        now: jiff::Timestamp,
    ) -> Vec<Change> {
        let mut dirty = news.live;
        self.see(standing.snapshot, &mut dirty);
        for (key, status) in news.written {
            match status.or_else(|| super::carried::of(standing.snapshot, &key)) {
                Some(status) => self.shown.insert(key.clone(), status),
                None => self.shown.remove(&key),
            };
            dirty.insert(key);
        }
        self.hear(standing, &mut dirty);
        let outcomes = standing.outcomes;
        self.last = Some(Last {
            snapshot: Arc::clone(standing.snapshot),
            plan: Arc::clone(standing.plan),
            settings: standing.settings.clone(),
            listeners: outcomes.listeners.clone(),
            refused: outcomes.refused.clone(),
            fleets: outcomes.fleets.clone(),
        });
        let pen = Pen::new(standing.settings, outcomes, now);
        dirty.into_iter().map(|key| self.render(key, &pen, standing.plan)).collect()
    }

    fn render(&mut self, key: ObjectKey, pen: &Pen<'_>, plan: &Plan) -> Change {
        let shown = self.shown.get(&key).cloned();
        let wanted = match (plan.verdicts.get(&key), &shown) {
            (Some(said), shown) => Some(pen.put(&key, said, shown.as_ref())),
            (None, Some(shown)) => pen.withdrawn(shown).map(Arc::new),
            (None, None) => None,
        };
        let earlier = match &wanted {
            Some(status) => self.wanted.insert(key.clone(), Arc::clone(status)),
            None => self.wanted.remove(&key),
        };
        Change { key, shown, earlier, wanted }
    }

    /// Takes in which objects are others than before, with the statuses that they carry.
    fn see(&mut self, snapshot: &Arc<Snapshot>, dirty: &mut BTreeSet<ObjectKey>) {
        let nothing = Snapshot::default();
        let before = self.last.as_ref().map_or(&nothing, |last| &last.snapshot);
        let shown = &mut self.shown;
        carried(before, snapshot, |key, status| {
            match status {
                Some(status) => shown.insert(key.clone(), Arc::new(status)),
                None => shown.remove(&key),
            };
            dirty.insert(key);
        });
    }

    /// Takes in of which objects something else is said than before.
    fn hear(&self, standing: &Standing<'_>, dirty: &mut BTreeSet<ObjectKey>) {
        let Standing { plan, settings, outcomes, .. } = *standing;
        let Some(last) = self
            .last
            .as_ref()
            .filter(|last| last.settings == *settings && last.refused == outcomes.refused)
        else {
            dirty.extend(plan.verdicts.keys().chain(self.shown.keys()).cloned());
            dirty.extend(self.wanted.keys().cloned());
            return;
        };
        if !Arc::ptr_eq(&last.plan, plan) {
            differences(&last.plan.verdicts, &plan.verdicts, |key, _| {
                dirty.insert(key.clone());
            });
        }
        if last.listeners != outcomes.listeners || last.fleets != outcomes.fleets {
            let speaks = |key: &&ObjectKey| {
                matches!(key.kind, Kind::Gateway | Kind::FairwayGateway | Kind::ListenerSet)
            };
            dirty.extend(plan.verdicts.keys().filter(speaks).cloned());
        }
    }
}

/// Walks over two maps in step; tells of each entry that is another value by its pointer, with what it is now.
pub(super) fn differences<K: Ord, V>(
    before: &BTreeMap<K, Arc<V>>,
    after: &BTreeMap<K, Arc<V>>,
    mut tell: impl FnMut(&K, Option<&Arc<V>>),
) {
    let mut old = before.iter().peekable();
    for (key, value) in after {
        // Most are the same; a value is in one place alone, so that its key need not be compared.
        if old.next_if(|(_, known)| Arc::ptr_eq(known, value)).is_some() {
            continue;
        }
        while let Some((gone, _)) = old.next_if(|(known, _)| *known < key) {
            tell(gone, None);
        }
        match old.next_if(|(known, _)| *known == key) {
            Some((_, known)) if Arc::ptr_eq(known, value) => {}
            Some(_) | None => tell(key, Some(value)),
        }
    }
    for (gone, _) in old {
        tell(gone, None);
    }
}
