//! The data plane in this process, at the end of a stream: it takes updates, applies them, keeps the last
//! good model on disk, and acknowledges. Under `fairway run` the stream's other end is in this process too;
//! `fairway proxy` hangs it on the network.

mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{ListenerId, Model};
use fairway_proxy::{Applied, ListenerOutcome, Outcomes, Proxy};
use fairway_stream::in_process::{Publisher, connect};
use fairway_stream::store::Saver;
use fairway_stream::{Ack, Resource, Subscriber};
use prometheus_client::collector::Collector;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use fairway_proxy::{AccessLog, Settings, StartError};

use crate::view::{Bound, BoundListener};

/// A running data plane.
pub struct Embedded {
    proxy: Arc<Proxy>,
    task: JoinHandle<()>,
}

impl Embedded {
    /// Starts the data plane with a model, empty or the last good one, and gives the end of the stream
    /// that its next models go into. Each model that it serves goes to `saver`.
    ///
    /// # Errors
    /// The system has no resources for its threads.
    pub async fn start(
        settings: Settings,
        model: Arc<Model>,
        saver: Saver,
    ) -> Result<(Self, Publisher), StartError> {
        let (publisher, subscriber) = connect(model);
        // Here whoever publishes looks at the listeners for itself.
        let serving = Serving { subscriber, saver, tells_of_listeners: false };
        Ok((Self::serve(settings, serving).await?, publisher))
    }

    /// Starts the data plane with the subscriber's model, and follows it. What becomes of the listeners
    /// between two updates is acknowledged as well.
    ///
    /// # Errors
    /// The system has no resources for its threads.
    pub async fn follow(
        settings: Settings,
        subscriber: impl Subscriber,
        saver: Saver,
    ) -> Result<Self, StartError> {
        Self::serve(settings, Serving { subscriber, saver, tells_of_listeners: true }).await
    }

    async fn serve(
        settings: Settings,
        serving: Serving<impl Subscriber>,
    ) -> Result<Self, StartError> {
        let proxy = Arc::new(Proxy::start(settings)?);
        let model = Arc::clone(serving.subscriber.model());
        if *model != Model::default() {
            let first = fairway_model::delta::diff(&Model::default(), &model);
            apply(&proxy, &model, first).await;
        }
        let task = tokio::spawn(serving.run(Arc::clone(&proxy)));
        Ok(Self { proxy, task })
    }

    /// Gives what tells of the listeners, also between two models.
    #[must_use]
    pub fn listeners(&self) -> Listeners {
        Listeners(self.proxy.outcomes())
    }

    /// Gives what collects the data plane's counts.
    #[must_use]
    pub fn counts(&self) -> Box<dyn Collector> {
        let proxy = Arc::clone(&self.proxy);
        Box::new(metrics::Counts(move || proxy.metrics()))
    }

    /// Takes no new connections, lets those that there are end in good order, and ends. The stream's other end
    /// must be gone.
    pub async fn drain(self, deadline: Duration) {
        let Self { proxy, task } = self;
        let drained = tokio::task::spawn_blocking(move || proxy.drain(deadline)).await;
        if let Err(error) = drained {
            tracing::error!(%error, "draining the data plane");
        }
        // Its publisher is gone by now, so it ends by itself, the last model saved.
        if let Err(error) = task.await {
            tracing::error!(%error, "the data plane's task");
        }
    }
}

/// Tells where the listeners really are.
pub struct Listeners(watch::Receiver<Arc<Outcomes>>);

impl Listeners {
    /// Waits until something has changed; for ever when the data plane is gone.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Counts the listeners there are now, and those among them that are open somewhere.
    pub fn tally(&mut self) -> (usize, usize) {
        let now = self.now();
        (now.len(), now.values().filter(|listener| !listener.addresses.is_empty()).count())
    }

    /// Gives how it is now.
    pub(crate) fn now(&mut self) -> Bound {
        let outcomes = Arc::clone(&self.0.borrow_and_update());
        let one = |outcome: &ListenerOutcome| match outcome {
            ListenerOutcome::Serving { addresses } => {
                BoundListener { addresses: addresses.clone(), error: None }
            }
            ListenerOutcome::Failed { error, addresses } => {
                BoundListener { addresses: addresses.clone(), error: Some(error.clone()) }
            }
        };
        outcomes.iter().map(|(id, outcome)| (id.clone(), one(outcome))).collect()
    }
}

/// What the data plane's task works on.
struct Serving<S> {
    subscriber: S,
    saver: Saver,
    tells_of_listeners: bool,
}

impl<S: Subscriber> Serving<S> {
    /// Serves until the other end is gone, or applying a model panicked: then what is served goes on.
    async fn run(self, proxy: Arc<Proxy>) {
        let Self { mut subscriber, saver, tells_of_listeners } = self;
        let mut outcomes = proxy.outcomes();
        let mut ack = Ack::default();
        loop {
            tokio::select! {
                update = subscriber.next() => {
                    let Some(update) = update else { break };
                    let model = Arc::clone(subscriber.model());
                    ack.sequence = update.sequence;
                    // An empty update only asks how things stand; the first one, how those of the model
                    // stand that was there before.
                    if !update.delta.is_empty() || update.sequence == 1 {
                        let Some(applied) = apply(&proxy, &model, update.delta).await else { return };
                        saver.submit(model);
                        ack.refused = refused(&applied);
                    }
                }
                changed = outcomes.changed(), if tells_of_listeners => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
            ack.listeners = listeners(&outcomes.borrow_and_update());
            if subscriber.acknowledge(ack.clone()).await.is_err() {
                break;
            }
        }
        // Waits for the disk, away from the runtime's threads.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(saver)).await {
            tracing::error!(%error, "saving the last good model");
        }
    }
}

fn listeners(outcomes: &Outcomes) -> BTreeMap<ListenerId, Result<(), String>> {
    let one = |outcome: &ListenerOutcome| match outcome {
        ListenerOutcome::Serving { .. } => Ok(()),
        ListenerOutcome::Failed { error, .. } => Err(error.clone()),
    };
    outcomes.iter().map(|(id, outcome)| (id.clone(), one(outcome))).collect()
}

/// `None` when applying it panicked: then the data plane goes on with what it has.
async fn apply(
    proxy: &Arc<Proxy>,
    model: &Arc<Model>,
    delta: fairway_model::Delta,
) -> Option<Applied> {
    let (proxy, model) = (Arc::clone(proxy), Arc::clone(model));
    let applied = tokio::task::spawn_blocking(move || proxy.apply(&model, &delta)).await;
    match applied {
        Ok(applied) => Some(applied),
        Err(error) => {
            tracing::error!(%error, "applying a model");
            None
        }
    }
}

fn refused(applied: &Applied) -> BTreeMap<Resource, String> {
    let listeners = applied.listeners.iter().filter_map(|(id, outcome)| match outcome {
        ListenerOutcome::Serving { .. } => None,
        ListenerOutcome::Failed { error, .. } => {
            Some((Resource::Listener(id.clone()), error.clone()))
        }
    });
    let clusters = applied.refused_clusters.iter();
    let clusters = clusters.map(|(id, why)| (Resource::Cluster(id.clone()), why.clone()));
    let secrets = applied.refused_secrets.iter();
    let secrets = secrets.map(|(id, why)| (Resource::Secret(id.clone()), why.clone()));
    listeners.chain(clusters).chain(secrets).collect()
}
