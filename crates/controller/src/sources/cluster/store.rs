//! The objects of the cluster: the last snapshot, and what has changed since. There is no second copy of
//! anything: what a list or an event repeats stays the same `Arc`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::AnyObject;
use fairway_api::meta::ObjectMeta;
use fairway_translate::{Kind, Name, ObjectKey, Snapshot};
use tokio::time::Instant;

use super::guard::{Cause, Guard};
use super::item::Item;

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    snapshot: Arc<Snapshot>,
    /// Objects that are new or changed, and those that are gone.
    changes: BTreeMap<ObjectKey, Option<AnyObject>>,
    /// What the lists under way have had so far.
    lists: BTreeMap<Kind, BTreeSet<Name>>,
    /// Kinds whose definition is being deleted, and their objects with it.
    ending: BTreeSet<Kind>,
    /// Objects that make no sense as they are now, with the reason.
    undecoded: BTreeMap<ObjectKey, Arc<str>>,
    pub(super) guard: Guard,
}

impl Store {
    pub(super) fn new(guard: Guard) -> Self {
        Self {
            snapshot: Arc::default(),
            changes: BTreeMap::new(),
            lists: BTreeMap::new(),
            ending: BTreeSet::new(),
            undecoded: BTreeMap::new(),
            guard,
        }
    }

    /// Makes a snapshot of everything up to now.
    pub(super) fn commit(
        &mut self,
        unreadable: &Arc<BTreeMap<ObjectKey, Arc<str>>>,
    ) -> Arc<Snapshot> {
        let same = Arc::ptr_eq(&self.snapshot.unreadable, unreadable);
        if self.changes.is_empty() && same {
            return Arc::clone(&self.snapshot);
        }
        let mut put = Vec::new();
        let mut gone = Vec::new();
        for (key, change) in std::mem::take(&mut self.changes) {
            match change {
                Some(object) => put.push(object),
                None => gone.push(key),
            }
        }
        let mut next = self.snapshot.next(put, gone);
        next.unreadable = Arc::clone(unreadable);
        self.snapshot = Arc::new(next);
        Arc::clone(&self.snapshot)
    }

    /// Gives the kinds whose definition is being deleted.
    pub(super) const fn ends(&self) -> &BTreeSet<Kind> {
        &self.ending
    }

    /// Gives the objects that make no sense as they are now.
    pub(super) fn undecoded(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<str>)> {
        self.undecoded.iter()
    }

    /// An object is there in this version. Says whether that is news.
    pub(super) fn put(&mut self, kind: Kind, item: Item) -> bool {
        self.guard.settled(kind, &item.name);
        let key = ObjectKey { kind, name: item.name };
        let known = self.metadata(&key);
        if known.is_some_and(|known| {
            known.uid == item.uid
                && known.resource_version == item.version
                && item.version.is_some()
        }) {
            return false;
        }
        match item.object {
            Ok(object) => {
                self.undecoded.remove(&key);
                self.changes.insert(key, Some(object));
                true
            }
            Err(why) => {
                if self.undecoded.get(&key).is_some_and(|before| **before == *why) {
                    return false;
                }
                tracing::warn!("{key} cannot be read, and counts as it was before: {why}");
                self.undecoded.insert(key, why.into());
                true
            }
        }
    }

    /// A deletion was observed. Says whether that is news.
    pub(super) fn gone(&mut self, kind: Kind, name: Name, now: Instant) -> bool {
        if self.ending.contains(&kind) && !self.guard.lost(kind, [name.clone()], now) {
            return true;
        }
        self.guard.settled(kind, &name);
        self.remove(ObjectKey { kind, name })
    }

    /// A list begins.
    pub(super) fn begun(&mut self, kind: Kind) {
        self.lists.insert(kind, BTreeSet::new());
    }

    /// A part of it. Says whether there is news in it.
    pub(super) fn page(&mut self, kind: Kind, items: Vec<Item>) -> bool {
        let mut news = false;
        for item in items {
            self.lists.entry(kind).or_default().insert(item.name.clone());
            news |= self.put(kind, item);
        }
        news
    }

    /// The list is complete. Says whether anything is gone, or held now.
    pub(super) fn listed(&mut self, kind: Kind, now: Instant) -> bool {
        let listed = self.lists.remove(&kind).unwrap_or_default();
        let known = self.names(kind);
        let gone: BTreeSet<Name> = known.difference(&listed).cloned().collect();
        self.undecoded.retain(|key, _| key.kind != kind || listed.contains(&key.name));
        if gone.is_empty() {
            return false;
        }
        let missing = gone.len();
        if self.ending.contains(&kind) && !self.guard.lost(kind, gone.iter().cloned(), now) {
            return true;
        }
        let removed = self.guard.listed(kind, known.len(), gone, now);
        if removed.len() < missing {
            let held = missing - removed.len();
            tracing::warn!(
                "a list lacks {held} of {} objects of kind {kind}: they count until they are seen to be \
                 deleted or a later list agrees",
                known.len()
            );
        }
        for name in removed {
            self.remove(ObjectKey { kind, name });
        }
        true
    }

    /// The definition of a kind is being deleted: its objects go, though nobody has deleted any.
    pub(super) fn ending(&mut self, kind: Kind, now: Instant) {
        if !self.ending.insert(kind) {
            return;
        }
        // Those whose deletion was heard of first, a moment ago, are among them.
        let already = self.changes.iter().filter(|(key, change)| {
            key.kind == kind && change.is_none() && self.snapshot.contains(key)
        });
        let already: Vec<ObjectKey> = already.map(|(key, _)| key.clone()).collect();
        let names = already.iter().map(|key| key.name.clone());
        if !self.guard.lost(kind, names, now) {
            for key in already {
                self.changes.remove(&key);
            }
        }
    }

