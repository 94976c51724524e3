//! The Proxy Operator: the objects that run a Gateway's proxies. They are owned by the Gateway, so that they go
//! with it, and applied on the server's side, so that what others have added to them stays.

mod desired;
mod facts;
mod name;
mod pod;
mod seen;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_translate::ObjectKey;
use fairway_translate::status::FleetOutcome;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(super) use desired::{FLEET, MANAGED_BY};
pub use desired::{Fleet, fleets, left};
pub use name::{label, name};
use seen::Sight;
use write::{Job, Memory};

/// The class of a fleet's Service: we answer for its addresses.
pub const LOAD_BALANCER_CLASS: &str = "fairway.dev/load-balancer";

/// How often everything is applied anew, against changes by others.
const AGAIN: Duration = Duration::from_mins(5);
/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What all fleets have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The proxies' image.
    pub image: String,
    /// How many proxies a fleet has.
    pub replicas: u32,
    /// Where proxies reach the controller: `HOST:PORT`.
    pub controller: String,
}

/// Runs fleets until it is dropped.
#[derive(Debug)]
pub struct Operator {
    wanted: watch::Sender<Arc<Wanted>>,
    leading: watch::Sender<bool>,
    facts: watch::Receiver<Arc<Facts>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Operator {
    /// Begins. Nothing is written until this replica leads.
    #[must_use]
    pub fn start(client: Client, settings: Settings) -> Self {
        let (wanted, wanted_now) = watch::channel(Arc::new(Wanted::default()));
        let (leading, leading_now) = watch::channel(false);
        let (refused, refused_now) = watch::channel(BTreeMap::new());
        let (told, facts) = watch::channel(Arc::default());
        let sight = Sight::new();
        let teller = Teller { settings: settings.clone(), sight: sight.clone(), facts: told };
        let watching = sight.clone().watch(client.clone());
        let work = Work { client, settings, sight, memory: Memory::default(), refused };
        let tasks = vec![
            tokio::spawn(watching),
            tokio::spawn(teller.run(wanted.subscribe(), refused_now)),
            tokio::spawn(work.run(wanted_now, leading_now)),
        ];
        Self { wanted, leading, facts, tasks }
    }

    /// Says which fleets there shall be from now on, and which Gateways (by uid) other controllers serve now:
    /// what was made for those is deleted.
    pub fn want(&self, fleets: Vec<Fleet>, left: BTreeSet<String>) {
        let wanted = Wanted { fleets, left };
        self.wanted.send_if_modified(|known| {
            let changed = **known != wanted;
            if changed {
                *known = Arc::new(wanted);
            }
            changed
        });
    }

    /// Says whether this replica writes.
    pub fn set_leading(&self, leading: bool) {
        self.leading.send_replace(leading);
    }

    /// Gives how fleets are. Without an entry nothing is known.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts.borrow())
    }

    /// Returns when something about fleets is new since the last time.
    pub async fn changed(&mut self) {
        if self.facts.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How fleets are, by Gateway.
pub type Facts = BTreeMap<ObjectKey, FleetOutcome>;

/// What there shall be.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    fleets: Vec<Fleet>,
    /// Gateways that other controllers serve now, by uid.
    left: BTreeSet<String>,
}

struct Work {
    client: Client,
    settings: Settings,
    sight: Sight,
    memory: Memory,
    /// What the API server refuses.
    refused: watch::Sender<BTreeMap<ObjectKey, String>>,
}

impl Work {
    async fn run(
        mut self,
        mut wanted: watch::Receiver<Arc<Wanted>>,
        mut leading: watch::Receiver<bool>,
    ) {
        let mut news = self.sight.news();
        let mut fresh = Instant::now();
        loop {
            let (mut pause, mut well) = (AGAIN, true);
            news.mark_unchanged();
            if *leading.borrow_and_update() {
                if fresh.elapsed() >= AGAIN {
                    self.memory.clear();
                    fresh = Instant::now();
                }
                let wanted = Arc::clone(&wanted.borrow_and_update());
                well = self.apply_all(&wanted).await;
                if !well {
                    pause = RETRY;
                }
            } else {
                self.memory.clear();
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = wanted.changed() => if changed.is_err() { return },
                changed = leading.changed() => if changed.is_err() { return },
                // What fails is not tried at each of them.
                changed = news.changed(), if well => if changed.is_err() { return },
            }
        }
    }

    /// Says whether all went well.
    async fn apply_all(&mut self, wanted: &Wanted) -> bool {
        self.memory.keep(&wanted.fleets);
        let jobs = self.sight.look(|seen| {
            seen.gone.retain(|place, _| self.memory.knows(place));
            let own = wanted.fleets.iter().enumerate().map(|(fleet, wanted)| Job {
                fleet,
                steps: self.memory.steps(wanted, &self.settings, seen),
            });
            let left = Job { fleet: wanted.fleets.len(), steps: write::leave(&wanted.left, seen) };
            let all = own.chain([left]);
            all.filter(|job| !job.steps.is_empty()).collect::<Vec<_>>()
        });
        if jobs.is_empty() {
            self.refusals(BTreeMap::new());
            return true;
        }
        let mut well = true;
        let mut refused = BTreeMap::new();
        for outcome in write::work(&self.client, jobs).await {
            self.sight.look(|seen| outcome.done.iter().for_each(|done| seen.settle(done.place())));
            outcome.done.into_iter().for_each(|done| self.memory.take(done));
            let Some(failure) = outcome.failed else { continue };
            well = false;
            let text = failure.to_string();
            let fleet = wanted.fleets.get(outcome.fleet).filter(|_| failure.refused);
            let Some(fleet) = fleet else {
                tracing::warn!("{text}; it is tried again");
                continue;
            };
            if self.refused.borrow().get(&fleet.key) != Some(&text) {
                tracing::warn!("{text}; it is tried again");
            }
            refused.insert(fleet.key.clone(), text);
        }
        self.refusals(refused);
        well
    }

    /// Tells what is refused: a step that failed is due again each time, so this is all of it.
    fn refusals(&self, refused: BTreeMap<ObjectKey, String>) {
        self.refused.send_if_modified(|known| {
            let changed = *known != refused;
            *known = refused;
            changed
        });
    }
}

/// Tells how fleets are, whenever something of it changes.
struct Teller {
    settings: Settings,
    sight: Sight,
    facts: watch::Sender<Arc<Facts>>,
}

impl Teller {
    async fn run(
        self,
        mut wanted: watch::Receiver<Arc<Wanted>>,
        mut refused: watch::Receiver<BTreeMap<ObjectKey, String>>,
    ) {
        let mut news = self.sight.news();
        loop {
            news.mark_unchanged();
            let wanted_now = Arc::clone(&wanted.borrow_and_update());
            let refused_now = refused.borrow_and_update().clone();
            let facts: Facts = self.sight.look(|seen| {
                let all = wanted_now.fleets.iter().filter_map(|fleet| {
                    let refused = refused_now.get(&fleet.key).map(String::as_str);
                    let fact = facts::fact(fleet, &self.settings, seen, refused)?;
                    Some((fleet.key.clone(), fact))
                });
                all.collect()
            });
            self.facts.send_if_modified(|known| {
                let changed = **known != facts;
                if changed {
                    *known = Arc::new(facts);
                }
                changed
            });
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                changed = refused.changed() => if changed.is_err() { return },
                changed = news.changed() => if changed.is_err() { return },
            }
        }
    }
}
