//! What a proxy holds: what it was sent and understood, what it refused, and what it serves in view of both.
//!
//! Refusing one entry leaves others that name it. A new value that names what is not held is refused as well,
//! and the value before goes on, with what it names; only a listener that is not served takes its
//! attachments with it.

mod repair;

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{Delta, Features, Model, delta};

use super::batch;
use crate::codec::{self, Digest, Key, Kind};
use crate::proto;

/// Names a resource also when its kind is one of a later release.
pub(super) type Foreign = (i32, Arc<str>);

/// See the module.
pub(super) struct Holding {
    known: Features,
    /// The newest value that was understood of everything.
    received: Arc<Model>,
    digests: BTreeMap<Key, Digest>,
    /// What was not understood.
    unread: BTreeMap<Foreign, String>,
    /// What was understood, and cannot be served for want of something else.
    unserved: BTreeMap<Foreign, String>,
    served: Arc<Model>,
}

impl Holding {
    /// Starts from the last good model.
    pub(super) fn new(model: Arc<Model>, known: Features) -> Self {
        let digests = codec::entries(&model).map(|(key, entry)| {
            let digest = codec::digest(&entry.encode(&key.id));
            (key, digest)
        });
        let digests = digests.collect();
        let (unread, unserved) = (BTreeMap::new(), BTreeMap::new());
        Self { known, received: Arc::clone(&model), digests, unread, unserved, served: model }
    }

    pub(super) fn known(&self) -> &Features {
        &self.known
    }

    pub(super) fn served(&self) -> &Arc<Model> {
        &self.served
    }

    /// What is not served as it was sent, with the reason.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&Foreign, &String)> {
        self.unserved.iter().filter(|(key, _)| !self.unread.contains_key(*key)).chain(&self.unread)
    }

    /// Says what is held, so that only the rest is sent.
    pub(super) fn inventory(&self) -> Vec<proto::Inventory> {
        batch::inventory(self.digests.iter())
    }

    /// Takes an update in; gives what it changes in what is served.
    pub(super) fn apply(&mut self, put: Vec<proto::Resource>, removed: Vec<proto::Key>) -> Delta {
        let mut delta = Delta::default();
        for proto::Key { kind, id } in removed {
            let id: Arc<str> = id.into();
            self.unread.remove(&(kind, Arc::clone(&id)));
            if let Some(kind) = Kind::decode(kind) {
                let key = Key { kind, id };
                self.digests.remove(&key);
                codec::remove(&key, &mut delta);
            }
        }
        for resource in put {
            let name: Foreign = (resource.kind, resource.id.as_str().into());
            match self.read(&resource) {
                Ok((key, entry)) => {
                    self.digests.insert(key, codec::digest(&resource));
                    self.unread.remove(&name);
                    entry.put(&resource.id, &mut delta);
                }
                Err(why) => {
                    tracing::warn!(resource = resource.id, "refused: {why}");
                    self.unread.insert(name, why);
                }
            }
        }
        let was_whole = Arc::ptr_eq(&self.served, &self.received);
        delta::apply(Arc::make_mut(&mut self.received), delta.clone());
        if was_whole && self.unread.is_empty() {
            self.served = Arc::clone(&self.received);
            return delta;
        }
        let (served, unserved) = repair::repair(&self.received, &self.served);
        let delta = delta::diff(&self.served, &served);
        let whole = self.unread.is_empty() && unserved.is_empty() && served == *self.received;
        self.served = if whole { Arc::clone(&self.received) } else { Arc::new(served) };
        self.unserved = unserved;
        delta
    }

    fn read(&self, resource: &proto::Resource) -> Result<(Key, codec::Entry), String> {
        let Some(kind) = Kind::decode(resource.kind) else {
            return Err(format!(
                "this release of the proxy does not know resources of kind {}; upgrade the proxy",
                resource.kind
            ));
        };
        let entry = codec::decode(kind, resource, &self.known).map_err(|why| why.to_string())?;
        Ok((Key::new(kind, &resource.id), entry))
    }
}

#[cfg(test)]
mod tests;
