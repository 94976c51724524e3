//! The loop on a cluster: watches become a snapshot, a plan, updates of the fleets, and statuses.
//!
//! Every replica computes. Only the leader serves the configuration stream and writes to the cluster; what
//! the proxies serve goes on without any of them.

mod progress;
mod shown;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairway_model::delta::diff;
use fairway_model::{GatewayId, Model};
use fairway_stream::grpc::Identity;
use fairway_stream::grpc::server::Server;
use fairway_translate::address::Claiming;
use fairway_translate::status::{Account, News, Standing, current, remembered};
use fairway_translate::{Held, Kind, Name, Plan, Snapshot, translate};
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::admin::{self, Admin};
use crate::drivers::addresses::{self, Claimer};
use crate::drivers::fleet::{self, Fleet, Operator, fleets, left};
use crate::drivers::identity::{Identities, Wanted};
use crate::events::Reporter;
use crate::leader::{self, Campaign, Role};
use crate::metrics::cluster::ClusterFigures;
use crate::metrics::{self, Figures};
use crate::sources::cluster::{self as source, Source, Taken};
use crate::status::cluster::Writer;
use progress::Progress;
use shown::{Shown, State};

/// What to run on, and how.
#[derive(Clone)]
pub struct Options {
    /// The API server.
    pub client: Client,
    /// How objects are understood.
    pub translate: fairway_translate::Settings,
    /// What is watched.
    pub source: source::Settings,
    /// Who leads.
    pub leader: leader::Settings,
    /// What fleets are made of.
    pub fleet: fleet::Settings,
    /// Where proxies ask for their configuration.
    pub stream: SocketAddr,
    /// Where the admin endpoint listens; nowhere when absent.
    pub admin: Option<SocketAddr>,
    /// Where `/healthz` and `/readyz` are answered to everybody.
    pub health: SocketAddr,
}

/// How long statuses wait for the proxies' answer to a change, which comes within milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a plan waits for Secrets that it is the first to name.
const SECRETS_PATIENCE: Duration = Duration::from_secs(2);

/// Why a run cannot begin. Later failures are reported and overcome.
#[derive(Debug, thiserror::Error)]
#[error("listening on {address}: {source}; choose another address with {flag}")]
pub struct StartError {
    address: SocketAddr,
    flag: &'static str,
    source: std::io::Error,
}

/// Runs until `shutdown` is over. Proxies go on with what they have.
///
/// # Errors
/// It could not begin; see [`StartError`].
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let mut running = Running::start(options).await?;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            () = running.source.changed() => running.look(),
            () = heard(running.server.as_ref()) => running.heard(),
            () = running.operator.changed() => running.observed(),
            () = running.campaign.changed() => running.lead(),
            () = changed(&mut running.identity) => running.identify().await,
            () = overdue(running.due) => running.settle(),
            () = overdue(running.waiting) => running.serve_taken(),
        }
    }
    running.stop().await;
    Ok(())
}

struct Running {
    options: Options,
    source: Source,
    server: Option<Server>,
    operator: Operator,
    claimer: Claimer,
    identities: Identities,
    identity: watch::Receiver<Option<Identity>>,
    campaign: Campaign,
    role: Role,
    writer: Writer,
    reporter: Reporter,
    shown: Shown,
    figures: Figures,
    counted: ClusterFigures,
    endpoints: Vec<JoinHandle<()>>,
    /// What was taken and is not served yet: a plan waits for the Secrets that it is the first to name.
    taken: Option<Taken>,
    waiting: Option<Instant>,
    snapshot: Arc<Snapshot>,
    plan: Option<Arc<Plan>>,
    model: Arc<Model>,
    progress: Progress,
    account: Arc<Mutex<Account>>,
    sequence: u64,
    /// When statuses are written though the proxies have not answered.
    due: Option<Instant>,
    took: Duration,
}

