//! A client of a Gateway's address: asks on one kept connection until a host is served, and counts what else it
//! is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use fairway_lab::namespace::Namespace;

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_micros(500);
/// How long a host may take to be served.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client on a thread inside the lab.
pub(crate) struct Client {
    hosts: mpsc::Sender<String>,
    /// Shared, since whoever asks is on another thread inside the lab.
    answers: Mutex<mpsc::Receiver<Result<Answered>>>,
}

/// How a host came to be served.
pub(crate) struct Answered {
    /// When the first 200 was read.
    pub(crate) at: Instant,
    /// How often it was 404 before.
    pub(crate) not_found: u64,
    /// Any other answers.
    pub(crate) others: Vec<u16>,
}

impl Client {
    pub(crate) fn start(namespace: &Namespace, to: SocketAddr) -> Self {
        let (hosts, asked) = mpsc::channel::<String>();
        let (told, answers) = mpsc::channel();
        let inside = namespace.clone();
        thread::spawn(move || {
            let failed = told.clone();
            let done = inside.run(move || {
                let mut connection = None;
                for host in asked {
                    // Nobody listens any more when the benchmark is over.
                    drop(told.send(until_served(&mut connection, to, &host)));
                }
            });
            drop(done.map_err(|error| failed.send(Err(error.into()))));
        });
        Self { hosts, answers: Mutex::new(answers) }
    }

    /// Begins to ask for a host.
    pub(crate) fn begin(&self, host: &str) -> Result<()> {
        self.hosts.send(host.to_owned()).map_err(|_gone| anyhow!("the client has ended"))
    }

    /// Waits until it is served.
    pub(crate) fn end(&self) -> Result<Answered> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.recv().context("the client has ended")?
    }
}

type Connection = BufReader<TcpStream>;

fn until_served(
    connection: &mut Option<Connection>,
    to: SocketAddr,
    host: &str,
) -> Result<Answered> {
    let deadline = Instant::now() + PATIENCE;
    let (mut not_found, mut others) = (0, Vec::new());
    loop {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(open(to)?),
        };
        match exchange(connection, host).with_context(|| format!("asking {to} for {host}"))? {
            200 => return Ok(Answered { at: Instant::now(), not_found, others }),
            404 => not_found += 1,
            other => others.push(other),
        }
        if Instant::now() > deadline {
            bail!("{host} is not served after {PATIENCE:?}: {not_found} times 404, and {others:?}");
        }
        thread::sleep(PAUSE);
    }
}

fn open(to: SocketAddr) -> Result<Connection> {
    let stream =
        TcpStream::connect_timeout(&to, PATIENCE).with_context(|| format!("connecting to {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// Gives the status of the answer; its body is read and forgotten.
fn exchange(connection: &mut Connection, host: &str) -> Result<u16> {
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).with_context(|| format!("no status in {line:?}"))?;
    let status = status.parse()?;
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let read = std::io::copy(&mut connection.take(length), &mut std::io::sink())?;
    if read < length {
        bail!("the answer ended early");
    }
    Ok(status)
}
