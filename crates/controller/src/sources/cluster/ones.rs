//! Secrets and ConfigMaps, each watched by itself: only those that an accepted object names, and only where we
//! may. What may not be read is said, with what would help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_translate::{Kind, ObjectKey};

use super::follow::{Following, Heard, Trouble};
use super::item::Item;
use super::store::Store;
use super::{Denied, Settings};

/// What is known of an object that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    Awaited,
    /// Whether it is there.
    Known,
    /// We have no right to read it; the second half of a sentence that says what would help.
    Denied(Arc<str>),
}

#[derive(Debug)]
struct One {
    /// Ends when this is dropped.
    _following: Option<Following>,
    epoch: u64,
    /// Whether the list under way had it.
    seen: bool,
    state: State,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ones {
    all: BTreeMap<ObjectKey, One>,
    unreadable: Arc<BTreeMap<ObjectKey, Arc<str>>>,
}

/// How an object is to be followed.
pub(super) enum Way {
    Followed(Following),
    /// Nobody can have such a name, so nobody has to be asked.
    Impossible,
    /// Our settings forbid to ask.
    Forbidden,
}

impl Ones {
    /// Gives those that are followed.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.all.keys()
    }

    /// Drops those that are not wanted any more, and gives those that are new.
    pub(super) fn want(
        &mut self,
        wanted: BTreeSet<ObjectKey>,
        store: &mut Store,
    ) -> Vec<ObjectKey> {
        self.all.retain(|key, _| {
            let keep = wanted.contains(key);
            if !keep {
                store.remove(key.clone());
            }
            keep
        });
        self.tell();
        wanted.into_iter().filter(|key| !self.all.contains_key(key)).collect()
    }

    /// Takes in a new one. Says whether anything is known of it at once.
    pub(super) fn insert(&mut self, key: ObjectKey, way: Way, epoch: u64) -> bool {
        let (following, state) = match way {
            Way::Followed(following) => (Some(following), State::Awaited),
            Way::Impossible => (None, State::Known),
            Way::Forbidden => (None, State::Denied(forbidden(&key))),
        };
        let known = state != State::Awaited;
        self.all.insert(key, One { _following: following, epoch, seen: false, state });
        self.tell();
        known
    }

    /// Says whether something is wanted of which nothing is known yet.
    pub(super) fn awaits(&self) -> bool {
        self.all.values().any(|one| one.state == State::Awaited)
    }

    /// Gives objects that may not be read, and why, for the snapshot.
    pub(super) const fn unreadable(&self) -> &Arc<BTreeMap<ObjectKey, Arc<str>>> {
        &self.unreadable
    }

    /// Gives them for people.
    pub(super) fn denied(&self) -> impl Iterator<Item = Denied> {
        self.all.iter().filter_map(|(key, one)| match &one.state {
            State::Denied(why) => Some(Denied {
                kind: key.kind,
                name: Some(key.name.clone()),
                message: format!("{key} {why}"),
            }),
            State::Awaited | State::Known => None,
        })
    }

    /// Takes in what was heard of an object. Says whether it is news.
    pub(super) fn hear(
        &mut self,
        (key, epoch): (&ObjectKey, u64),
        heard: Heard<Item>,
        store: &mut Store,
        settings: &Settings,
    ) -> bool {
        let Some(one) = self.all.get_mut(key).filter(|one| one.epoch == epoch) else {
            return false;
        };
        let mut put = |item: Item| item.name == key.name && store.put(key.kind, item);
        let before = one.state.clone();
        let news = match heard {
            Heard::Begun => {
                one.seen = false;
                false
            }
            Heard::Page(items) => {
                one.seen |= !items.is_empty();
                items.into_iter().map(&mut put).fold(false, |any, news| any | news)
            }
            Heard::Put(item) => put(item),
            Heard::Gone(_) => store.remove(key.clone()),
            Heard::Listed => {
                one.state = State::Known;
                !one.seen && store.remove(key.clone())
            }
            Heard::Trouble(Trouble::Denied(_)) => {
                one.state = State::Denied(denied(key, settings));
                false
            }
            Heard::Trouble(Trouble::Away(_) | Trouble::Refused(_) | Trouble::Expired) => false,
            Heard::Well => {
                if matches!(one.state, State::Denied(_)) {
                    one.state = State::Known;
                }
                false
            }
        };
        let changed = one.state != before;
        if changed {
            self.tell();
        }
        news || changed
    }

    fn tell(&mut self) {
        let unreadable = self.all.iter().filter_map(|(key, one)| match &one.state {
            State::Denied(why) => Some((key.clone(), Arc::clone(why))),
            State::Awaited | State::Known => None,
        });
        let unreadable: BTreeMap<ObjectKey, Arc<str>> = unreadable.collect();
        if unreadable != *self.unreadable {
            self.unreadable = Arc::new(unreadable);
        }
    }
}

fn denied(key: &ObjectKey, settings: &Settings) -> Arc<str> {
    let Settings { service_account, secret_role, .. } = settings;
    let namespace = &key.name.namespace;
    let role = format!("the Role {secret_role} in namespace {namespace}");
    format!("may not be read: give ServiceAccount {service_account} {role}").into()
}

fn forbidden(key: &ObjectKey) -> Arc<str> {
    let namespace = &key.name.namespace;
    format!("is not read: add {namespace} to the chart's secretNamespaces").into()
}

/// Says whether our settings let us ask for an object.
pub(super) fn may_ask(key: &ObjectKey, settings: &Settings) -> bool {
    let Some(namespaces) = &settings.secret_namespaces else { return true };
    key.kind != Kind::Secret || namespaces.contains(&*key.name.namespace)
}
