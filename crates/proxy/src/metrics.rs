//! What is counted. Each data thread has cells of its own, which only it writes; whoever asks adds
//! them up. Series are bounded: by the number of listeners, status classes and words of failures.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairway_model::ListenerId;
use foldhash::fast::RandomState;

/// Something that is counted for the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Clients' connections accepted.
    Connections,
    /// Clients' connections that have ended.
    ConnectionsEnded,
    /// Clients' connections cut off when the time for draining ran out.
    ConnectionsAborted,
    /// Failures of `accept`, such as too many open files.
    AcceptErrors,
    /// TLS handshakes that succeeded.
    TlsHandshakes,
    /// TLS handshakes that failed, those for an unknown server name included.
    TlsFailures,
    /// Connections to endpoints made.
    UpstreamConnections,
    /// Requests that took an idle connection to an endpoint.
    UpstreamReuses,
    /// Requests tried again.
    Retries,
    /// UDP sessions begun.
    UdpSessions,
    /// UDP sessions that have ended.
    UdpSessionsEnded,
    /// Datagrams dropped: no session could be begun, or the other side did not take them.
    UdpDropped,
    /// Tasks of connections that ended in a panic: a bug of ours.
    Panics,
}

impl Counter {
    const ALL: [Self; 13] = [
        Self::Connections,
        Self::ConnectionsEnded,
        Self::ConnectionsAborted,
        Self::AcceptErrors,
        Self::TlsHandshakes,
        Self::TlsFailures,
        Self::UpstreamConnections,
        Self::UpstreamReuses,
        Self::Retries,
        Self::UdpSessions,
        Self::UdpSessionsEnded,
        Self::UdpDropped,
        Self::Panics,
    ];
}

/// Durations by power of two: bucket `n` holds those of less than 2^n microseconds that bucket
/// `n - 1` does not hold; the last one holds all others too.
pub const DURATION_BUCKETS: usize = 32;

/// A cell that one thread writes and any may read.
#[derive(Default)]
struct Cell(AtomicU64);

impl Cell {
    fn add(&self, by: u64) {
        // A plain load and store: there is only one writer, so no locked instruction is needed.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The cells of one data thread.
pub(crate) struct Metrics {
    counters: [Cell; Counter::ALL.len()],
    /// Looked up once for a connection or a request; nobody else holds the lock but who asks.
    listeners: Mutex<HashMap<ListenerId, Arc<ListenerCells>, RandomState>>,
    /// Failures are rare, so a lock that nobody else holds is good enough.
    failures: Mutex<BTreeMap<&'static str, u64>>,
}

/// The cells of one listener in one data thread. A connection keeps them while it lives.
#[derive(Default)]
pub(crate) struct ListenerCells {
    connections: Cell,
    bytes_received: Cell,
    bytes_sent: Cell,
    /// By the first digit of the status; slot 0 for those cut off before one was sent.
    requests: [Cell; 6],
    durations: [Cell; DURATION_BUCKETS],
    duration_sum: Cell,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            counters: Default::default(),
            listeners: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Counts one more.
    pub(crate) fn count(&self, counter: Counter) {
        if let Some(cell) = self.counters.get(counter as usize) {
            cell.add(1);
        }
    }

    /// Counts a request that an endpoint failed to serve, by the access log's word for it.
    pub(crate) fn upstream_failure(&self, word: &'static str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures.entry(word).or_default() += 1;
    }

    /// Gives the cells of a listener.
    pub(crate) fn listener(&self, id: &ListenerId) -> Arc<ListenerCells> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cells) = listeners.get(id) {
            return Arc::clone(cells);
        }
        Arc::clone(listeners.entry(id.clone()).or_default())
    }
}

impl ListenerCells {
    /// Counts a connection.
    pub(crate) fn connection(&self) {
        self.connections.add(1);
    }

    /// Counts bytes: from clients, and to them.
    pub(crate) fn bytes(&self, received: u64, sent: u64) {
        self.bytes_received.add(received);
        self.bytes_sent.add(sent);
    }

