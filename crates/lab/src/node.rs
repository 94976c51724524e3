//! A node without containers: pods as processes in network namespaces.
//!
//! It does what a kubelet does, as far as a pod can tell: binding, network, root, volumes,
//! environment, probes, logs, restarts and deletion. An image's name leads to a program of the
//! machine. It runs inside the lab's network namespace: every thread of its runtime has to be there.

mod container;
pub mod dns;
mod environment;
mod ground;
mod hosts;
mod launch;
pub mod leftovers;
mod logs;
mod network;
mod object;
mod pod;
mod privilege;
mod probe;
mod root;
mod server;
mod sockets;
mod status;
mod sync;
mod sys;
mod volume;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ipnet::Ipv4Net;
use kube::Client;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use ground::Ground;

/// So many pods are built at once.
const AT_ONCE: usize = 8;

/// What a node is started with.
#[derive(Clone)]
pub struct Settings {
    /// The API server, with every right.
    pub client: Client,
    /// The API server as pods reach it (`KUBERNETES_SERVICE_HOST` and `_PORT`).
    pub api_server: SocketAddr,
    /// The lab's name: part of the names of namespaces, so that leftovers are found. Letters, digits and `-`.
    pub lab: String,
    /// The node's name.
    pub name: String,
    /// Where volumes and logs stand. Made if it is not there; pods' parts of it go with them.
    pub directory: PathBuf,
    /// The bridge that pods are joined to.
    pub bridge: String,
    /// The pods' addresses. The first is the bridge's, and the node's.
    pub pod_range: Ipv4Net,
    /// The programs behind images, by the image's last name without tag: `echo-basic`, `fairway`.
    pub images: BTreeMap<String, Program>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("lab", &self.lab)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What an image stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The program's file on this machine.
    pub path: PathBuf,
    /// Arguments that are always there, before any other (an image's entrypoint without the program).
    pub entrypoint: Vec<String>,
    /// Arguments when the container gives none.
    pub args: Vec<String>,
    /// The user it runs as when the pod names none; root if there is none either.
    pub user: Option<u32>,
}

impl Program {
    /// A program without arguments, run by root.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

/// Why a node cannot work.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A program could not be started.
    #[error("start `{program}`: {cause}; it comes with the Debian package iproute2")]
    Start {
        /// The program.
        program: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// A pod's network was refused.
    #[error("build the network of a pod: {message}; the lab needs root")]
    Network {
        /// What `ip` said.
        message: String,
    },
    /// No address is free.
    #[error("no free address for a pod in {range}")]
    Full {
        /// The range.
        range: Ipv4Net,
    },
    /// A directory could not be made.
    #[error("make directory {}: {cause}", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The node's server could not be bound.
    #[error("bind the node's server to {address}: {cause}; does the bridge have this address?")]
    Bind {
        /// Where.
        address: IpAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The API server refused the node.
    #[error("register node {name}: {cause}")]
    Register {
        /// The node.
        name: String,
        /// What the API server said.
        cause: Box<kube::Error>,
    },
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    ground: Arc<Ground>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
}

impl Node {
    /// Registers the node and runs its pods from then on.
    ///
    /// # Errors
    ///
    /// When directories, the server or the node's object cannot be made.
    pub async fn start(settings: Settings) -> Result<Self, NodeError> {
        ground::make_directories(&settings)?;
        let networks = Arc::new(network::Networks::new(
            settings.lab.clone(),
            settings.bridge.clone(),
            settings.pod_range,
        ));
        let address = networks.gateway();
        let refused = |cause| NodeError::Bind { address: address.into(), cause };
        let server =
            server::Server::bind(address, settings.directory.clone()).await.map_err(refused)?;
        let port = server.port().map_err(refused)?;
        let (client, name) = (settings.client.clone(), settings.name.clone());
        object::register(&client, &name, address, port)
            .await
            .map_err(|cause| NodeError::Register { name: name.clone(), cause: Box::new(cause) })?;
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve());
        tasks.spawn(object::keep(client.clone(), name, address, port));
        let (secrets, config_maps, changed) = sync::follow_sources(&mut tasks, &client);
        sync::follow_services(&mut tasks, &client, settings.directory.join("names"));
        let starting = Semaphore::new(AT_ONCE);
        let ground = Arc::new(Ground {
            settings,
            networks,
            secrets,
            config_maps,
            changed,
            closing: AtomicBool::new(false),
            starting,
        });
        let (stop, stopping) = watch::channel(false);
        let (ended, stopped) = watch::channel(false);
        tasks.spawn(sync::run(Arc::clone(&ground), stopping, ended));
        Ok(Self { ground, tasks, stop, stopped })
    }

    /// Ends every pod at once, without grace, and takes the node away. Pods' objects stay.
    pub async fn stop(mut self) {
        self.ground.closing.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        // Fails when the task is gone, which is what is waited for.
        drop(self.stopped.wait_for(|stopped| *stopped).await.map(|_| ()));
        self.tasks.shutdown().await;
        object::remove(&self.ground.settings.client, &self.ground.settings.name).await;
    }
}
