//! What an API server stamps on an object: uid, generation, creation time, resource version.
//!
//! They are kept per object for as long as the process lives, over deletions too: an object that is
//! written anew goes on from its last generation, since its uid, which only depends on its name, is
//! the old one.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use fairway_api::AnyObject;
use fairway_api::meta::Time;
use foldhash::HashMap;
use foldhash::quality::FixedState;
use jiff::Timestamp;
use serde_json::Value;

use super::key::ObjectKey;

/// An object as an API server would hand it out. Compare by pointer: what did not change stays the
/// same `Arc` from scan to scan.
#[derive(Debug)]
pub struct AdmittedObject {
    pub key: ObjectKey,
    /// With defaults and stamps, in the most mature version of its kind.
    pub object: AnyObject,
}

impl AdmittedObject {
    /// Raised whenever anything but `metadata` and `status` changes; from 1.
    pub fn generation(&self) -> i64 {
        self.object.metadata().generation
    }

    /// As JSON, `apiVersion` and `kind` included.
    ///
    /// # Panics
    ///
    /// Never: what was read from JSON can be written as JSON.
    pub fn to_value(&self) -> Value {
        self.object.to_value().expect("what was read from JSON can be written as JSON")
    }
}

/// Deleted objects that are remembered; beyond this all are forgotten at once.
const MAX_REMEMBERED: usize = 100_000;

/// Remembers what was stamped.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    by_key: HashMap<ObjectKey, Stamp>,
    version: u64,
}

#[derive(Debug)]
struct Stamp {
    created: Time,
    generation: i64,
    /// `None` once it is deleted.
    last: Option<Arc<AdmittedObject>>,
}

impl Stamps {
    /// Stamps a new version of an object. `now` is its creation time if it is new, and its file
    /// gives none.
    pub(super) fn stamp(
        &mut self,
        key: &ObjectKey,
        mut object: AnyObject,
        now: Timestamp,
    ) -> Arc<AdmittedObject> {
        self.version += 1;
        let new = || Stamp { created: Time(now), generation: 0, last: None };
        let stamp = self.by_key.entry(key.clone()).or_insert_with(new);
        match stamp.last.take() {
            Some(last) if same_but_metadata(&last.object, &object) => {}
            Some(_) => stamp.generation += 1,
            None => {
                stamp.created = Time(now);
                stamp.generation += 1;
            }
        }
        let metadata = object.metadata_mut();
        stamp.created = metadata.creation_timestamp.unwrap_or(stamp.created).whole_seconds();
        metadata.creation_timestamp = Some(stamp.created);
        metadata.generation = stamp.generation;
        metadata.resource_version = Some(self.version.to_string());
        metadata.uid = Some(uid(key));
        let object = Arc::new(AdmittedObject { key: key.clone(), object });
        stamp.last = Some(Arc::clone(&object));
        object
    }

    /// Marks what no longer exists.
    pub(super) fn retain(&mut self, exists: impl Fn(&ObjectKey) -> bool) {
        let mut dead = 0_usize;
        for (key, stamp) in &mut self.by_key {
            if !exists(key) {
                stamp.last = None;
                dead += 1;
            }
        }
        if dead > MAX_REMEMBERED {
            self.by_key.retain(|_, stamp| stamp.last.is_some());
        }
    }
}

/// A status is no part of it either: files have none.
fn same_but_metadata(left: &AnyObject, right: &AnyObject) -> bool {
    let mut left = left.clone();
    *left.metadata_mut() = right.metadata().clone();
    left == *right
}

/// Stands for a value in comparisons, so that the value need not be kept: 128 bits, whose
/// collisions are left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64, u64);

impl Fingerprint {
    pub(super) fn of(value: &impl Hash) -> Self {
        let half = |seed| FixedState::with_seed(seed).hash_one(value);
        Self(half(0x6661_6972), half(0x7761_7921))
    }
}

/// A UUID of version 8 (RFC 9562 5.8) made of the object's name.
fn uid(key: &ObjectKey) -> String {
    let Fingerprint(high, low) = Fingerprint::of(key);
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::kind;
    use serde_json::json;

    fn key() -> ObjectKey {
        ObjectKey::new("", "Service", "shop", "cart")
    }

    fn service(port: u16, label: &str) -> AnyObject {
        object(&json!({"labels": {"a": label}}), port)
    }

    fn object(metadata: &Value, port: u16) -> AnyObject {
        let spec = json!({"ports": [{"port": port}]});
        let value =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
        kind::decode(value).unwrap()
    }

    #[test]
    fn the_generation_rises_with_the_spec_alone() {
        let mut stamps = Stamps::default();
        let first = stamps.stamp(&key(), service(80, "x"), Timestamp::UNIX_EPOCH);
        let relabelled = stamps.stamp(&key(), service(80, "y"), Timestamp::UNIX_EPOCH);
        let changed = stamps.stamp(&key(), service(81, "y"), Timestamp::UNIX_EPOCH);
        let generations = [&first, &relabelled, &changed].map(|object| object.generation());
        assert_eq!(generations, [1, 1, 2]);
        let metadata = [&first, &relabelled, &changed].map(|object| object.object.metadata());
        assert_eq!(metadata[0].uid, metadata[2].uid);
        assert_ne!(metadata[0].resource_version, metadata[1].resource_version);
    }

    #[test]
    fn a_deleted_object_comes_back_as_a_new_one_of_a_later_generation() {
        let mut stamps = Stamps::default();
        let later = Timestamp::from_second(60).unwrap();
        stamps.stamp(&key(), service(80, "x"), Timestamp::UNIX_EPOCH);
        stamps.retain(|_| false);
        let again = stamps.stamp(&key(), service(80, "x"), later);
        assert_eq!(again.generation(), 2);
        assert_eq!(again.object.metadata().created(), 60);
    }

    #[test]
    fn a_creation_time_in_the_file_is_respected() {
        let given = object(&json!({"creationTimestamp": "2024-02-03T04:05:06Z"}), 80);
        let object = Stamps::default().stamp(&key(), given, Timestamp::UNIX_EPOCH);
        let value = object.to_value();
        assert_eq!(value["metadata"]["creationTimestamp"], "2024-02-03T04:05:06Z");
    }

    #[test]
    fn uids_look_like_uuids() {
        let uid = uid(&key());
        assert_eq!(uid.len(), 36);
        assert_eq!(uid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(uid, super::uid(&key()));
    }
}
