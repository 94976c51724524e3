//! Datagrams: those of one client on one listener are a session, which stays with one endpoint and
//! has a socket of its own towards it, by which the endpoint's answers find back.
//!
//! Answers leave from the address the socket is bound to. On a wildcard address the kernel chooses
//! one, which on a machine with several need not be the one the client wrote to.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::target::{self, InFlight, Target};
use crate::drain::DrainSignal;
use crate::generation::{ListenerState, Port, SocketKey};
use crate::metrics::{Counter, ListenerCells};
use crate::worker::Worker;

/// The longest datagram there is.
const LONGEST: usize = 65_536;

/// How long a socket that is closed waits for answers to what it has passed on.
const LAST_ANSWERS: Duration = Duration::from_millis(250);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; LONGEST]);
}

type Sessions = RefCell<HashMap<SocketAddr, Rc<Session>, RandomState>>;

/// A socket of one thread with its sessions. The kernel gives a client's datagrams to the same
/// thread as long as the number of threads stays.
pub(crate) struct Door {
    socket: Rc<UdpSocket>,
    key: SocketKey,
    port: RefCell<Arc<Port>>,
    worker: Rc<Worker>,
    drain: DrainSignal,
    sessions: Rc<Sessions>,
}

/// The datagrams of one client.
struct Session {
    upstream: UdpSocket,
    target: Target,
    endpoint: InFlight,
    /// The generation by which the target was last found to stand.
    checked: Cell<u64>,
    last: Cell<Instant>,
    /// Whether the client's last datagram has had no answer yet.
    waiting: Cell<bool>,
    cells: Arc<ListenerCells>,
    _room: OwnedSemaphorePermit,
}

impl Door {
    pub(crate) fn new(
        socket: UdpSocket,
        key: SocketKey,
        port: Arc<Port>,
        worker: Rc<Worker>,
        drain: DrainSignal,
    ) -> Self {
        let port = RefCell::new(port);
        Self { socket: Rc::new(socket), key, port, worker, drain, sessions: Rc::default() }
    }

