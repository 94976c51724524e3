//! Files change, break and are mended while requests go through: none is lost.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::rig::{Backend, Loopback, PATIENCE, Process, poll};
use crate::wire::{Connection, get};

const CHANGES: u32 = 200;
const CLIENTS: u64 = 3;
/// Requests on one connection before a client opens another one.
const KEPT: u32 = 40;
/// The whole test, whatever goes wrong.
const LONGEST: Duration = Duration::from_secs(60);

const HOST: &str = "load.example.test";

fn gateway(more: &str) -> String {
    format!(
        "apiVersion: fairway.dev/v1alpha1\nkind: Gateway\n\
         metadata: {{namespace: load, name: edge}}\nspec:\n  listeners:\n  \
         - {{name: http, port: 80, protocol: HTTP}}\n{more}"
    )
}

/// The route under load. `version` is told to clients, so that they see which one answers.
fn route(version: u32, weight: u32) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
         metadata: {{namespace: load, name: all}}\nspec:\n  \
         parentRefs: [{{group: fairway.dev, kind: Gateway, name: edge}}]\n  \
         hostnames: [{HOST}]\n  rules:\n  - filters:\n    - type: ResponseHeaderModifier\n      \
         responseHeaderModifier: {{set: [{{name: x-version, value: \"{version}\"}}]}}\n    \
         backendRefs:\n    - {{name: one, port: 80, weight: {weight}}}\n    \
         - {{name: two, port: 80, weight: {}}}\n",
        10 - weight
    )
}

/// A neighbour that comes and goes.
fn neighbour(version: u32) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
         metadata: {{namespace: load, name: neighbour}}\nspec:\n  \
         parentRefs: [{{group: fairway.dev, kind: Gateway, name: edge}}]\n  \
         hostnames: [n{version}.example.test]\n  rules:\n  \
         - backendRefs: [{{name: one, port: 80}}]\n"
    )
}

const SERVICES: &str = "\
apiVersion: v1
kind: Service
metadata: {namespace: load, name: one}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: load, name: two}
spec: {ports: [{port: 80}]}
";

#[test]
fn no_request_is_lost_by_200_changes() {
    let began = Instant::now();
    let folder = tempfile::tempdir().expect("a folder");
    let state = tempfile::tempdir().expect("a folder");
    let files = folder.path();
    write(files, "gateway.yaml", &gateway(""));
    write(files, "services.yaml", SERVICES);
    write(files, "route.yaml", &route(0, 5));
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    let at = Loopback::new();
    let backends = [format!("load/one:80={}", one.address), format!("load/two:80={}", two.address)];
    let more = ["--backend", &backends[0], "--backend", &backends[1]];
    let process = Process::run(files, &at, state.path(), &more);
    let to = at.bound(80);
    poll("the first answer", || get(to, HOST, "/").ok().filter(|answer| answer.status == 200));

    let load = Load::start(to);
    let mut latencies = Vec::new();
    let mut noticed = Vec::new();
    for change in 1..=CHANGES {
        assert!(began.elapsed() < LONGEST, "{change} changes took {:?}", began.elapsed());
        match change % 5 {
            // A file breaks: its last good state counts on.
            1 => {
                let seen = process.lines();
                let broke = Instant::now();
                write(files, "route.yaml", "spec: [");
                process.line_after(seen, "what is broken", |line| {
                    line.starts_with("problem: ") && line.contains("route.yaml")
                });
                noticed.push(broke.elapsed());
            }
            2 => write(files, "neighbour.yaml", &neighbour(change)),
            3 => write(
                files,
                "gateway.yaml",
                &gateway("  - {name: other, port: 81, protocol: HTTP}\n"),
            ),
            4 => {
                fs::remove_file(files.join("neighbour.yaml")).expect("it is there");
                write(files, "gateway.yaml", &gateway(""));
            }
            // The route is mended, or changed, and seen to be served.
            _ => latencies.push(served(files, to, change)),
        }
    }
    let (requests, lost) = load.stop();
    latencies.sort();
    noticed.sort();
    let middle = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
    println!("apply to served: median {middle:?}, longest {:?}", latencies.last());
    println!("broken to told: longest {:?}", noticed.last());
    println!("{requests} requests, {CHANGES} changes, {:?}", began.elapsed());
    assert!(lost.is_empty(), "lost of {requests}: {}\n{}", lost.join("\n"), process.printed());
    assert!(requests > u64::from(CHANGES), "there was hardly any load: {requests} requests");
}

/// Writes the route and waits until its new version answers; gives how long it took.
fn served(files: &Path, to: std::net::SocketAddr, version: u32) -> Duration {
    let wanted = version.to_string();
    let written = Instant::now();
    write(files, "route.yaml", &route(version, 1 + version % 9));
    let mut connection = Connection::open(to).expect("it listens");
    while written.elapsed() < PATIENCE {
        let answer = connection.get(HOST, "/probe").expect("an answer");
        if answer.header("x-version") == Some(&wanted) {
            return written.elapsed();
        }
        if answer.closes() {
            connection = Connection::open(to).expect("it listens");
        }
    }
    panic!("version {version} is not served");
}

/// As editors do: a file is never seen half written.
fn write(files: &Path, name: &str, text: &str) {
    let fresh = files.join(format!(".{name}.new"));
    fs::write(&fresh, text).expect("written");
    fs::rename(&fresh, files.join(name)).expect("renamed");
}

/// Clients that ask without a pause, each request with a number of its own.
struct Load {
    stop: Arc<AtomicBool>,
    number: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(to: std::net::SocketAddr) -> Self {
        let (stop, number) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (stop, number) = (Arc::clone(&stop), Arc::clone(&number));
            std::thread::spawn(move || ask(to, &stop, &number))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, number, clients }
    }

    /// Gives how many requests there were, and what was wrong with which.
    fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.clients.into_iter().map(|client| client.join().expect("no panic"));
        let lost = ended.flatten().collect();
        (self.number.load(Ordering::Relaxed), lost)
    }
}

fn ask(to: std::net::SocketAddr, stop: &AtomicBool, number: &AtomicU64) -> Vec<String> {
    let mut lost = Vec::new();
    let mut connection = None;
    let mut used = 0;
    while !stop.load(Ordering::Relaxed) && lost.len() < 10 {
        let path = format!("/number/{}", number.fetch_add(1, Ordering::Relaxed));
        let (kept, outcome) = match connection.take().map_or_else(|| Connection::open(to), Ok) {
            Ok(mut open) => {
                let outcome = open.get(HOST, &path);
                (Some(open), outcome)
            }
            Err(error) => (None, Err(error)),
        };
        used += 1;
        match outcome {
            Ok(answer) => {
                let echoed = format!("\"path\": \"{path}\"");
                if answer.status != 200 || !answer.body.contains(&echoed) {
                    lost.push(format!("{path}: {answer:?}"));
                }
                if !answer.closes() && used % KEPT != 0 {
                    connection = kept;
                }
            }
            Err(error) => lost.push(format!("{path} (request {used} of its client): {error}")),
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    lost
}
