//! The Service forwarder: addresses of Services lead to ready endpoints, by nftables.
//!
//! It answers for ClusterIPs, `status.loadBalancer` addresses and `externalIPs`, over TCP and UDP, in
//! the network namespace that it runs in. A flow stays with the endpoint it began with until it
//! closes: the kernel's connection tracking remembers it, whatever the rules say later.

mod conntrack;
mod nft;
mod rules;

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use crate::retry::Soon;
use futures::{StreamExt, TryStreamExt};
use ipnet::Ipv4Net;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, reflector, watcher},
};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    sync::{mpsc, watch},
    task::JoinSet,
};

pub use rules::{Backends, Endpoint, Frontend, Protocol, Rules, rules};

/// How long changes are collected before they are applied together.
const COALESCE: Duration = Duration::from_millis(20);

/// How long to wait after `nft` refused a change, before the whole table is written anew.
const RETRY: Duration = Duration::from_secs(1);

/// What the forwarder has to know of the network it stands in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// ClusterIPs.
    pub services: Ipv4Net,
    /// Addresses that load balancers hand out.
    pub load_balancers: Ipv4Net,
    /// The address that this namespace's own connections to either come from: the bridge's.
    pub source: Ipv4Addr,
}

/// Why the forwarder cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// A program could not be started.
    #[error("start `{program}`: {cause}; it comes with the Debian package {package}")]
    Start {
        /// The program.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A program ended with an error.
    #[error("`{program}` refused {what}: {message}")]
    Refused {
        /// The program.
        program: &'static str,
        /// What it was asked for.
        what: String,
        /// The last thing it said.
        message: String,
    },
    /// A kernel setting could not be written.
    #[error("write {path}: {cause}; the lab needs root and a network namespace of its own")]
    Sysctl {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// A running forwarder; it stops when it is dropped, and its rules stay until the namespace goes.
#[derive(Debug)]
pub struct Forwarder {
    tasks: JoinSet<()>,
    applied: watch::Receiver<u64>,
}

impl Forwarder {
    /// Prepares routes and kernel settings of the present network namespace, and follows Services
    /// and EndpointSlices from then on.
    ///
    /// # Errors
    ///
    /// When the routes, the settings or the empty table cannot be written.
    pub async fn start(client: Client, settings: Settings) -> Result<Self, ForwardError> {
        prepare_kernel()?;
        prepare_routes(&settings).await?;
        nft(&nft::base()).await?;
        let (dirty, changes) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let services = follow::<Service>(&mut tasks, client.clone(), dirty.clone());
        let slices = follow::<EndpointSlice>(&mut tasks, client, dirty);
        let (report, applied) = watch::channel(0);
        tasks.spawn(apply(services, slices, changes, report));
        Ok(Self { tasks, applied })
    }

    /// Counts the changes that are in the kernel; for whoever waits for one.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }

    /// Stops following the cluster.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Keeps a copy of all objects of one kind and says when it changed.
fn follow<K>(
    tasks: &mut JoinSet<()>,
    client: Client,
    dirty: mpsc::Sender<()>,
) -> reflector::Store<K>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (reader, writer) = reflector::store();
    let stream =
        reflector(writer, watcher(Api::<K>::all(client), watcher::Config::default()).backoff(Soon));
    tasks.spawn(async move {
        let mut stream = std::pin::pin!(stream.into_stream());
        while let Some(event) = stream.next().await {
            match event {
                // Full means that a change is already announced.
                Ok(_) => drop(dirty.try_send(())),
                Err(error) => tracing::warn!("watch {}: {error}", K::kind(&())),
            }
        }
    });
    reader
}

/// The loop: collect, compute the rules, write what differs.
async fn apply(
    services: reflector::Store<Service>,
    slices: reflector::Store<EndpointSlice>,
    mut changes: mpsc::Receiver<()>,
    report: watch::Sender<u64>,
) {
    // Only errors when the writers are gone, which ends this task's channel as well.
    if services.wait_until_ready().await.is_err() || slices.wait_until_ready().await.is_err() {
        return;
    }
    let mut table = nft::Table::default();
    loop {
        let wanted = rules(&services.state(), &slices.state());
        let gone = table.lost_udp_endpoints(&wanted);
        if let Some(transaction) = table.change_to(wanted) {
            if let Err(error) = nft(&transaction).await {
                tracing::warn!("{error}; the table is written anew");
                table = nft::Table::default();
                tokio::time::sleep(RETRY).await;
                if let Err(error) = nft(&nft::empty()).await {
                    tracing::warn!("{error}");
                }
                continue;
            }
            conntrack::forget(&gone);
            report.send_modify(|count| *count += 1);
        }
        if changes.recv().await.is_none() {
            return;
        }
        tokio::time::sleep(COALESCE).await;
        // What came meanwhile is in the copies already.
        while changes.try_recv().is_ok() {}
    }
}

async fn nft(transaction: &str) -> Result<(), ForwardError> {
    let start = |cause| ForwardError::Start { program: "nft", package: "nftables", cause };
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let mut input = child.stdin.take().expect("stdin was asked to be a pipe");
    let written = input.write_all(transaction.as_bytes()).await;
    drop(input);
    let output = child.wait_with_output().await.map_err(start)?;
    // A refused transaction closes the pipe early: what nft says is the better message.
    if output.status.success() && written.is_ok() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr)
        .lines()
        .next()
        .unwrap_or("no reason given")
        .to_owned();
    Err(ForwardError::Refused { program: "nft", what: "a change of the rules".to_owned(), message })
}

/// Addresses of Services are local here, so that a port nobody forwards is refused at once, and
/// connections of this namespace come from the bridge's address and not from the Service's own.
async fn prepare_routes(settings: &Settings) -> Result<(), ForwardError> {
    for range in [settings.services, settings.load_balancers] {
        let (range, source) = (range.trunc().to_string(), settings.source.to_string());
        let arguments = ["route", "replace", "local", &range, "dev", "lo", "src", &source];
        let output =
            Command::new("ip").args(arguments).output().await.map_err(|cause| {
                ForwardError::Start { program: "ip", package: "iproute2", cause }
            })?;
        if !output.status.success() {
            return Err(ForwardError::Refused {
                program: "ip",
                what: arguments.join(" "),
                message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
    }
    Ok(())
}

fn prepare_kernel() -> Result<(), ForwardError> {
    let write = |path: &str, value: &str| {
        std::fs::write(path, value)
            .map_err(|cause| ForwardError::Sysctl { path: path.to_owned(), cause })
    };
    write("/proc/sys/net/ipv4/ip_forward", "1")?;
    // Pods reach each other through this namespace although they share a bridge: no word about it.
    write("/proc/sys/net/ipv4/conf/all/send_redirects", "0")?;
    write("/proc/sys/net/ipv4/conf/default/send_redirects", "0")?;
    // Frames on the bridge are not for these rules; absent where the kernel has no such filter.
    let bridge_filter = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if std::path::Path::new(bridge_filter).exists() {
        write(bridge_filter, "0")?;
    }
    Ok(())
}