    /// Counts a request; status 0 if the client went away before it got one.
    pub(crate) fn request(&self, status: u16, took: Duration) {
        let class = self.requests.get(usize::from(status / 100)).or(self.requests.first());
        if let Some(cell) = class {
            cell.add(1);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bits = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or_default();
        if let Some(cell) = self.durations.get(bits.min(DURATION_BUCKETS - 1)) {
            cell.add(1);
        }
        self.duration_sum.add(micros);
    }
}

/// All counts of the process at one moment.
#[derive(Clone, Debug, Default)]
pub struct MetricsSnapshot {
    /// What is counted for the whole process.
    pub counters: BTreeMap<Counter, u64>,
    /// What is counted by listener, of those that there are now.
    pub listeners: BTreeMap<ListenerId, ListenerCounts>,
    /// Requests that endpoints failed to serve, by word of failure.
    pub upstream_failures: BTreeMap<&'static str, u64>,
    /// The data plane's generation number; 0 before the first model.
    pub generation: u64,
}

impl MetricsSnapshot {
    /// Gives a count.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(&counter).copied().unwrap_or_default()
    }

    /// Adds a thread's counts; `exists` tells of which listeners. Cells of others are thrown away,
    /// so that listeners that come and go leave nothing behind.
    pub(crate) fn add(&mut self, metrics: &Metrics, exists: impl Fn(&ListenerId) -> bool) {
        for (counter, cell) in Counter::ALL.into_iter().zip(&metrics.counters) {
            *self.counters.entry(counter).or_default() += cell.read();
        }
        let mut listeners = metrics.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|id, _| exists(id));
        for (id, cells) in listeners.iter() {
            self.listeners.entry(id.clone()).or_default().add(cells);
        }
        let failures = metrics.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for (word, count) in failures.iter() {
            *self.upstream_failures.entry(word).or_default() += count;
        }
    }
}

/// The counts of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerCounts {
    /// Connections; of a UDP listener, sessions.
    pub connections: u64,
    /// Bytes from clients.
    pub bytes_received: u64,
    /// Bytes to clients.
    pub bytes_sent: u64,
    /// Requests by the first digit of their status; at 0 those whose client went away before.
    pub requests: [u64; 6],
    /// Requests by how long they took, see [`DURATION_BUCKETS`].
    pub durations: [u64; DURATION_BUCKETS],
    /// Sum of all durations, in microseconds.
    pub duration_sum_micros: u64,
}

impl ListenerCounts {
    fn add(&mut self, cells: &ListenerCells) {
        self.connections += cells.connections.read();
        self.bytes_received += cells.bytes_received.read();
        self.bytes_sent += cells.bytes_sent.read();
        for (count, cell) in self.requests.iter_mut().zip(&cells.requests) {
            *count += cell.read();
        }
        for (count, cell) in self.durations.iter_mut().zip(&cells.durations) {
            *count += cell.read();
        }
        self.duration_sum_micros += cells.duration_sum.read();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up_and_gone_listeners_forgotten() {
        let (here, gone) = (ListenerId::new("gateway/a/b/c"), ListenerId::new("gateway/a/b/d"));
        let mut sum = MetricsSnapshot::default();
        for _ in 0..2 {
            let metrics = Metrics::new();
            metrics.count(Counter::Connections);
            metrics.upstream_failure("connect");
            metrics.listener(&gone).connection();
            let cells = metrics.listener(&here);
            cells.bytes(3, 4);
            cells.request(404, Duration::from_micros(5));
            cells.request(0, Duration::from_secs(1 << 40));
            sum.add(&metrics, |id| *id == here);
        }
        assert_eq!(sum.counter(Counter::Connections), 2);
        assert_eq!(sum.counter(Counter::Panics), 0);
        assert_eq!(sum.upstream_failures.get("connect"), Some(&2));
        assert_eq!(sum.listeners.len(), 1);
        let counts = sum.listeners.get(&here).expect("it exists");
        assert_eq!((counts.bytes_received, counts.bytes_sent), (6, 8));
        assert_eq!(counts.requests, [2, 0, 0, 0, 2, 0]);
        assert_eq!(counts.durations.get(3), Some(&2), "4 to 7 microseconds");
        assert_eq!(counts.durations.last(), Some(&2));
    }
}
