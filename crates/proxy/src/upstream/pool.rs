//! The connections of one data thread to endpoints. Idle ones of HTTP/1.1 are taken last in, first
//! out, so that those that are not needed grow old and are closed; those of HTTP/2 are shared.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use h2::client::SendRequest;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connect::{Destination, Key, Spoken};
use super::lease::{Http1, Http2, Lease, Share};
use crate::failure::Failure;
use crate::http::wire::Io;
use crate::message;
use crate::metrics::{Counter, Metrics};
use crate::settings::Settings;

/// Streams on one connection of ours, whatever the endpoint allows: more share one TCP window and
/// one core of the endpoint.
const STREAMS: u32 = 100;

/// Flow control of HTTP/2 towards endpoints: what one stream, and all together, may send unread.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A data thread's connections to endpoints.
#[derive(Default)]
pub(crate) struct Pool {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: RefCell<HashMap<Key, Rc<Entry>, RandomState>>,
    sweeping: Cell<bool>,
}

/// The connections to one destination.
struct Entry {
    destination: Destination,
    idle: RefCell<Vec<Idle>>,
    shared: RefCell<Vec<Shared>>,
    /// What TLS agreed on the last time.
    spoken: Cell<Option<Spoken>>,
    /// Somebody is making a connection that others may share.
    connecting: Cell<bool>,
    connected: Notify,
}

struct Idle {
    connection: Box<Http1>,
    since: Instant,
}

/// A connection of HTTP/2.
struct Shared {
    send: SendRequest<Bytes>,
    streams: Rc<Cell<u32>>,
    closed: Rc<Cell<bool>>,
    /// When a stream was last begun.
    used: Instant,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Gives a connection for one exchange: with `fresh` one that was never used, else an idle or
    /// shared one if there is any. The caller sets the time for it.
    ///
    /// # Errors
    /// What [`Destination::connect`] says.
    pub(crate) async fn lease(
        &self,
        destination: &Destination,
        fresh: bool,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Lease, Failure> {
        let entry = self.entry(destination);
        if !fresh && let Some(connection) = entry.idle() {
            metrics.count(Counter::UpstreamReuses);
            return Ok(Lease::h1(connection, true, Slot::new(self, &entry, settings)));
        }
        if !entry.is_shared() {
            let (io, spoken) = destination.connect().await?;
            metrics.count(Counter::UpstreamConnections);
            entry.spoken.set(Some(spoken));
            return match spoken {
                Spoken::Http1 => {
                    let connection = Box::new(Http1::new(io, limits(settings)));
                    Ok(Lease::h1(connection, false, Slot::new(self, &entry, settings)))
                }
                Spoken::Http2 => {
                    let share = entry.share(io, settings).await?;
                    self.sweep(settings);
                    Ok(share)
                }
            };
        }
        let lease = entry.lease_shared(fresh, settings, metrics).await?;
        self.sweep(settings);
        Ok(lease)
    }

    fn entry(&self, destination: &Destination) -> Rc<Entry> {
        let key = destination.key();
        if let Some(entry) = self.inner.entries.borrow().get(&key) {
            return Rc::clone(entry);
        }
        let entry = Rc::new(Entry::new(destination.clone()));
        self.inner.entries.borrow_mut().insert(key, Rc::clone(&entry));
        entry
    }

    /// Sees to it that what is not used is closed; ends when there is nothing left.
    fn sweep(&self, settings: &Settings) {
        self.inner.sweep(settings.timeouts.idle_upstream);
    }
}

impl Inner {
    fn sweep(self: &Rc<Self>, age: Duration) {
        if self.sweeping.replace(true) {
            return;
        }
        let weak = Rc::downgrade(self);
        let pause = (age / 4).max(Duration::from_millis(10));
        // It ends by itself, or with the thread.
        drop(tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(inner) = weak.upgrade() else { return };
                if !inner.close_old(age) {
                    inner.sweeping.set(false);
                    return;
                }
            }
        }));
    }

    /// Closes what has been idle for longer than `age`; says whether anything is left.
    fn close_old(&self, age: Duration) -> bool {
        let mut entries = self.entries.borrow_mut();
        entries.retain(|_, entry| {
            entry.close_old(age);
            Rc::strong_count(entry) > 1 || !entry.is_empty()
        });
        !entries.is_empty()
    }
}

