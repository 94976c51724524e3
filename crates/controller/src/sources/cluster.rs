//! The cluster as a source of objects: one watch for each kind that a snapshot holds, one for each Secret and
//! ConfigMap that is wanted, and one that says which kinds there are.
//!
//! Whatever is in the way, what was known counts on: a cluster that does not answer, a history that is
//! forgotten, an object that makes no sense, a right that is withdrawn. Lists that lack most of what was there
//! are not believed at once ([`Withheld`]).

mod definitions;
mod follow;
mod guard;
mod item;
mod kinds;
mod ones;
mod pace;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fairway_translate::{Kind, Name, ObjectKey, Snapshot};
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use definitions::Definitions;
use follow::{Following, Heard, Place, Trouble, follow};
use guard::Guard;
use item::Item;
use ones::{Ones, Way};
use pace::Quiet;
use store::Store;

pub use guard::Cause;
pub use kinds::object_path;

/// What is read of a cluster, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces whose Secrets may be read; all of them when absent.
    pub secret_namespaces: Option<BTreeSet<String>>,
    /// Whether objects that are gone without a word are given up at once.
    pub accept_deletions: bool,
    /// Who we are (`NAMESPACE/NAME`), for messages about rights.
    pub service_account: String,
    /// Name of the ClusterRole with our rights, for messages about them.
    pub cluster_role: String,
    /// Name of the Role that lets us read a namespace's Secrets, for messages about it.
    pub secret_role: String,
    /// How fast.
    pub timing: Timing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secret_namespaces: None,
            accept_deletions: false,
            service_account: "fairway-system/fairway-controller".to_owned(),
            cluster_role: "fairway-controller".to_owned(),
            secret_role: "fairway-secrets".to_owned(),
            timing: Timing::default(),
        }
    }
}

/// How long things take.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long it has to be quiet before changes are told.
    pub quiet: Duration,
    /// How long after the first of them they are told anyway.
    pub longest_quiet: Duration,
    /// The first pause after a failure; it doubles from there.
    pub retry: Duration,
    /// The longest pause after a failure.
    pub longest_retry: Duration,
    /// The pause after a right was denied.
    pub denied_retry: Duration,
    /// The least time between two lists of a kind.
    pub between_lists: Duration,
    /// How long an answer may take to begin.
    pub answer: Duration,
    /// How long one watch lasts; at least a second. A connection that died without a word is noticed after it.
    pub watch: Duration,
    /// How long objects are held that a list lacked, before a second list is believed.
    pub patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(2),
            longest_quiet: Duration::from_millis(20),
            retry: Duration::from_millis(50),
            longest_retry: Duration::from_secs(5),
            denied_retry: Duration::from_secs(5),
            between_lists: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            watch: Duration::from_mins(1),
            patience: Duration::from_mins(1),
        }
    }
}

/// Objects that count although the cluster does not have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Their kind.
    pub kind: Kind,
    /// Which.
    pub names: BTreeSet<Name>,
    /// Why.
    pub cause: Cause,
    /// When the first of them was missed.
    pub since: Instant,
}

/// A right that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What may not be read.
    pub kind: Kind,
    /// Which one; all of the kind when absent.
    pub name: Option<Name>,
    /// Says what would help.
    pub message: String,
}

/// An object that makes no sense. The last version of it that did counts, if there was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecoded {
    /// Which.
    pub key: ObjectKey,
    /// What is wrong with it.
    pub message: Arc<str>,
}

/// How things are.
#[derive(Clone, Debug)]
pub struct Taken {
    /// All objects. Those without a change are the ones of the snapshot before.
    pub snapshot: Arc<Snapshot>,
    /// When the first of the changes was heard of.
    pub noticed: Instant,
    /// How many objects there are.
    pub objects: usize,
    /// What counts although the cluster does not have it.
    pub held: Vec<Withheld>,
    /// Kinds that the cluster does not have, or not in a version that is understood.
    pub missing: BTreeSet<Kind>,
    /// Kinds whose CustomResourceDefinition is being deleted.
    pub ending: BTreeSet<Kind>,
    /// Rights that are missing.
    pub denied: Vec<Denied>,
    /// Objects that make no sense.
    pub undecoded: Vec<Undecoded>,
    /// Whether every kind that exists has been listed.
    pub synced: bool,
    /// Release of Gateway API's definitions (`v1.6.3`), if they say it.
    pub bundle_version: Option<Arc<str>>,
}

