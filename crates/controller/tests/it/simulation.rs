//! The whole controller against a scripted API server, on virtual time and by a seed: users change things, watches
//! are late, cut and forgotten, writes are refused and lost, processes die between any two writes, the Lease moves.
//! After each write and at the end the laws are judged. What the proxies say is not simulated.
//!
//! A seed gives the same steps each time. Not what `tokio::select!` and hashers draw by themselves: a seed that
//! fails once in a while is run again by `FAIRWAY_SIMULATION=SEED`, several times by `FAIRWAY_SIMULATION=SEEDxTIMES`.

mod dice;
mod laws;
mod script;
mod server;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::panic;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairway_controller::cluster::{Options, run};
use fairway_controller::drivers::fleet;
use fairway_controller::leader::{self, election::Terms};
use fairway_controller::sources::cluster as source;
use fairway_translate::Settings;
use fairway_translate::address::{Claiming, Pool};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use dice::Dice;
use laws::identity;
use script::{Step, act, begin, script};
use server::{LEASES, Server, World};
use store::Place;

const SEEDS: u64 = 64;
/// Names of the threads that simulate begin so.
const THREAD: &str = "simulation";
/// How often it is looked whether a process has died.
const LOOK: Duration = Duration::from_millis(50);
/// Within this everything is as it shall be: a Lease that runs out, a write that is tried again at the latest.
const SETTLES: Duration = Duration::from_mins(2);
/// How long nothing is written then; longer than fleets are left alone.
const QUIET: Duration = Duration::from_mins(6);

/// A process of the controller.
struct Process {
    who: usize,
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

fn options(server: &Server, who: usize) -> Options {
    Options {
        client: server.client(who),
        translate: Settings {
            default_classes: BTreeSet::new(),
            alone: false,
            pool: Pool { ranges: Vec::new(), open: false },
            claims: Claiming::On,
            ..Settings::for_files()
        },
        source: source::Settings::default(),
        leader: leader::Settings {
            namespace: "fairway-system".to_owned(),
            name: "fairway-controller".to_owned(),
            identity: identity(who),
            terms: Terms::default(),
        },
        fleet: fleet::Settings {
            image: "fairway:1.2.3".to_owned(),
            replicas: 2,
            controller: "fairway-controller.fairway-system.svc:7443".to_owned(),
        },
        stream: ([127, 0, 0, 1], 0).into(),
        admin: None,
        health: ([127, 0, 0, 1], 0).into(),
    }
}

impl Process {
    fn start(server: &Server, who: usize) -> Self {
        server.with(|world| world.alive.push(who));
        let (stop, stopped) = oneshot::channel();
        let options = options(server, who);
        let task = tokio::spawn(async move {
            let ended = run(options, async move { drop(stopped.await) }).await;
            ended.expect("ports of loopback are free");
        });
        Self { who, task, stop: Some(stop) }
    }

    /// Dies without a word.
    fn kill(&self, server: &Server) {
        server.with(|world| world.alive.retain(|who| *who != self.who));
        self.task.abort();
    }
}

struct Simulation {
    server: Server,
    processes: Vec<Process>,
}

impl Simulation {
    /// Lets time pass; processes that died begin anew.
    async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            sleep(left.min(LOOK)).await;
            for process in &mut self.processes {
                let lives = self.server.with_quietly(|world| world.alive.contains(&process.who));
                if !lives || process.task.is_finished() {
                    process.kill(&self.server);
                    *process = Process::start(&self.server, process.who + 2);
                }
            }
        }
    }

    async fn play(&mut self, steps: &[(Step, u64)]) {
        for (step, pause) in steps {
            match *step {
                Step::Kill(slot) => self.processes[slot].kill(&self.server),
                Step::Stop(slot) => drop(self.processes[slot].stop.take()),
                Step::Mute(slot, seconds) => {
                    let until = Instant::now() + Duration::from_secs(seconds);
                    let who = self.processes[slot].who;
                    self.server.with(|world| world.mute.insert(who, until));
                }
                step => self.server.with(|world| act(world, step)),
            }
            self.pass(Duration::from_millis(*pause)).await;
        }
    }

    /// Takes all trouble away, waits until everything is well, and judges. Gives what is wrong.
    async fn settle(&mut self) -> Vec<String> {
        self.server.with(|world| {
            world.fault = None;
            world.again = false;
            world.mute.clear();
            world.lag.clear();
            world.store.collect_garbage();
        });
        self.pass(SETTLES).await;
        self.server.with(|world| world.store.collect_garbage());
        self.pass(SETTLES).await;
        let (before, writes) = self.server.with(|world| (objects(world), world.writes.len()));
        self.pass(QUIET).await;
        let mut wrong = self.server.with(|world| {
            let late = world.writes[writes..].iter().filter(|write| !write.idle);
            late.map(|write| format!("nothing has changed, and yet: {}", write.what))
                .collect::<Vec<_>>()
        });
        // What one would leave that knows nothing of what happened.
        self.processes.iter().for_each(|process| process.kill(&self.server));
        let fresh = Process::start(&self.server, 1001);
        sleep(SETTLES).await;
        fresh.kill(&self.server);
        let after = self.server.with(|world| objects(world));
        wrong.extend(differences(&before, &after));
        wrong.extend(self.server.with(|world| world.broken.clone()));
        wrong.extend(self.server.with(|world| laws::unclaimed(&world.store)));
        wrong
    }
}

