//! The data plane in this process, at the end of a stream: it takes updates, applies them, keeps the last
//! good model on disk, and acknowledges. Under `fairway run` the stream's other end is in this process too;
//! `fairway proxy` hangs it on the network.

mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::delta::{self, Changes};
use fairway_model::{Delta, ListenerId, Model};
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
        let mut taken = Taken::default();
        if *model != Model::default() {
            let first = delta::diff(&Model::default(), &model);
            let applied = apply(&proxy, &model, first, Proxy::apply).await;
            taken.account(&model, applied.is_some());
        }
        let task = tokio::spawn(serving.run(Arc::clone(&proxy), taken, Proxy::apply));
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

/// How a model is applied: [`Proxy::apply`], or in a test something that fails.
type Apply = fn(&Proxy, &Model, &Delta) -> Applied;

/// What the data plane's task works on.
struct Serving<S> {
    subscriber: S,
    saver: Saver,
    tells_of_listeners: bool,
}

/// Which model the data plane has taken over, and which it could not.
#[derive(Default)]
struct Taken {
    served: Arc<Model>,
    /// What applying these left behind half-made is made anew with the next one.
    failed: Vec<Arc<Model>>,
}

impl Taken {
    fn account(&mut self, model: &Arc<Model>, applied: bool) {
        if applied {
            self.served = Arc::clone(model);
            self.failed.clear();
        } else {
            self.failed.push(Arc::clone(model));
            // The last ones are enough to know where to look; a fault that stays must not fill the memory.
            if self.failed.len() > FAILED {
                self.failed.remove(0);
            }
        }
    }

    /// Gives what leads to a model from what is served, whatever came in between.
    fn step(&self, model: &Model, delta: Delta) -> Delta {
        if self.failed.is_empty() {
            return delta;
        }
        let others = self.failed.iter().map(|failed| delta::diff(failed, model));
        others.fold(delta::diff(&self.served, model), join)
    }
}

/// Models that failed one after another and are remembered.
const FAILED: usize = 16;

fn join(one: Delta, other: Delta) -> Delta {
    fn both<K: Ord, V>(mut one: Changes<K, V>, other: Changes<K, V>) -> Changes<K, V> {
        one.put.extend(other.put);
        one.removed.extend(other.removed);
        one
    }
    Delta {
        gateways: both(one.gateways, other.gateways),
        listeners: both(one.listeners, other.listeners),
        routes: both(one.routes, other.routes),
        clusters: both(one.clusters, other.clusters),
        endpoints: both(one.endpoints, other.endpoints),
        secrets: both(one.secrets, other.secrets),
    }
}

impl<S: Subscriber> Serving<S> {
    /// Serves until the other end is gone. An update that cannot be applied for a fault of ours is refused
    /// as a whole: what is served goes on, and the next update is tried with all that has changed since.
    async fn run(self, proxy: Arc<Proxy>, mut taken: Taken, apply_one: Apply) {
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
                        let step = taken.step(&model, update.delta);
                        let applied = apply(&proxy, &model, step.clone(), apply_one).await;
                        taken.account(&model, applied.is_some());
                        if let Some(applied) = applied {
                            saver.submit(model);
                            ack.refused = refused(&applied);
                        } else {
                            ack.refused = all_refused(&step);
                        }
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

/// Everything that an update brings, because none of it is served.
fn all_refused(step: &Delta) -> BTreeMap<Resource, String> {
    let gateways = step.gateways.put.keys().cloned().map(Resource::Gateway);
    let listeners = step.listeners.put.keys().cloned().map(Resource::Listener);
    let routes = step.routes.put.keys().cloned().map(Resource::Route);
    let clusters = step.clusters.put.keys().cloned().map(Resource::Cluster);
    let secrets = step.secrets.put.keys().cloned().map(Resource::Secret);
    let all = gateways.chain(listeners).chain(routes).chain(clusters).chain(secrets);
    let why =
        "a fault of Fairway itself, which the proxy's log tells: what was served before goes on";
    all.map(|resource| (resource, why.to_owned())).collect()
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
    delta: Delta,
    apply_one: Apply,
) -> Option<Applied> {
    let (proxy, model) = (Arc::clone(proxy), Arc::clone(model));
    let applied = tokio::task::spawn_blocking(move || apply_one(&proxy, &model, &delta)).await;
    match applied {
        Ok(applied) => Some(applied),
        Err(error) => {
            tracing::error!(%error, "a fault of Fairway itself: an update is refused, what is served goes on");
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

#[cfg(test)]
mod tests {
    use fairway_model::{Gateway, GatewayId};
    use fairway_stream::store::Store;

    use super::*;

    fn model(names: &[&str]) -> Arc<Model> {
        let gateway = |name: &&str| {
            let gateway = Gateway {
                namespace: "shop".into(),
                name: (*name).into(),
                addresses: Vec::new(),
                client_certificate: None,
            };
            (GatewayId::new(*name), Arc::new(gateway))
        };
        let gateways = names.iter().map(gateway).collect();
        Arc::new(Model { gateways, ..Model::default() })
    }

    /// Fails for one model, and wants to be told everything that was in it.
    fn failing(proxy: &Proxy, model: &Model, delta: &Delta) -> Applied {
        assert!(!model.gateways.contains_key("bad"), "planted by a test");
        if model.gateways.contains_key("next") {
            assert!(delta.gateways.removed.contains("bad"), "{delta:?}");
            assert!(delta.gateways.put.contains_key("with-it"), "{delta:?}");
        }
        proxy.apply(model, delta)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_update_that_fails_is_refused_and_the_next_one_is_served() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let saver = Saver::start(store, |_error| {}).expect("a saver");
        let (mut publisher, subscriber) = connect(Arc::default());
        let serving = Serving { subscriber, saver, tells_of_listeners: false };
        let settings = Settings { threads: 1, ..Settings::default() };
        let proxy = Arc::new(Proxy::start(settings).expect("a data plane"));
        let task = tokio::spawn(serving.run(Arc::clone(&proxy), Taken::default(), failing));
        let mut refused = Vec::new();
        for names in [&["good"][..], &["bad", "good", "with-it"], &["good", "next", "with-it"]] {
            publisher.publish(model(names)).await.expect("it follows");
            let ack = publisher.acknowledged().await.expect("it follows on");
            refused.push(ack.refused.into_keys().map(|it| it.to_string()).collect::<Vec<_>>());
        }
        assert_eq!(refused[0], [""; 0]);
        assert_eq!(refused[1], ["bad", "with-it"]);
        assert_eq!(refused[2], [""; 0]);
        drop(publisher);
        task.await.expect("it ended in order");
        let kept = Store::open(folder.path()).and_then(|store| store.load()).expect("a store");
        let kept: Vec<String> =
            kept.expect("a model").gateways.keys().map(ToString::to_string).collect();
        assert_eq!(kept, ["good", "next", "with-it"]);
    }
}
