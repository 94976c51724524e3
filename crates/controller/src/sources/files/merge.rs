//! From the files' entries to the objects that count: one per key, stamped.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_api::core::Namespace;
use fairway_api::{AnyObject, ObjectMeta};
use foldhash::{HashMap, HashMapExt, HashSet};
use jiff::Timestamp;

use super::load::{FileState, Good};
use super::{Origin, Placed};
use crate::sources::key::ObjectKey;
use crate::sources::problem::Problem;
use crate::sources::stamp::{AdmittedObject, Stamps};

/// The state of a merge: who claimed which object.
pub(super) struct Merge<'a> {
    stamps: &'a mut Stamps,
    now: Timestamp,
    /// Stamped versions that count up to now.
    current: HashSet<*const AdmittedObject>,
    claimed: HashMap<ObjectKey, Origin>,
    objects: Vec<Placed>,
    problems: Vec<Problem>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(stamps: &'a mut Stamps, current: &[Placed], now: Timestamp) -> Self {
        Self {
            stamps,
            now,
            current: current.iter().map(|placed| Arc::as_ptr(&placed.object)).collect(),
            claimed: HashMap::with_capacity(current.len()),
            objects: Vec::with_capacity(current.len()),
            problems: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Adds a file's objects, unless earlier files have them, and its problems.
    pub(super) fn take(&mut self, state: &mut FileState) {
        self.problems.extend(state.problems.iter().cloned());
        let before = self.objects.len();
        for entry in &mut state.entries {
            let origin = Origin {
                file: Arc::clone(&state.shown),
                document: entry.document,
                position: entry.position,
            };
            if let Some(first) = self.claimed.get(&entry.key) {
                if !entry.suspended && !state.vanished {
                    self.problems.push(duplicate(&entry.key, first, &origin));
                }
                continue;
            }
            let Some(good) = entry.good.take() else { continue };
            let object = match good {
                Good::Stamped(object) if self.current.contains(&Arc::as_ptr(&object)) => object,
                // It did not count for a while, and another version of it did.
                Good::Stamped(object) => {
                    self.stamps.stamp(&entry.key, object.object.clone(), self.now)
                }
                Good::Fresh(object) => self.stamps.stamp(&entry.key, object, self.now),
            };
            entry.good = Some(Good::Stamped(Arc::clone(&object)));
            self.claimed.insert(entry.key.clone(), origin.clone());
            self.objects.push(Placed { object, origin, implied: false });
        }
        if state.vanished && self.objects.len() == before {
            // Other files define all that it held: nothing is left to hold.
            state.entries.clear();
        }
    }

    /// Adds the namespaces that are used and not defined; `implied` remembers them between merges.
    pub(super) fn finish(
        mut self,
        implied: &mut BTreeMap<String, Arc<AdmittedObject>>,
    ) -> (Vec<Placed>, Vec<Problem>) {
        let mut used: BTreeMap<&str, &Origin> = BTreeMap::new();
        for placed in &self.objects {
            let namespace = placed.object.key.namespace.as_str();
            if !namespace.is_empty() {
                used.entry(namespace).or_insert(&placed.origin);
            }
        }
        let mut added = Vec::new();
        for (name, origin) in used {
            let key = ObjectKey::new("", "Namespace", "", name);
            if self.claimed.contains_key(&key) {
                continue;
            }
            let stamped = implied.remove(name).unwrap_or_else(|| {
                let labels = [("kubernetes.io/metadata.name".to_owned(), name.to_owned())];
                let metadata = ObjectMeta {
                    name: name.to_owned(),
                    labels: labels.into(),
                    ..Default::default()
                };
                let namespace = AnyObject::Namespace(Arc::new(Namespace { metadata }));
                self.stamps.stamp(&key, namespace, self.now)
            });
            added.push((key, Placed { object: stamped, origin: origin.clone(), implied: true }));
        }
        implied.clear();
        for (key, placed) in added {
            implied.insert(key.name.clone(), Arc::clone(&placed.object));
            self.claimed.insert(key, placed.origin.clone());
            self.objects.push(placed);
        }
        self.stamps.retain(|key| self.claimed.contains_key(key));
        (self.objects, self.problems)
    }
}

fn duplicate(key: &ObjectKey, first: &Origin, second: &Origin) -> Problem {
    let message =
        format!("is defined twice; the first, in {}:{}, counts", first.file, first.position);
    let problem = Problem::of_file(&second.file, second.position, message);
    Problem { object: Some(key.clone()), ..problem }.with_remedy("remove or rename one of the two")
}