/// Gives all objects but the Lease, without their versions and the times of their conditions: who has just begun
/// and does not know the fleets yet may say so for a moment.
fn objects(world: &World) -> BTreeMap<Place, Value> {
    let all = world.store.objects.iter().filter(|(place, _)| place.list != LEASES);
    all.map(|(place, object)| (place.clone(), timeless(object))).collect()
}

fn timeless(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let stays = |(name, _): &(&String, &Value)| {
                !["resourceVersion", "lastTransitionTime"].contains(&name.as_str())
            };
            let fields = fields.iter().filter(stays);
            fields.map(|(name, value)| (name.clone(), timeless(value))).collect()
        }
        Value::Array(items) => items.iter().map(timeless).collect(),
        plain => plain.clone(),
    }
}

fn differences(before: &BTreeMap<Place, Value>, after: &BTreeMap<Place, Value>) -> Vec<String> {
    let mut found = Vec::new();
    let places: BTreeSet<&Place> = before.keys().chain(after.keys()).collect();
    for place in places {
        let [was, is] = [before, after].map(|all| all.get(place).unwrap_or(&Value::Null));
        different(&format!("a fresh controller changes {place:?}: "), was, is, &mut found);
    }
    found
}

/// Lists the fields that differ.
fn different(path: &str, was: &Value, is: &Value, found: &mut Vec<String>) {
    match (was, is) {
        _ if was == is => {}
        (Value::Object(was), Value::Object(is)) => {
            let fields: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for field in fields {
                let [was, is] = [was, is].map(|all| all.get(field).unwrap_or(&Value::Null));
                different(&format!("{path}/{field}"), was, is, found);
            }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            for (nth, (was, is)) in was.iter().zip(is).enumerate() {
                different(&format!("{path}/{nth}"), was, is, found);
            }
        }
        _ => found.push(format!("{path}: {was} -> {is}")),
    }
}

/// Runs one seed; gives what is wrong, and how many writes there were.
fn simulate(seed: u64) -> (Vec<String>, usize) {
    let mut dice = Dice::new(seed);
    let steps = script(&mut dice);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (mut wrong, writes) = runtime.block_on(async {
        let server = Server::new(dice);
        server.with(begin);
        let processes = vec![Process::start(&server, 0), Process::start(&server, 1)];
        let mut simulation = Simulation { server, processes };
        simulation.play(&steps).await;
        let wrong = simulation.settle().await;
        (wrong, simulation.server.with(|world| world.writes.len()))
    });
    if !wrong.is_empty() {
        let steps = steps.iter().map(|(step, pause)| format!("   {step:?}, then {pause} ms\n"));
        wrong.push(format!("the steps:\n{}", steps.collect::<String>()));
    }
    (wrong, writes)
}

/// Gives the seeds that are asked for, and how often each is run.
fn asked() -> (Vec<u64>, u64) {
    let Ok(text) = env::var("FAIRWAY_SIMULATION") else { return ((0..SEEDS).collect(), 1) };
    let (seed, times) = text.split_once('x').unwrap_or((&text, "1"));
    let number = |text: &str| text.parse().expect("FAIRWAY_SIMULATION is SEED or SEEDxTIMES");
    (vec![number(seed)], number(times))
}

/// Notes the panics of threads that simulate: a task's is not seen otherwise.
fn note_panics() -> Arc<Mutex<Vec<String>>> {
    let panics: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, before) = (Arc::clone(&panics), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().name().is_some_and(|name| name.starts_with(THREAD)) {
            noted.lock().expect("nobody panics with it").push(info.to_string());
        }
        before(info);
    }));
    panics
}

#[test]
fn whatever_happens_the_laws_hold_and_all_is_well_in_the_end() {
    let panics = note_panics();
    let (seeds, times) = asked();
    let all: Vec<u64> = seeds.iter().flat_map(|seed| (0..times).map(|_| *seed)).collect();
    let halves = all.chunks(all.len().div_ceil(2)).map(<[u64]>::to_vec);
    let threads: Vec<_> = halves
        .map(|seeds| {
            let work =
                move || seeds.into_iter().map(|seed| (seed, simulate(seed))).collect::<Vec<_>>();
            let thread = std::thread::Builder::new().name(THREAD.to_owned());
            thread.spawn(work).expect("a thread")
        })
        .collect();
    let (mut failed, mut all_writes) = (String::new(), 0);
    for thread in threads {
        for (seed, (wrong, writes)) in thread.join().expect("the simulation itself does not fail") {
            all_writes += writes;
            if !wrong.is_empty() {
                failed.push_str(&format!(
                    "seed {seed} (FAIRWAY_SIMULATION={seed} runs it alone):\n{}\n",
                    wrong.join("\n")
                ));
            }
        }
    }
    let panics = panics.lock().expect("nobody panics with it");
    assert!(all_writes > 10 * all.len(), "{all_writes} writes: it simulates nothing");
    assert!(failed.is_empty() && panics.is_empty(), "{failed}{panics:#?}");
}