impl Running {
    async fn start(options: Options) -> Result<Self, StartError> {
        let figures = Figures::default();
        let counted = ClusterFigures::default();
        let scrape = metrics::scrape_cluster(Arc::clone(&figures), counted.clone());
        let admin = Admin::new(Arc::new(scrape));
        let mut endpoints = vec![serve(admin.health_only(), options.health, "--health").await?];
        if let Some(address) = options.admin {
            endpoints.push(serve(admin.clone(), address, "--admin").await?);
        }
        let client = &options.client;
        let namespace = options.leader.namespace.clone();
        let (identities, identity) = Identities::start(client.clone(), namespace);
        let source = Source::start(client.clone(), options.source.clone());
        counted.expired(source.expired());
        Ok(Self {
            source,
            server: None,
            operator: Operator::start(client.clone(), options.fleet.clone()),
            claimer: Claimer::start(client.clone(), Arc::clone(&options.translate.controller_name)),
            identities,
            identity,
            campaign: Campaign::start(client.clone(), options.leader.clone()),
            role: Role::start(client.clone(), &options.leader),
            writer: Writer::start(client.clone()),
            reporter: Reporter::start(
                client.clone(),
                &options.translate.controller_name,
                &options.leader.identity,
            ),
            shown: Shown::new(admin),
            figures,
            counted,
            endpoints,
            taken: None,
            waiting: None,
            snapshot: Arc::default(),
            plan: None,
            model: Arc::default(),
            progress: Progress::default(),
            account: Arc::default(),
            sequence: 0,
            due: None,
            took: Duration::ZERO,
            options,
        })
    }

    /// Takes in what has changed, and serves it once its Secrets have been asked for.
    fn look(&mut self) {
        let mut taken = self.source.take();
        if let Some(before) = self.taken.take() {
            taken.noticed = taken.noticed.min(before.noticed);
        }
        self.taken = Some(taken);
        self.serve_taken();
    }

    fn serve_taken(&mut self) {
        let Some(taken) = self.taken.take() else {
            self.waiting = None;
            return;
        };
        self.options.translate.bundle_version.clone_from(&taken.bundle_version);
        self.learn_to_claim(&taken);
        let began = Instant::now();
        let Some(plan) = self.translate(&taken.snapshot) else { return };
        let translated = began.elapsed();
        self.source.want(plan.wanted.clone());
        let patient = self.waiting.is_none_or(|until| Instant::now() < until);
        if self.source.awaits() && patient {
            // To serve without a Secret that is there would close a listener for a moment.
            self.waiting.get_or_insert_with(|| Instant::now() + SECRETS_PATIENCE);
            self.taken = Some(taken);
            return;
        }
        self.waiting = None;
        let objects = u64::try_from(taken.objects).unwrap_or(u64::MAX);
        let first = self.plan.is_none();
        self.serve(&taken, plan);
        let rules = u64::try_from(self.model.routes.len()).unwrap_or(u64::MAX);
        if first {
            tracing::info!(objects, rules, ?translated, "the cluster is read");
        } else {
            tracing::debug!(objects, rules, ?translated, "a change");
        }
        metrics::update(&self.figures, |figures| {
            figures.changes += 1;
            figures.objects = objects;
            figures.rules = rules;
            figures.translate = translated;
        });
    }

    /// Says whether addresses can be claimed, as things are.
    fn learn_to_claim(&mut self, taken: &Taken) {
        let claiming = claiming(taken);
        if let Claiming::Impossible(why) = &claiming
            && self.options.translate.claims != claiming
        {
            tracing::warn!("no address can be claimed, so no Gateway gets a new one: {why}");
        }
        self.options.translate.claims = claiming;
    }

    /// `None` when our own code failed: then what was served goes on.
    fn translate(&self, snapshot: &Snapshot) -> Option<Plan> {
        let settings = &self.options.translate;
        let held = self.plan.as_ref().map_or_else(Held::new, |plan| plan.addresses.clone());
        let translation = || translate(snapshot, settings, &held, self.plan.as_deref());
        // A fault in a route's path is caught in there; this is the net for all else. What is shared with
        // the memo is immutable, so nothing half-made is left behind.
        let plan = std::panic::catch_unwind(std::panic::AssertUnwindSafe(translation));
        if plan.is_err() {
            tracing::error!("a fault of Fairway itself, see above; what was served goes on");
        }
        plan.ok()
    }

