//! The lab's node and its Service forwarder, run together on threads inside the lab's network.
//!
//! For callers that are not inside themselves: tests, and `fairway-lab up`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::oneshot;

use crate::{
    control_plane,
    forward::{self, ForwardError, Forwarder},
    namespace::{BRIDGE, HOST, LOAD_BALANCERS, Namespace, NamespaceError, PODS, SERVICES},
    node::{self, Node, NodeError, Program},
};

/// What a worker is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The lab's name.
    pub lab: String,
    /// The lab's network.
    pub namespace: Namespace,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Where volumes and logs stand.
    pub directory: PathBuf,
    /// The programs behind images.
    pub images: BTreeMap<String, Program>,
}

/// Why a worker does not run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The network.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The kubeconfig.
    #[error("read {}: {cause}", path.display())]
    Kubeconfig {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The threads.
    #[error("start the threads of the lab's node: {0}")]
    Threads(std::io::Error),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The forwarder.
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

/// A running node with its forwarder. Dropping it ends all pods and both.
#[derive(Debug)]
pub struct Worker {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts both, and comes back when the node is registered.
    ///
    /// # Errors
    ///
    /// See [`WorkerError`].
    pub fn start(settings: Settings) -> Result<Self, WorkerError> {
        let (stop, stopped) = oneshot::channel();
        let (report, started) = mpsc::channel();
        let thread = thread::Builder::new().name("lab-node".to_owned()).spawn(move || {
            let inside = settings.namespace.clone();
            let from_inside = report.clone();
            if let Err(error) = inside.run(move || run(settings, &from_inside, stopped)) {
                report.send(Err(error.into())).unwrap_or_default();
            }
        });
        let thread = thread.map_err(WorkerError::Threads)?;
        let worker = Self { stop: Some(stop), thread: Some(thread) };
        let early = |_ended| Err(WorkerError::Threads(std::io::Error::other("they ended early")));
        started.recv().unwrap_or_else(early).map(|()| worker)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the lab's node ended by a panic");
        }
    }
}

fn run(
    settings: Settings,
    report: &mpsc::Sender<Result<(), WorkerError>>,
    stop: oneshot::Receiver<()>,
) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(WorkerError::Threads).and_then(|runtime| {
        runtime.block_on(async {
            let (node, forwarder) = start(settings).await?;
            report.send(Ok(())).unwrap_or_default();
            // Ends with an error when the sender is dropped: that is the sign.
            stop.await.unwrap_or_default();
            node.stop().await;
            forwarder.stop().await;
            Ok(())
        })
    });
    if let Err(error) = ended {
        report.send(Err(error)).unwrap_or_default();
    }
}

async fn start(settings: Settings) -> Result<(Node, Forwarder), WorkerError> {
    let path = settings.kubeconfig.clone();
    let client =
        client(&settings).await.map_err(|cause| WorkerError::Kubeconfig { path, cause })?;
    let forwarder = Forwarder::start(
        client.clone(),
        forward::Settings {
            services: SERVICES.parse().expect("a range"),
            load_balancers: LOAD_BALANCERS.parse().expect("a range"),
            source: HOST,
        },
    );
    let forwarder = forwarder.await?;
    let node = Node::start(node::Settings {
        client,
        api_server: (HOST, control_plane::PORT).into(),
        name: format!("{}-node", settings.lab),
        lab: settings.lab,
        directory: settings.directory,
        bridge: BRIDGE.to_owned(),
        pod_range: PODS.parse().expect("a range"),
        images: settings.images,
    });
    Ok((node.await?, forwarder))
}

async fn client(settings: &Settings) -> Result<Client, String> {
    let config = Kubeconfig::read_from(&settings.kubeconfig).map_err(|error| error.to_string())?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    Client::try_from(config.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}
