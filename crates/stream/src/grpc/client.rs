//! A proxy's end: follows its controller, whoever that is now, and connects again when it is gone.

mod connection;
mod follow;

use std::path::PathBuf;
use std::sync::Arc;

use fairway_model::{Feature, Features, GatewayId, Model};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::holding::Holding;
use crate::{Ack, Closed, Update};

/// Whom to follow, and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the controller is: `host:port`.
    pub controller: String,
    /// The name in its certificate; [`crate::identity::SERVER_NAME`] but for tests.
    pub server_name: String,
    /// Directory with `tls.crt`, `tls.key` and `ca.crt`, read again for each connection.
    pub identity: PathBuf,
    /// Whose proxy this is.
    pub gateway: GatewayId,
    /// What it calls itself, for people: its pod.
    pub name: String,
    /// Its release.
    pub version: String,
    /// What it understands: resources that use anything else are refused.
    pub known: Features,
}

impl Settings {
    /// Gives the settings of this release with all its features.
    #[must_use]
    pub fn new(controller: String, identity: PathBuf, gateway: GatewayId, name: String) -> Self {
        Self {
            controller,
            server_name: crate::identity::SERVER_NAME.to_owned(),
            identity,
            gateway,
            name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            known: Feature::ALL.iter().copied().collect(),
        }
    }
}

/// How the connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// Whether the controller's first update has come on the connection that stands.
    pub connected: bool,
    /// Connections that were made so far.
    pub connections: u64,
    /// How many listeners the last update left in the model; absent before the first one.
    pub listeners: Option<usize>,
    /// Resources that were received so far, removals not counted.
    pub received: u64,
    /// Why there is no connection.
    pub error: Option<String>,
}

/// Follows a controller until it is dropped.
#[derive(Debug)]
pub struct Client {
    task: JoinHandle<()>,
    connected: watch::Receiver<Connected>,
}

impl Client {
    /// Starts to follow, from the last good model. Must be called inside a runtime.
    #[must_use]
    pub fn start(settings: Settings, model: Arc<Model>) -> (Self, Subscriber) {
        // At most one step waits for the data plane; the controller waits as well.
        let (steps, incoming) = mpsc::channel(1);
        let (acks, outgoing) = watch::channel(None);
        let (told, connected) = watch::channel(Connected::default());
        let holding = Holding::new(Arc::clone(&model), settings.known.clone());
        let task = tokio::spawn(follow::run(follow::Follower {
            settings,
            holding,
            steps,
            acks: outgoing,
            told,
            count: 0,
        }));
        (Self { task, connected }, Subscriber { steps: incoming, acks, model })
    }

    /// Tells how the connection stands, now and later.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<Connected> {
        self.connected.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An update, and the model that it leads to.
struct Step {
    update: Update,
    model: Arc<Model>,
}

/// The data plane's end.
#[derive(Debug)]
pub struct Subscriber {
    steps: mpsc::Receiver<Step>,
    acks: watch::Sender<Option<Ack>>,
    model: Arc<Model>,
}

impl crate::Subscriber for Subscriber {
    fn model(&self) -> &Arc<Model> {
        &self.model
    }

    async fn next(&mut self) -> Option<Update> {
        let Step { update, model } = self.steps.recv().await?;
        self.model = model;
        Some(update)
    }

    /// Only the newest one counts: it says everything.
    async fn acknowledge(&mut self, ack: Ack) -> Result<(), Closed> {
        self.acks.send(Some(ack)).map_err(|_gone| Closed)
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step").field("sequence", &self.update.sequence).finish_non_exhaustive()
    }
}
