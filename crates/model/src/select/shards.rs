//! A hash map that is cheap to copy and to change: the copy shares all shards with the original,
//! and a change copies the one shard it falls into. Not a general container: no order, and it grows
//! only.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Entries per shard on average before their number doubles. A change copies one shard and the
/// list of shards, so for ten thousand entries both should be near a hundred.
const LOAD: usize = 64;

#[expect(
    clippy::disallowed_types,
    reason = "searched by key on the request path; whoever walks it sorts what it yields"
)]
type Shard<K, V> = std::collections::HashMap<K, V, RandomState>;

pub(super) struct Shards<K, V> {
    /// None, or a power of two. A shard hashes with a seed of its own, since its keys have a part
    /// of the outer hash in common.
    shards: Vec<Arc<Shard<K, V>>>,
    hasher: RandomState,
    len: usize,
}

impl<K: Clone, V: Clone> Clone for Shards<K, V> {
    fn clone(&self) -> Self {
        Self { shards: self.shards.clone(), hasher: self.hasher.clone(), len: self.len }
    }
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { shards: Vec::new(), hasher: RandomState::default(), len: 0 }
    }
}

impl<K, V> Shards<K, V> {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Walks all entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        let mask = self.shards.len().wrapping_sub(1);
        if mask == 0 {
            return 0;
        }
        // Truncation is the point: only the low bits count.
        usize::try_from(self.hasher.hash_one(key) & u64::from(u32::MAX)).unwrap_or_default() & mask
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if self.len == 0 {
            return None;
        }
        self.shards.get(self.place(key))?.get(key)
    }

    /// Gives an entry to change, in a shard that nobody else sees.
    pub(super) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key)?;
        let place = self.place(key);
        Arc::make_mut(self.shards.get_mut(place)?).get_mut(key)
    }

    /// Gives the entry of this key to change, making it first where there is none.
    pub(super) fn slot(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        if self.get(key).is_none() {
            self.insert(key.clone(), V::default());
        }
        self.get_mut(key).expect("it was there or has just been inserted")
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.len >= self.shards.len() * LOAD {
            self.grow();
        }
        let place = self.place(&key);
        let shard = self.shards.get_mut(place).expect("a place is less than the number of shards");
        if Arc::make_mut(shard).insert(key, value).is_none() {
            self.len += 1;
        }
    }

    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key)?;
        let place = self.place(key);
        let removed = Arc::make_mut(self.shards.get_mut(place)?).remove(key);
        self.len -= usize::from(removed.is_some());
        removed
    }

    fn grow(&mut self) {
        let wanted = (self.shards.len() * 2).max(1);
        let old = std::mem::replace(&mut self.shards, vec![Arc::default(); wanted]);
        // `vec!` has shared one empty shard; each needs a seed of its own.
        for shard in &mut self.shards {
            *shard = Arc::default();
        }
        for (key, value) in old.into_iter().flat_map(Arc::unwrap_or_clone) {
            let place = self.place(&key);
            let shard = self.shards.get_mut(place).expect("a place is less than their number");
            Arc::make_mut(shard).insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut map: Shards<Arc<str>, usize> = Shards::default();
        assert!(map.get("0").is_none());
        for n in 0..1_000 {
            map.insert(n.to_string().into(), n);
        }
        let copy = map.clone();
        assert_eq!(map.remove("7"), Some(7));
        assert_eq!(map.remove("7"), None);
        *map.slot(&"8".into()) += 1;
        assert_eq!((map.get("7"), map.get("8")), (None, Some(&9)));
        assert_eq!((copy.get("7"), copy.get("8")), (Some(&7), Some(&8)));
        assert_eq!((map.len, copy.len), (999, 1_000));
        assert_eq!(map.iter().count(), 999);
    }

    #[test]
    fn a_change_copies_one_shard() {
        let mut map: Shards<Arc<str>, usize> = Shards::default();
        for n in 0..10_000 {
            map.insert(n.to_string().into(), n);
        }
        let copy = map.clone();
        map.insert("5".into(), 0);
        let copied = map.shards.iter().zip(&copy.shards).filter(|(a, b)| !Arc::ptr_eq(a, b));
        assert_eq!(copied.count(), 1);
        assert!(map.shards.len() >= 128, "{}", map.shards.len());
    }
}