/// What the tasks that ask the cluster say.
#[derive(Debug)]
struct Message {
    /// Which task it was, of those for the same thing, one after another.
    epoch: u64,
    at: Instant,
    what: What,
}

#[derive(Debug)]
enum What {
    Definitions(Definitions),
    DefinitionsTrouble(Option<Trouble>),
    Kind(Kind, Heard<Item>),
    One(ObjectKey, Heard<Item>),
}

/// A kind that is followed.
#[derive(Debug)]
struct Followed {
    following: Following,
    version: &'static str,
    epoch: u64,
    listed: bool,
    denied: Option<String>,
}

/// See the module. Everything stops when it is dropped.
pub struct Source {
    client: Client,
    settings: Settings,
    sender: mpsc::Sender<Message>,
    receiver: mpsc::Receiver<Message>,
    definitions: JoinHandle<()>,
    defined: Option<Definitions>,
    kinds: BTreeMap<Kind, Followed>,
    ones: Ones,
    store: Store,
    quiet: Quiet,
    /// Whether everything has been listed once.
    begun: bool,
    /// Paths of our requests that get no answer, so that an outage is logged once.
    away: BTreeSet<String>,
    expired: Arc<AtomicU64>,
    epoch: u64,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.definitions.abort();
    }
}

impl Source {
    /// Begins to watch. To be called inside a runtime.
    #[must_use]
    pub fn start(client: Client, settings: Settings) -> Self {
        let (sender, receiver) = mpsc::channel(256);
        let timing = settings.timing.clone();
        let definitions =
            tokio::spawn(definitions::run(client.clone(), timing.clone(), 0, sender.clone()));
        let guard = Guard::new(timing.patience, settings.accept_deletions);
        let mut source = Self {
            client,
            settings,
            sender,
            receiver,
            definitions,
            defined: None,
            kinds: BTreeMap::new(),
            ones: Ones::default(),
            store: Store::new(guard),
            quiet: Quiet::new(timing.quiet, timing.longest_quiet),
            begun: false,
            away: BTreeSet::new(),
            expired: Arc::default(),
            epoch: 0,
        };
        for kind in kinds::watched().filter(|kind| !kinds::is_defined(*kind)) {
            if let Some(version) = kind.versions().first() {
                source.follow(kind, version);
            }
        }
        source
    }

    /// Returns when something has changed since the last [`take`](Self::take) and it has been quiet for a
    /// moment; the first time, when everything has been listed. May be dropped at any point and called again.
    pub async fn changed(&mut self) {
        loop {
            let mut due = if self.begun { self.quiet.due() } else { None };
            // To take the first of a burst in among very many objects may last longer than it has to be quiet; what
            // has arrived meanwhile belongs to it. The longest quiet still bounds it.
            while due.is_some_and(|due| due <= Instant::now()) {
                let Ok(message) = self.receiver.try_recv() else { return };
                self.hear(message);
                if !self.quiet.may_grow(Instant::now()) {
                    return;
                }
                due = self.quiet.due();
            }
            let ask = self.store.guard.due();
            tokio::select! {
                message = self.receiver.recv() => {
                    // It never ends: we hold a sender ourselves.
                    if let Some(message) = message {
                        self.hear(message);
                    }
                }
                () = moment(due) => return,
                () = moment(ask) => self.ask_again(),
            }
        }
    }

