//! The data plane as a whole: started, given models, drained, stopped.

mod control;
mod thread;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fairway_model::{ClusterId, Delta, ListenerId, Model, SecretId};
use tokio::sync::watch;

use crate::metrics::{Metrics, MetricsSnapshot};
use crate::settings::{Limits, Settings};
use crate::worker::Room;
use control::Control;
use thread::{Order, Threads};

/// A running data plane. Dropping it stops it.
pub struct Proxy {
    shared: Arc<Shared>,
    data: Vec<JoinHandle<()>>,
    /// Dropped to end `retry`.
    retrying: Option<mpsc::Sender<()>>,
    retry: Option<JoinHandle<()>>,
}

struct Shared {
    settings: Arc<Settings>,
    threads: Threads,
    metrics: Vec<Arc<Metrics>>,
    control: Mutex<Control>,
    outcomes: watch::Sender<Arc<Outcomes>>,
}

/// What became of each listener.
pub type Outcomes = BTreeMap<ListenerId, ListenerOutcome>;

/// What became of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerOutcome {
    /// It is reachable at all its addresses.
    Serving {
        /// The real ones, `--port-offset` included.
        addresses: Vec<SocketAddr>,
    },
    /// It is not served as the model says. A port in use is tried again from time to time.
    Failed {
        /// Names the listener, and says why in words for the user.
        error: String,
        /// Where it is reachable all the same.
        addresses: Vec<SocketAddr>,
    },
}

/// What became of a model.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Counts the models that were applied, from 1.
    pub generation: u64,
    /// What became of each listener.
    pub listeners: Arc<Outcomes>,
    /// Backends that cannot be reached as the model says, with the reason: requests for them fail.
    pub refused_clusters: BTreeMap<ClusterId, String>,
    /// Secrets that cannot be read, with the reason. What was read under the same Id before is
    /// used on.
    pub refused_secrets: BTreeMap<SecretId, String>,
}

/// Why the data plane could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There must be a thread.
    #[error("starting the data plane: the number of threads is zero")]
    NoThreads,
    /// The system gave no thread or no runtime.
    #[error("starting a data thread: {0}")]
    Thread(#[source] io::Error),
}

impl Proxy {
    /// Starts the data threads. Nothing is listened on before the first [`Self::apply`].
    ///
    /// # Errors
    /// The system has no resources for them.
    pub fn start(mut settings: Settings) -> Result<Self, StartError> {
        if settings.threads == 0 {
            return Err(StartError::NoThreads);
        }
        bound_connections(&mut settings.limits);
        let settings = Arc::new(settings);
        let metrics: Vec<_> = (0..settings.threads).map(|_| Arc::new(Metrics::new())).collect();
        let room = Arc::new(Room::new(&settings.limits));
        let (threads, data) = thread::start(&settings, &metrics, &room)?;
        let (outcomes, _) = watch::channel(Arc::default());
        let control = Mutex::new(Control::new(&settings));
        let shared = Arc::new(Shared { settings, threads, metrics, control, outcomes });
        let (retrying, stopped) = mpsc::channel();
        let retry = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("fairway-bind".to_owned())
                .spawn(move || shared.retry(&stopped))
                .map_err(StartError::Thread)?
        };
        Ok(Self { shared, data, retrying: Some(retrying), retry: Some(retry) })
    }

    /// Makes a model ready, has all threads take it over, and opens and closes sockets. `delta`
    /// must lead to `model` from the model applied before, or from the empty one.
    ///
    /// Blocks, for milliseconds, until every thread serves it. No request is lost by it.
    pub fn apply(&self, model: &Model, delta: &Delta) -> Applied {
        let mut control = self.shared.control();
        let refused = control.apply(model, delta, &self.shared.settings, &self.shared.threads);
        let listeners = self.shared.publish(&control);
        Applied {
            generation: control.generation().number,
            listeners,
            refused_clusters: refused.clusters,
            refused_secrets: refused.secrets,
        }
    }

    /// Tells what becomes of the listeners, also between two models: a port may become free.
    #[must_use]
    pub fn outcomes(&self) -> watch::Receiver<Arc<Outcomes>> {
        self.shared.outcomes.subscribe()
    }

    /// Gives the real addresses of each listener.
    #[must_use]
    pub fn bound(&self) -> BTreeMap<ListenerId, Vec<SocketAddr>> {
        let outcomes = Arc::clone(&self.shared.outcomes.borrow());
        let addresses = |outcome: &ListenerOutcome| match outcome {
            ListenerOutcome::Serving { addresses } | ListenerOutcome::Failed { addresses, .. } => {
                addresses.clone()
            }
        };
        outcomes.iter().map(|(id, outcome)| (id.clone(), addresses(outcome))).collect()
    }

    /// Adds up what all threads have counted.
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        let generation = Arc::clone(self.shared.control().generation());
        let mut sum =
            MetricsSnapshot { generation: generation.number, ..MetricsSnapshot::default() };
        for metrics in &self.shared.metrics {
            sum.add(metrics, |id| generation.listener(id).is_some());
        }
        sum
    }

    /// Takes no new connections, asks those that there are to end in good order, and waits until
    /// they have. After `deadline` whoever is left is cut off. Blocks so long.
    pub fn drain(&self, deadline: Duration) {
        self.shared.control().close();
        self.shared.threads.tell(|done| Order::Drain { deadline, done });
    }

    /// Ends all threads. Connections that there still are, are cut off.
    pub fn stop(self) {
        drop(self);
    }
}

/// A connection takes a file for the client and mostly one for the backend. When files run out,
/// requests fail; clients that wait a little do not.
fn bound_connections(limits: &mut Limits) {
    const OTHERS: u64 = 64;
    let Some(files) = crate::sys::raise_open_files() else { return };
    let affordable = usize::try_from(files.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX);
    if affordable < limits.connections {
        tracing::info!(
            "{files} open files allow {affordable} connections instead of {}",
            limits.connections
        );
        limits.connections = affordable.max(1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.retrying = None;
        self.shared.threads.stop();
        let threads = self.retry.take().into_iter().chain(self.data.drain(..));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the data plane panicked");
            }
        }
    }
}

impl Shared {
    fn control(&self) -> MutexGuard<'_, Control> {
        // What a panic left behind is a generation that was not taken over: the next one will be.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, control: &Control) -> Arc<Outcomes> {
        let outcomes = Arc::new(control.outcomes());
        self.outcomes.send_if_modified(|known| {
            let new = *known != outcomes;
            *known = Arc::clone(&outcomes);
            new
        });
        outcomes
    }

    /// Tries from time to time to bind what could not be.
    fn retry(&self, stopped: &mpsc::Receiver<()>) {
        let pause = self.settings.timeouts.bind_retry;
        while stopped.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
            let mut control = self.control();
            if control.retry(&self.settings, &self.threads) {
                self.publish(&control);
            }
        }
    }
}
