//! The lab of each part: Fairway, a Gateway with two proxies, and a backend behind them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fairway_api::vendor::Version;

use crate::ask::Client;
use crate::running::{Cluster, WORLD};
use crate::watch::Watch;
use crate::write;

/// Between two looks at what is waited for.
const STEP: Duration = Duration::from_millis(20);
/// How long everything may take to settle: a bound, far beyond what is measured.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long nothing may be written for everything to have settled.
const STILL: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) routes: Watch,
    pub(crate) gateways: Watch,
    pub(crate) client: Client,
}

impl World {
    pub(crate) fn start() -> Result<Self> {
        eprintln!("starting a lab");
        let cluster = Cluster::with("bench", Version::V1_6_3);
        cluster.apply(WORLD);
        cluster.until("two proxies and a backend", |cluster| {
            cluster.get("deployments", "{.items[*].status.readyReplicas}") == "1 2"
                && !cluster.get("gateway/web", "{.status.addresses[0].value}").is_empty()
        });
        let address = cluster.get("gateway/web", "{.status.addresses[0].value}");
        let address = SocketAddr::new(address.parse()?, 80);
        let namespace = cluster.lab.namespace();
        let watch = |path| Watch::start(namespace, cluster.lab.kubeconfig(), path);
        let (routes, gateways) = (watch(write::ROUTES), watch(write::GATEWAYS));
        let client = Client::start(namespace, address);
        let world = Self { cluster, routes, gateways, client };
        world.until("the watch of Gateways", || world.gateways.of("web").is_some())?;
        Ok(world)
    }

    /// Runs work with a client of the API server, inside the lab.
    pub(crate) fn inside<T: Send>(
        &self,
        work: impl AsyncFnOnce(kube::Client) -> Result<T> + Send,
    ) -> Result<T> {
        let kubeconfig = self.cluster.lab.kubeconfig();
        self.cluster.lab.namespace().run(|| {
            write::alone(async {
                let client = write::client(kubeconfig).await?;
                work(client).await
            })
        })?
    }

    /// Waits until it is so.
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > deadline {
                bail!(
                    "waited in vain for {what}; the controller's log is {:?}",
                    self.cluster.log()
                );
            }
            std::thread::sleep(STEP);
        }
        Ok(())
    }

    /// Waits until every one of so many routes is live, the Gateway counts them, and nothing is written any more.
    pub(crate) fn settle(&self, routes: usize) -> Result<()> {
        let attached = u32::try_from(routes)?;
        self.until("the Gateway's count of its routes", || {
            self.attached().is_some_and(|(count, _)| count == attached)
        })?;
        self.until("every route to be live", || {
            let all = self.routes.all();
            all.len() == routes && all.iter().all(|seen| seen.live.is_some())
        })?;
        let written = || -> u32 {
            let all = self.routes.all().into_iter().chain(self.gateways.all());
            all.map(|seen| seen.writes).sum()
        };
        let (mut last, mut since) = (written(), Instant::now());
        let deadline = since + PATIENCE;
        while since.elapsed() < STILL && Instant::now() < deadline {
            std::thread::sleep(STEP);
            let now = written();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Gives how many routes the Gateway counts, and since when.
    pub(crate) fn attached(&self) -> Option<(u32, Instant)> {
        self.gateways.of("web").and_then(|seen| seen.attached)
    }

    /// Gives the controller's metrics.
    pub(crate) fn metrics(&self) -> String {
        let mut curl = self.cluster.command("curl");
        let output = curl.args(["--silent", "http://127.0.0.1:9900/metrics"]).output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    }
}