    /// Gives how things are, with all changes up to now.
    pub fn take(&mut self) -> Taken {
        let noticed = self.quiet.take().unwrap_or_else(Instant::now);
        let snapshot = self.store.commit(self.ones.unreadable());
        let held = self.store.guard.held().map(|(kind, hold)| Withheld {
            kind,
            names: hold.names.clone(),
            cause: hold.cause,
            since: hold.since,
        });
        let undecoded = self
            .store
            .undecoded()
            .map(|(key, message)| Undecoded { key: key.clone(), message: Arc::clone(message) });
        let kinds_denied = self.kinds.iter().filter_map(|(kind, followed)| {
            let message = followed.denied.clone()?;
            Some(Denied { kind: *kind, name: None, message })
        });
        Taken {
            noticed,
            objects: snapshot.count(),
            held: held.collect(),
            missing: self.missing(),
            ending: self.store.ends().clone(),
            denied: kinds_denied.chain(self.ones.denied()).collect(),
            undecoded: undecoded.collect(),
            synced: self.is_synced(),
            bundle_version: self.defined.as_ref().and_then(Definitions::bundle_version),
            snapshot,
        }
    }

    /// Says which Secrets and ConfigMaps are to be watched: these and no others.
    pub fn want(&mut self, wanted: BTreeSet<ObjectKey>) {
        for key in self.ones.keys().filter(|key| !wanted.contains(key)) {
            self.away.remove(&key.to_string());
        }
        for key in self.ones.want(wanted, &mut self.store) {
            self.epoch += 1;
            let way = self.way(&key);
            if self.ones.insert(key, way, self.epoch) {
                self.quiet.note(Instant::now());
            }
        }
    }

    /// Says whether something is wanted of which it is not known yet whether it is there.
    /// [`changed`](Self::changed) returns when that is known, too.
    #[must_use]
    pub fn awaits(&self) -> bool {
        self.ones.awaits()
    }