    fn serve(&mut self, taken: &Taken, plan: Plan) {
        let first = self.plan.is_none();
        self.snapshot = Arc::clone(&taken.snapshot);
        let model = Arc::new(plan.model.clone());
        let delta = diff(&self.model, &model);
        self.model = model;
        if first {
            let before = current(&self.snapshot);
            self.progress = Progress::begin(remembered(&plan, &self.options.translate, &before));
        }
        if let Some(server) = &self.server {
            self.sequence = server.publish(&self.model);
        }
        self.progress.sent(&self.model, &delta, self.sequence, taken.noticed);
        let fleets = fleets(&self.snapshot, &plan);
        self.identities.want(fleets.iter().map(wanted).collect());
        self.progress.reach(fleets.iter().map(|fleet| reachable(fleet, &self.snapshot)).collect());
        let settings = &self.options.translate;
        if settings.claims == Claiming::On {
            let due = addresses::due(&self.snapshot, &plan, &settings.controller_name);
            self.claimer.want(due);
        } else {
            self.claimer.want(Vec::new());
        }
        self.operator.want(fleets, left(&self.snapshot, &self.options.translate));
        self.plan = Some(Arc::new(plan));
        if let Some(server) = &self.server {
            self.progress.heard(&self.model, &server.proxies());
        }
        if delta.is_empty() || self.server.is_none() {
            self.settle();
        } else {
            // Written once, with what the proxies say, and not twice.
            self.due.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
    }

    /// Proxies have come, gone, or said something.
    fn heard(&mut self) {
        let Some(server) = &self.server else { return };
        let proxies = server.proxies();
        let took = self.progress.heard(&self.model, &proxies);
        self.counted.connected(proxies.iter().filter(|proxy| proxy.connected).count());
        self.counted.propagated(&took);
        if let Some(longest) = took.iter().max() {
            self.took = *longest;
            metrics::update(&self.figures, |figures| figures.served = *longest);
        }
        if self.due.is_none() || self.progress.is_settled(self.sequence) {
            self.settle();
        }
    }

    /// Something about fleets is new.
    fn observed(&mut self) {
        // What waits for the proxies' answer is written with it.
        if self.due.is_none() {
            self.settle();
        }
    }

    /// Writes statuses and shows how things stand.
    fn settle(&mut self) {
        self.due = None;
        let Some(plan) = self.plan.clone() else { return };
        self.progress.outcomes.fleets.clone_from(&self.operator.facts());
        let live = self.progress.take_touched();
        let news = News { live, written: self.writer.news(&self.snapshot) };
        let standing = Standing {
            snapshot: &self.snapshot,
            plan: &plan,
            settings: &self.options.translate,
            outcomes: &self.progress.outcomes,
        };
        let changes = locked(&self.account).follow(&standing, news, jiff::Timestamp::now());
        for change in &changes {
            if !plan.verdicts.contains_key(&change.key) {
                self.progress.forget(&change.key);
            }
        }
        self.writer.write(&changes, &self.snapshot);
        self.reporter.follow(&changes, &self.snapshot);
        self.show(&plan);
    }

    fn show(&mut self, plan: &Arc<Plan>) {
        let counts = self.writer.counts();
        metrics::update(&self.figures, |figures| figures.status_writes = counts.written);
        self.counted.settled(plan, counts);
        self.shown.show(&State {
            plan,
            model: &self.model,
            outcomes: &self.progress.outcomes,
            account: &self.account,
            took: self.took,
        });
    }

    /// This replica begins to write, or ends.
    fn lead(&mut self) {
        let leading = self.campaign.leads();
        self.identities.set_leading(leading);
        self.operator.set_leading(leading);
        self.claimer.set_leading(leading);
        if self.writer.set_leading(leading) {
            *locked(&self.account) = Account::default();
        }
        self.reporter.set_leading(leading);
        self.role.set_leading(leading);
        self.counted.leads(leading);
        if let Some(server) = &self.server {
            server.serving(leading);
        }
        self.settle();
    }

    /// There is a certificate to serve the stream with, for the first time or a new one.
    async fn identify(&mut self) {
        let Some(identity) = self.identity.borrow_and_update().clone() else { return };
        if let Some(server) = &self.server {
            if let Err(error) = server.identify(&identity) {
                tracing::error!(%error, "the configuration stream keeps its certificate");
            }
            return;
        }
        let address = self.options.stream;
        let started = match TcpListener::bind(address).await {
            Ok(listener) => Server::start(listener, &identity).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match started {
            Ok(server) => {
                server.serving(self.campaign.leads());
                if self.plan.is_some() {
                    self.sequence = server.publish(&self.model);
                }
                self.server = Some(server);
            }
            Err(error) => tracing::error!(error, "serving the configuration stream on {address}"),
        }
    }

    async fn stop(self) {
        // Another one may lead as soon as the Lease is given back: nothing of ours may write then.
        drop((self.operator, self.claimer, self.writer, self.reporter, self.identities));
        self.campaign.release().await;
        if let Some(server) = self.server {
            server.stop().await;
        }
        for endpoint in self.endpoints {
            endpoint.abort();
        }
    }
}

fn claiming(taken: &Taken) -> Claiming {
    let kind = Kind::AddressClaim;
    if taken.missing.contains(&kind) {
        let name = format!("{}.{}", kind.plural(), kind.group());
        let why = format!(
            "CustomResourceDefinition {name} is not installed: apply the chart's folder crds"
        );
        return Claiming::Impossible(why.into());
    }
    let denied = taken.denied.iter().find(|denied| denied.kind == kind);
    match denied {
        Some(denied) => Claiming::Impossible(denied.message.as_str().into()),
        None => Claiming::On,
    }
}

fn wanted(fleet: &Fleet) -> Wanted {
    Wanted {
        gateway: fleet.gateway.clone(),
        namespace: fleet.key.name.namespace.as_ref().to_owned(),
        name: fleet.identity(),
        metadata: fleet.metadata(),
    }
}

/// Gives the ports of a fleet that clients get to: its Service carries the addresses, and has a ready endpoint.
fn reachable(fleet: &Fleet, snapshot: &Snapshot) -> (GatewayId, BTreeSet<u16>) {
    let service = Name::new(Arc::clone(&fleet.key.name.namespace), fleet.name());
    let led = snapshot.services.get(&service).is_some_and(|service| {
        fleet.addresses.iter().all(|address| addresses::carries(service, *address))
    });
    if !led {
        return (fleet.gateway.clone(), BTreeSet::new());
    }
    let slices = snapshot.slices_of.get(&service).into_iter().flatten();
    let ready = slices.filter(|slice| {
        slice.endpoints.iter().any(|endpoint| endpoint.conditions.ready.unwrap_or(true))
    });
    let ports = ready.flat_map(|slice| slice.ports.iter().filter_map(|port| port.port));
    (fleet.gateway.clone(), ports.filter_map(|port| u16::try_from(port).ok()).collect())
}

async fn serve(
    admin: Admin,
    address: SocketAddr,
    flag: &'static str,
) -> Result<JoinHandle<()>, StartError> {
    let failed = |source| StartError { address, flag, source };
    let listener = admin::bind(address).await.map_err(failed)?;
    Ok(tokio::spawn(async move {
        if let Err(error) = admin.serve(listener).await {
            tracing::error!(%error, "the endpoint on {address}");
        }
    }))
}

async fn heard(server: Option<&Server>) {
    match server {
        Some(server) => server.changed().await,
        None => std::future::pending().await,
    }
}

async fn changed<T>(watched: &mut watch::Receiver<T>) {
    if watched.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn locked(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    // Whoever panicked with the lock held was the admin endpoint, which only reads.
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a moment; for ever when there is none.
async fn overdue(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::kind::decode;
    use serde_json::json;

    /// Gives the ports that clients get to, with a Service whose status is this.
    fn ports(status: &serde_json::Value) -> BTreeSet<u16> {
        let objects = [
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"namespace": "shop", "name": "web", "uid": "1"},
                "spec": {
                    "gatewayClassName": "fairway",
                    "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
                },
            }),
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"namespace": "shop", "name": "fairway-web"},
                "spec": {"ports": [{"port": 80}]}, "status": status,
            }),
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {
                    "namespace": "shop", "name": "fairway-web-1",
                    "labels": {"kubernetes.io/service-name": "fairway-web"},
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.0.0.1"]}],
                "ports": [{"port": 10080}],
            }),
        ];
        let snapshot = Snapshot::new(objects.map(|object| decode(object).expect("an object")));
        let settings = fairway_translate::Settings::for_files();
        let plan = translate(&snapshot, &settings, &Held::new(), None);
        let fleet = fleets(&snapshot, &plan).pop().expect("a fleet");
        assert_eq!(fleet.addresses.len(), 1);
        reachable(&fleet, &snapshot).1
    }

    #[test]
    fn clients_get_to_a_port_when_the_service_carries_the_address() {
        let none = json!({"loadBalancer": {}});
        assert!(ports(&none).is_empty(), "whoever is told the address is refused there");
        let other = json!({"loadBalancer": {"ingress": [{"ip": "127.64.0.9"}]}});
        assert!(ports(&other).is_empty());
        let carried = json!({"loadBalancer": {"ingress": [{"ip": "127.64.0.1"}]}});
        assert_eq!(ports(&carried), BTreeSet::from([10080]));
    }
}
