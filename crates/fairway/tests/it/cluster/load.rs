//! Requests one after another from inside the lab, each counted: the measure of every failure.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fairway_lab::namespace::Namespace;

/// How long the longest answer may take: lost is what gets none, or an error.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two requests. Each takes a local port, of which a client has some 14,000 for one address: used again
/// within two minutes, the kernel's connection tracking may still lead it to a pod that is gone.
const PAUSE: Duration = Duration::from_millis(15);
/// A bound on what one load sends, which keeps below that number.
const MOST: u64 = 12_000;
/// After a connection that nobody took.
const AGAIN: Duration = Duration::from_millis(5);

/// Requests under way until [`Load::end`].
pub(super) struct Load {
    shared: Arc<Shared>,
    thread: JoinHandle<Counts>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    refused: AtomicU64,
    /// Held by each request while it is under way.
    turn: Mutex<()>,
}

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) lost: Vec<String>,
}

impl Load {
    /// Begins: a new connection for each request, so that each meets what is there at its time.
    pub(super) fn begin(namespace: &Namespace, to: SocketAddr, host: &str, path: &str) -> Self {
        let shared = Arc::<Shared>::default();
        let (known, namespace) = (Arc::clone(&shared), namespace.clone());
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let thread = thread::spawn(move || {
            namespace.run(|| send(&known, to, &request)).expect("the namespace is there")
        });
        Self { shared, thread }
    }

    /// Does something while no request is under way: what a killed process has in its hands is lost with it,
    /// whoever it is.
    pub(super) fn between<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// Gives how many connections nobody took. Such a request was not sent, and is sent again: as long as nobody
    /// can tell clients that a proxy's process has ended, they find out like this.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Ends it; none may be lost.
    pub(super) fn end(self) -> u64 {
        self.shared.stop.store(true, Ordering::Relaxed);
        let counts = self.thread.join().expect("the load ran to its end");
        assert!(counts.lost.is_empty(), "{} lost: {:?}", counts.lost.len(), counts.lost);
        assert!(counts.answered < MOST, "it ended before the test did");
        counts.answered
    }
}

fn send(shared: &Shared, to: SocketAddr, request: &str) -> Counts {
    let mut counts = Counts::default();
    let began = Instant::now();
    for number in 0..MOST {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        match ask(shared, to, request) {
            Ok(()) => counts.answered += 1,
            Err(why) => counts.lost.push(format!(
                "request {number} after {:.1} s: {why}",
                began.elapsed().as_secs_f64()
            )),
        }
        thread::sleep(PAUSE);
    }
    counts
}

fn ask(shared: &Shared, to: SocketAddr, request: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match TcpStream::connect_timeout(&to, PATIENCE) {
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline =>
            {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                drop(turn);
                thread::sleep(AGAIN);
            }
            connected => return exchange(connected, request).map_err(|error| error.to_string()),
        }
    }
}

fn exchange(connected: std::io::Result<TcpStream>, request: &str) -> std::io::Result<()> {
    let mut stream = connected?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.lines().next().unwrap_or_default() {
        "HTTP/1.1 200 OK" => Ok(()),
        first => Err(std::io::Error::other(format!("answered {first:?}"))),
    }
}