    /// Says whether every kind that exists has been listed.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.defined.is_some() && self.kinds.values().all(|followed| followed.listed)
    }

    /// Gives how many watches the API server had forgotten the history of so far. It goes on counting.
    #[must_use]
    pub fn expired(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.expired)
    }

    fn way(&self, key: &ObjectKey) -> Way {
        if !ones::may_ask(key, &self.settings) {
            return Way::Forbidden;
        }
        let path = kinds::path_of(key).filter(|_| kinds::is_one_by_one(key.kind));
        let Some(path) = path else { return Way::Impossible };
        let only = Some(key.name.name.as_ref().to_owned());
        let place = Place { path, only, metadata: false };
        let (key, kind, epoch) = (key.clone(), key.kind, self.epoch);
        let version = kind.versions().first().copied().unwrap_or_default();
        let wrap = move |heard: Heard<_>| {
            let heard = heard.map(|value| item::read(kind, version, value))?;
            let what = What::One(key.clone(), heard);
            Some(Message { epoch, at: Instant::now(), what })
        };
        let timing = &self.settings.timing;
        Way::Followed(follow(self.client.clone(), place, timing, self.sender.clone(), wrap))
    }

    fn follow(&mut self, kind: Kind, version: &'static str) {
        self.epoch += 1;
        let epoch = self.epoch;
        let place = Place { path: kinds::path(kind, version), only: None, metadata: false };
        let wrap = move |heard: Heard<_>| {
            let heard = heard.map(|value| item::read(kind, version, value))?;
            Some(Message { epoch, at: Instant::now(), what: What::Kind(kind, heard) })
        };
        let timing = &self.settings.timing;
        let following = follow(self.client.clone(), place, timing, self.sender.clone(), wrap);
        let followed = Followed { following, version, epoch, listed: false, denied: None };
        self.kinds.insert(kind, followed);
    }

    fn ask_again(&mut self) {
        for kind in self.store.guard.ask(Instant::now()) {
            if let Some(followed) = self.kinds.get(&kind) {
                followed.following.list_again();
            }
        }
    }

    fn missing(&self) -> BTreeSet<Kind> {
        kinds::watched().filter(|kind| !self.kinds.contains_key(kind)).collect()
    }

    fn hear(&mut self, message: Message) {
        let Message { epoch, at, what } = message;
        let news = match what {
            What::Definitions(definitions) => self.define(definitions, at),
            What::DefinitionsTrouble(trouble) => {
                self.outage("CustomResourceDefinitions", trouble.as_ref());
                if let Some(Trouble::Denied(_)) = trouble {
                    self.complain("customresourcedefinitions.apiextensions.k8s.io");
                }
                false
            }
            What::Kind(kind, heard) => self.hear_of_kind((kind, epoch), heard, at),
            What::One(key, heard) => {
                match &heard {
                    Heard::Trouble(trouble) => self.outage(&key.to_string(), Some(trouble)),
                    Heard::Well => self.outage(&key.to_string(), None),
                    Heard::Begun
                    | Heard::Page(_)
                    | Heard::Listed
                    | Heard::Put(_)
                    | Heard::Gone(_) => {}
                }
                self.ones.hear((&key, epoch), heard, &mut self.store, &self.settings)
            }
        };
        if news {
            self.quiet.note(at);
        }
        if !self.begun && self.is_synced() {
            self.begun = true;
            // An empty cluster is news, too.
            self.quiet.note(at);
        }
    }

    fn hear_of_kind(
        &mut self,
        (kind, epoch): (Kind, u64),
        heard: Heard<Item>,
        at: Instant,
    ) -> bool {
        let Some(followed) = self.kinds.get_mut(&kind).filter(|known| known.epoch == epoch) else {
            return false;
        };
        match heard {
            Heard::Begun => {
                self.store.begun(kind);
                false
            }
            Heard::Page(items) => self.store.page(kind, items),
            Heard::Put(item) => self.store.put(kind, item),
            Heard::Gone(item) => self.store.gone(kind, item.name, at),
            Heard::Listed => {
                let first = !std::mem::replace(&mut followed.listed, true);
                self.store.listed(kind, at) || first
            }
            Heard::Trouble(trouble) => {
                self.outage(&kinds::resource(kind), Some(&trouble));
                let Trouble::Denied(_) = trouble else { return false };
                let message = self.complain(&kinds::resource(kind));
                if let Some(followed) = self.kinds.get_mut(&kind) {
                    followed.denied = Some(message);
                }
                true
            }
            Heard::Well => {
                let news = followed.denied.take().is_some();
                self.outage(&kinds::resource(kind), None);
                news
            }
        }
    }

    /// Follows the kinds that there are, and no others. Says whether that is news.
    fn define(&mut self, definitions: Definitions, at: Instant) -> bool {
        if self.defined.as_ref() == Some(&definitions) {
            return false;
        }
        for kind in kinds::watched().filter(|kind| kinds::is_defined(*kind)) {
            let known = definitions.kinds.get(&kind);
            let version = known.and_then(|definition| definition.version);
            let before = self.kinds.get(&kind).map(|followed| followed.version);
            match version {
                Some(version) => {
                    if before != Some(version) {
                        self.follow(kind, version);
                    }
                    if known.is_some_and(|definition| definition.ending) {
                        self.store.ending(kind, at);
                    } else {
                        self.store.returned(kind, at);
                    }
                }
                None => {
                    if self.kinds.remove(&kind).is_some() {
                        self.outage(&kinds::resource(kind), None);
                        self.store.vanished(kind, at);
                    }
                }
            }
        }
        self.defined = Some(definitions);
        true
    }

    fn complain(&self, resource: &str) -> String {
        let Settings { service_account, cluster_role, .. } = &self.settings;
        let message = format!(
            "{resource} may not be listed and watched: give ServiceAccount {service_account} the ClusterRole \
             {cluster_role}"
        );
        tracing::error!("{message}");
        message
    }

    /// Logs the first request of an outage that gets no answer, and the end of it.
    fn outage(&mut self, what: &str, trouble: Option<&Trouble>) {
        match trouble {
            Some(Trouble::Away(why)) => {
                if self.away.is_empty() {
                    tracing::warn!(
                        "the API server does not answer, so everything stays as it is ({what}: {why})"
                    );
                }
                self.away.insert(what.to_owned());
            }
            Some(Trouble::Refused(why)) => tracing::warn!("{what}: the API server refuses: {why}"),
            Some(Trouble::Denied(_)) => {}
            Some(Trouble::Expired) => {
                self.expired.fetch_add(1, Ordering::Relaxed);
                tracing::info!(
                    "{what}: the API server has forgotten where our watch was (410), so all is listed anew"
                );
            }
            None => {
                if self.away.remove(what) && self.away.is_empty() {
                    tracing::info!("the API server answers again");
                }
            }
        }
    }
}

/// Waits for a moment; for ever without one.
async fn moment(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