    /// Passes datagrams on until told to close; answers that once the socket is closed.
    pub(crate) async fn serve(self, mut closing: oneshot::Receiver<oneshot::Sender<()>>) {
        loop {
            tokio::select! {
                biased;
                closed = &mut closing => {
                    self.close().await;
                    if let Ok(answer) = closed {
                        // Nobody may be waiting any more.
                        answer.send(()).unwrap_or_default();
                    }
                    return;
                }
                readable = self.socket.readable() => {
                    if readable.is_err() || self.receive().is_err() {
                        self.worker.metrics().count(Counter::AcceptErrors);
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }

    /// Takes all datagrams that are there, but not so many that others would starve.
    fn receive(&self) -> io::Result<()> {
        for _ in 0..64 {
            let more = SCRATCH.with_borrow_mut(|scratch| {
                match self.socket.try_recv_from(scratch) {
                    Ok((length, client)) => {
                        self.pass(client, scratch.get(..length).unwrap_or_default());
                        Ok(true)
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                    // The report of an answer that did not arrive somewhere.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
                    Err(error) => Err(error),
                }
            })?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn pass(&self, client: SocketAddr, datagram: &[u8]) {
        let passed = self.session(client).is_some_and(|session| {
            session.last.set(Instant::now());
            session.waiting.set(true);
            session.cells.bytes(u64::try_from(datagram.len()).unwrap_or_default(), 0);
            // The socket itself is asked: the runtime does not know yet that a new one is ready.
            SockRef::from(&session.upstream).send(datagram).is_ok()
        });
        if !passed {
            self.worker.metrics().count(Counter::UdpDropped);
        }
    }

    /// Gives the client's session; begins one if it has none or its endpoint serves no more.
    fn session(&self, client: SocketAddr) -> Option<Rc<Session>> {
        let generation = self.worker.generation();
        if let Some(session) = self.sessions.borrow().get(&client) {
            if session.checked.get() == generation.number {
                return Some(Rc::clone(session));
            }
            if target::still_stands(&generation, &session.target, session.endpoint.endpoint()) {
                session.checked.set(generation.number);
                return Some(Rc::clone(session));
            }
        }
        self.sessions.borrow_mut().remove(&client);
        let room = Arc::clone(&self.worker.room().udp_sessions).try_acquire_owned().ok()?;
        let listener = self.listener()?;
        let mut target = target::choose(&generation, &listener, None, client.ip())?;
        let endpoint = target.next()?;
        let upstream = connected(endpoint.endpoint().address).ok()?;
        let cells = self.worker.metrics().listener(&listener.id);
        cells.connection();
        self.worker.metrics().count(Counter::UdpSessions);
        let session = Rc::new(Session {
            upstream,
            target,
            endpoint,
            checked: Cell::new(generation.number),
            last: Cell::new(Instant::now()),
            waiting: Cell::new(false),
            cells,
            _room: room,
        });
        self.sessions.borrow_mut().insert(client, Rc::clone(&session));
        let answers = Answers {
            session: Rc::clone(&session),
            client,
            socket: Rc::downgrade(&self.socket),
            sessions: Rc::downgrade(&self.sessions),
            worker: Rc::clone(&self.worker),
        };
        self.worker.spawn(answers.serve(self.drain.clone()));
        Some(session)
    }

    fn listener(&self) -> Option<Arc<ListenerState>> {
        let generation = self.worker.generation();
        if let Some(port) = generation.port(&self.key) {
            self.port.replace(Arc::clone(port));
        }
        let port = self.port.borrow();
        port.listeners.first().and_then(|id| generation.listener(id)).cloned()
    }

    /// Passes on what has come already, and waits a little for the answers. Not longer: as long as
    /// the socket is bound, the kernel may give it datagrams meant for its successor.
    async fn close(self) {
        drop(self.receive());
        let deadline = Instant::now() + LAST_ANSWERS;
        while Instant::now() < deadline
            && self.sessions.borrow().values().any(|session| session.waiting.get())
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.drain.raise(Instant::now());
    }
}

/// Makes a socket that hears from one endpoint only.
fn connected(endpoint: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match endpoint {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(endpoint)?;
    UdpSocket::from_std(socket)
}

/// The way back of a session.
struct Answers {
    session: Rc<Session>,
    client: SocketAddr,
    /// Weak, so that the socket closes when its door does.
    socket: Weak<UdpSocket>,
    sessions: Weak<Sessions>,
    worker: Rc<Worker>,
}

impl Answers {
    async fn serve(self, drain: DrainSignal) {
        let idle = self.worker.settings().timeouts.udp_idle;
        tokio::select! {
            biased;
            () = drain.expired() => {}
            () = self.expired(idle) => {}
            () = self.pass_back() => {}
        }
    }

    async fn expired(&self, idle: Duration) {
        loop {
            let end = self.session.last.get() + idle;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// Passes answers back until the endpoint is found to be gone: the client's next datagram then
    /// begins a session anew.
    async fn pass_back(&self) {
        loop {
            if self.session.upstream.readable().await.is_err() {
                return;
            }
            loop {
                match SCRATCH.with_borrow_mut(|scratch| self.step(scratch)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => return self.worker.metrics().upstream_failure("udp"),
                }
            }
        }
    }

    fn step(&self, scratch: &mut [u8]) -> io::Result<()> {
        let length = self.session.upstream.try_recv(scratch)?;
        let answer = scratch.get(..length).unwrap_or_default();
        let socket = self.socket.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        self.session.last.set(Instant::now());
        self.session.waiting.set(false);
        self.session.cells.bytes(0, u64::try_from(length).unwrap_or_default());
        if SockRef::from(&*socket).send_to(answer, &self.client.into()).is_err() {
            self.worker.metrics().count(Counter::UdpDropped);
        }
        Ok(())
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.worker.metrics().count(Counter::UdpSessionsEnded);
        let Some(sessions) = self.sessions.upgrade() else { return };
        let mut sessions = sessions.borrow_mut();
        // The client may have begun another one since.
        if sessions.get(&self.client).is_some_and(|newest| Rc::ptr_eq(newest, &self.session)) {
            sessions.remove(&self.client);
        }
    }
}