impl Entry {
    fn new(destination: Destination) -> Self {
        Self {
            destination,
            idle: RefCell::default(),
            shared: RefCell::default(),
            spoken: Cell::new(None),
            connecting: Cell::new(false),
            connected: Notify::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.shared.borrow().is_empty()
    }

    /// Says whether its connections are known to be of HTTP/2.
    fn is_shared(&self) -> bool {
        match &self.destination.dialect {
            super::connect::Dialect::Http1 => false,
            super::connect::Dialect::Http2 => true,
            super::connect::Dialect::Tls { .. } => self.spoken.get() == Some(Spoken::Http2),
        }
    }

    /// Gives the youngest idle connection that the endpoint has not closed or spoken on.
    fn idle(&self) -> Option<Box<Http1>> {
        loop {
            let mut idle = self.idle.borrow_mut().pop()?;
            if idle.connection.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    fn close_old(&self, age: Duration) {
        let now = Instant::now();
        self.idle
            .borrow_mut()
            .retain_mut(|idle| now.duration_since(idle.since) < age && idle.connection.is_quiet());
        self.shared.borrow_mut().retain(|shared| {
            let old = now.duration_since(shared.used) >= age && shared.streams.get() == 0;
            !old && !shared.closed.get()
        });
    }

    /// Gives a stream on a shared connection, making one when all are full. Only one is made at a
    /// time; who comes meanwhile waits for it.
    async fn lease_shared(
        &self,
        mut fresh: bool,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Lease, Failure> {
        loop {
            if !fresh && let Some(lease) = self.stream() {
                metrics.count(Counter::UpstreamReuses);
                return Ok(lease);
            }
            if self.connecting.get() {
                self.connected.notified().await;
                fresh = false;
                continue;
            }
            let _connecting = Connecting::new(self);
            let (io, spoken) = self.destination.connect().await?;
            metrics.count(Counter::UpstreamConnections);
            self.spoken.set(Some(spoken));
            return match spoken {
                Spoken::Http2 => self.share(io, settings).await,
                // The endpoint has changed its mind; this connection is not kept.
                Spoken::Http1 => {
                    let connection = Box::new(Http1::new(io, limits(settings)));
                    Ok(Lease::h1(connection, false, Slot::none()))
                }
            };
        }
    }

    /// Gives a stream on a connection that there is.
    fn stream(&self) -> Option<Lease> {
        let mut shared = self.shared.borrow_mut();
        // A connection that was told to go away takes no more streams, though it lives on.
        let usable = |shared: &mut Shared| {
            let ready = peek(|task| shared.send.poll_ready(task));
            !shared.closed.get() && !matches!(ready, Poll::Ready(Err(_)))
        };
        shared.retain_mut(usable);
        let free = |shared: &&mut Shared| {
            let allowed = u32::try_from(shared.send.current_max_send_streams()).unwrap_or(STREAMS);
            shared.streams.get() < allowed.min(STREAMS)
        };
        let shared = shared.iter_mut().find(free)?;
        shared.used = Instant::now();
        Some(Lease::H2(shared.stream(true)))
    }

    /// Starts HTTP/2 on a new connection and gives a stream on it.
    async fn share(&self, io: Box<dyn Io>, settings: &Settings) -> Result<Lease, Failure> {
        let list = u32::try_from(settings.limits.header_bytes).unwrap_or(u32::MAX);
        let handshake = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(list)
            .handshake(io);
        let (send, connection) = handshake.await.map_err(|_error| Failure::Connect)?;
        let closed = Rc::new(Cell::new(false));
        let ended = Rc::clone(&closed);
        drop(tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an endpoint broke");
            }
            ended.set(true);
        }));
        let used = Instant::now();
        let shared = Shared { send, streams: Rc::default(), closed, used };
        let stream = shared.stream(false);
        self.shared.borrow_mut().push(shared);
        Ok(Lease::H2(stream))
    }
}

impl Shared {
    fn stream(&self, reused: bool) -> Http2 {
        Http2::new(self.send.clone(), Share::new(&self.streams), reused)
    }
}

/// Marks that a connection is being made.
struct Connecting<'a>(&'a Entry);

impl<'a> Connecting<'a> {
    fn new(entry: &'a Entry) -> Self {
        entry.connecting.set(true);
        Self(entry)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.set(false);
        self.0.connected.notify_waiters();
    }
}

/// Where a connection of HTTP/1.1 is given back to.
pub(crate) struct Slot {
    /// None for a connection that is not kept.
    entry: Option<Rc<Entry>>,
    pool: Weak<Inner>,
    most: usize,
    age: Duration,
}

impl Slot {
    fn new(pool: &Pool, entry: &Rc<Entry>, settings: &Settings) -> Self {
        Self {
            entry: Some(Rc::clone(entry)),
            pool: Rc::downgrade(&pool.inner),
            most: settings.limits.idle_upstreams,
            age: settings.timeouts.idle_upstream,
        }
    }

    fn none() -> Self {
        Self { entry: None, pool: Weak::new(), most: 0, age: Duration::ZERO }
    }

    pub(super) fn give_back(&self, connection: Box<Http1>) {
        let (Some(entry), Some(pool)) = (&self.entry, self.pool.upgrade()) else { return };
        let mut idle = entry.idle.borrow_mut();
        if idle.len() >= self.most {
            // The oldest one goes: it is the least likely to live.
            let oldest = usize::from(!idle.is_empty());
            idle.drain(..oldest);
        }
        if self.most > 0 {
            idle.push(Idle { connection, since: Instant::now() });
        }
        drop(idle);
        pool.sweep(self.age);
    }
}

/// What a response's head may be like.
pub(super) fn limits(settings: &Settings) -> message::Limits {
    message::Limits {
        first_line: 8 << 10,
        head: settings.limits.header_bytes,
        fields: settings.limits.header_fields.min(message::Limits::MAX_FIELDS),
        ..message::Limits::default()
    }
}

/// Polls without anybody to be woken: for a look at what is there already.
pub(super) fn peek<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}
