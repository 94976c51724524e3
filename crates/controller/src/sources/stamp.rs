//! What an API server stamps on an object: uid, generation, creation time, resource version.
//!
//! They are kept per object for as long as the process lives, over deletions too: an object that is
//! written anew goes on from its last generation, since its uid, which only depends on its name, is
//! the old one.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use fairway_api::kind::{self, AnyObject};
use foldhash::HashMap;
use foldhash::quality::FixedState;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

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
    created: Timestamp,
    generation: i64,
    /// Of all but `metadata` and `status`.
    content: Fingerprint,
    alive: bool,
}

impl Stamps {
    /// Stamps a new version of an object. `now` is its creation time if it was never seen, and its
    /// file gives none.
    pub(super) fn stamp(
        &mut self,
        key: &ObjectKey,
        mut value: Value,
        now: Timestamp,
    ) -> Arc<AdmittedObject> {
        self.version += 1;
        let content = content_of(&value);
        let stamp = self.by_key.entry(key.clone()).or_insert_with(|| Stamp {
            created: now,
            generation: 0,
            content,
            alive: true,
        });
        if !stamp.alive {
            stamp.created = now;
            stamp.generation += 1;
        } else if stamp.generation == 0 || stamp.content != content {
            stamp.generation += 1;
        }
        stamp.content = content;
        stamp.alive = true;
        if let Some(metadata) = metadata_of(&mut value) {
            let given = metadata.get("creationTimestamp").and_then(Value::as_str);
            if let Some(created) = given.and_then(|given| given.parse().ok()) {
                stamp.created = created;
            }
            // Kubernetes' times are whole seconds.
            let created = Timestamp::from_second(stamp.created.as_second());
            metadata.insert("creationTimestamp".into(), json!(created.map(|t| t.to_string()).ok()));
            metadata.insert("generation".into(), json!(stamp.generation));
            metadata.insert("resourceVersion".into(), json!(self.version.to_string()));
            metadata.insert("uid".into(), json!(uid(key)));
        }
        let object = kind::decode(value).expect("admission decodes an object before it admits it");
        Arc::new(AdmittedObject { key: key.clone(), object })
    }

    /// Marks what no longer exists.
    pub(super) fn retain(&mut self, exists: impl Fn(&ObjectKey) -> bool) {
        let mut dead = 0;
        for (key, stamp) in &mut self.by_key {
            stamp.alive = exists(key);
            dead += usize::from(!stamp.alive);
        }
        if dead > MAX_REMEMBERED {
            self.by_key.retain(|_, stamp| stamp.alive);
        }
    }
}

fn metadata_of(value: &mut Value) -> Option<&mut Map<String, Value>> {
    value.get_mut("metadata")?.as_object_mut()
}

fn content_of(value: &Value) -> Fingerprint {
    let fields = value.as_object().into_iter().flatten();
    let spec = fields.filter(|(name, _)| *name != "metadata" && *name != "status");
    Fingerprint::of(&spec.collect::<Vec<_>>())
}

/// Stands for a value in comparisons, so that the value need not be kept: 128 bits, whose
/// collisions are left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    fn key() -> ObjectKey {
        ObjectKey::new("", "Service", "shop", "cart")
    }

    fn service(port: u16, label: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "cart", "namespace": "shop", "labels": {"a": label}},
            "spec": {"ports": [{"port": port}]},
        })
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
        let mut value = service(80, "x");
        value["metadata"]["creationTimestamp"] = json!("2024-02-03T04:05:06Z");
        let object = Stamps::default().stamp(&key(), value, Timestamp::UNIX_EPOCH);
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
