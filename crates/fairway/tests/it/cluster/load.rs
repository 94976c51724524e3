//! Requests one after another from inside the lab, each counted: the measure of every failure.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fairway_lab::namespace::Namespace;

/// How long the longest answer may take: lost is what gets none, or an error.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two requests. Each takes a local port, of which a client has some 14,000 for one address: used again
/// within two minutes, the kernel's connection tracking may still lead it to a pod that is gone.
const PAUSE: Duration = Duration::from_millis(8);
/// A bound on what one load sends, which keeps below that number.
const MOST: u64 = 12_000;

/// Requests under way until [`Load::end`].
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Counts>,
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
        let stop = Arc::new(AtomicBool::new(false));
        let (stopping, namespace) = (Arc::clone(&stop), namespace.clone());
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let thread = thread::spawn(move || {
            let work = || {
                let mut counts = Counts::default();
                let began = Instant::now();
                for number in 0..MOST {
                    if stopping.load(Ordering::Relaxed) {
                        break;
                    }
                    match ask(to, &request) {
                        Ok(()) => counts.answered += 1,
                        Err(why) => counts.lost.push(format!(
                            "request {number} after {:.1} s: {why}",
                            began.elapsed().as_secs_f64()
                        )),
                    }
                    thread::sleep(PAUSE);
                }
                counts
            };
            namespace.run(work).expect("the namespace is there")
        });
        Self { stop, thread }
    }

    /// Ends it; none may be lost.
    pub(super) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self.thread.join().expect("the load ran to its end");
        assert!(counts.lost.is_empty(), "{} lost: {:?}", counts.lost.len(), counts.lost);
        counts.answered
    }
}

fn ask(to: SocketAddr, request: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let first = answer.lines().next().unwrap_or_default();
    if first == "HTTP/1.1 200 OK" { Ok(()) } else { Err(format!("answered {first:?}")) }
}