    /// The definition of a kind is gone. Says whether that is news.
    pub(super) fn vanished(&mut self, kind: Kind, now: Instant) -> bool {
        self.ending.remove(&kind);
        self.lists.remove(&kind);
        let names = self.names(kind);
        if names.is_empty() {
            return false;
        }
        let count = names.len();
        if self.guard.lost(kind, names.iter().cloned(), now) {
            for name in names {
                self.remove(ObjectKey { kind, name });
            }
        } else {
            tracing::warn!(
                "the CustomResourceDefinition of {kind} is gone: its {count} objects count until it is back, \
                 or until the controller starts anew"
            );
        }
        true
    }

    /// The definition of a kind is there.
    pub(super) fn returned(&mut self, kind: Kind, now: Instant) {
        self.ending.remove(&kind);
        if self.guard.held().any(|(held, hold)| held == kind && hold.cause == Cause::Definition) {
            self.guard.returned(kind, now);
        }
    }

    /// Forgets an object. Says whether it was there.
    pub(super) fn remove(&mut self, key: ObjectKey) -> bool {
        let undecoded = self.undecoded.remove(&key).is_some();
        if self.snapshot.contains(&key) {
            self.changes.insert(key, None);
            true
        } else {
            self.changes.remove(&key).is_some() || undecoded
        }
    }

    fn metadata(&self, key: &ObjectKey) -> Option<&ObjectMeta> {
        match self.changes.get(key) {
            Some(change) => change.as_ref().map(AnyObject::metadata),
            None => self.snapshot.metadata(key),
        }
    }

    fn names(&self, kind: Kind) -> BTreeSet<Name> {
        let mut names = self.snapshot.names(kind);
        for (key, change) in self.changes.iter().filter(|(key, _)| key.kind == kind) {
            if change.is_some() {
                names.insert(key.name.clone());
            } else {
                names.remove(&key.name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::item::read;
    use super::*;

    const KIND: Kind = Kind::HttpRoute;

    fn store() -> Store {
        Store::new(Guard::new(Duration::from_mins(1), false))
    }

    fn item(number: usize, version: &str) -> Item {
        let metadata = json!({"namespace": "shop", "name": format!("route-{number:03}"), "uid": "u",
            "resourceVersion": version});
        read(KIND, "v1", json!({"metadata": metadata, "spec": {}})).expect("it has a name")
    }

    fn list(store: &mut Store, numbers: std::ops::Range<usize>, now: Instant) -> bool {
        store.begun(KIND);
        let news = store.page(KIND, numbers.map(|number| item(number, "1")).collect());
        store.listed(KIND, now) || news
    }

    fn commit(store: &mut Store) -> Arc<Snapshot> {
        store.commit(&Arc::default())
    }

    fn held(store: &Store) -> usize {
        store.guard.held().map(|(_, hold)| hold.names.len()).sum()
    }

    #[test]
    fn what_is_repeated_stays_the_same_object() {
        let mut store = store();
        assert!(list(&mut store, 0..3, Instant::now()));
        let first = commit(&mut store);
        assert!(!list(&mut store, 0..3, Instant::now()), "no news");
        assert!(Arc::ptr_eq(&first.http_routes, &commit(&mut store).http_routes));
        assert!(store.put(KIND, item(1, "2")));
        let second = commit(&mut store);
        let same: Vec<bool> = first
            .http_routes
            .values()
            .zip(second.http_routes.values())
            .map(|(a, b)| Arc::ptr_eq(a, b))
            .collect();
        assert_eq!(same, [true, false, true]);
    }

    #[test]
    fn a_version_that_makes_no_sense_leaves_the_last_good_one() {
        let mut store = store();
        list(&mut store, 0..2, Instant::now());
        commit(&mut store);
        let broken = Item { object: Err("rules is no list".to_owned()), ..item(0, "2") };
        assert!(store.put(KIND, broken));
        assert_eq!(commit(&mut store).http_routes.len(), 2);
        assert_eq!(store.undecoded().count(), 1);
        assert!(store.put(KIND, item(0, "3")), "mended");
        assert_eq!(store.undecoded().count(), 0);
    }

    #[test]
    fn a_list_that_lacks_most_is_not_believed_but_deletions_are() {
        let mut store = store();
        let now = Instant::now();
        list(&mut store, 0..20, now);
        commit(&mut store);
        assert!(list(&mut store, 0..2, now));
        assert_eq!((commit(&mut store).http_routes.len(), held(&store)), (20, 18));
        assert!(store.gone(KIND, item(5, "9").name, now), "this one was seen to go");
        assert_eq!((commit(&mut store).http_routes.len(), held(&store)), (19, 17));
        let later = now + Duration::from_mins(1);
        assert!(list(&mut store, 0..2, later));
        assert_eq!((commit(&mut store).http_routes.len(), held(&store)), (2, 0));
    }

    #[test]
    fn a_definition_that_goes_takes_no_objects_with_it() {
        let mut store = store();
        let now = Instant::now();
        list(&mut store, 0..5, now);
        commit(&mut store);
        // Its objects' deletions are told beside the definition's, in whatever order.
        store.gone(KIND, item(0, "9").name, now);
        store.ending(KIND, now);
        store.gone(KIND, item(1, "9").name, now);
        assert!(store.vanished(KIND, now));
        assert_eq!((commit(&mut store).http_routes.len(), held(&store)), (5, 5));
        store.returned(KIND, now);
        assert!(list(&mut store, 0..1, now));
        assert_eq!((commit(&mut store).http_routes.len(), held(&store)), (1, 0));
    }
}
