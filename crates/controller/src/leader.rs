//! Which replica writes: leader election on a Lease. Losing it ends nothing but the writing: every replica
//! goes on computing, and may lead again.

pub mod election;
mod role;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::FIELD_MANAGER;
use election::{Candidate, Seen, Step, Terms};

pub use role::{LABEL, Role};

/// Which Lease, and who asks for it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its namespace: the controller's own.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are: the name of the pod.
    pub identity: String,
    /// How long things last.
    pub terms: Terms,
}

/// A candidate at work. Dropped, it stands no more and gives nothing back.
#[derive(Debug)]
pub struct Campaign {
    leading: watch::Receiver<bool>,
    release: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Campaign {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Campaign {
    /// Begins to stand.
    #[must_use]
    pub fn start(client: Client, settings: Settings) -> Self {
        let (leads, leading) = watch::channel(false);
        let (release, released) = watch::channel(false);
        let api = Api::namespaced(client, &settings.namespace);
        let candidate = Candidate::new(settings.identity.clone(), settings.terms);
        let stand = Stand { api, settings, candidate, leads, failing: false };
        Self { leading, release, task: tokio::spawn(stand.run(released)) }
    }

    /// Waits until it is another who leads. Cancelling it loses nothing.
    pub async fn changed(&mut self) {
        if self.leading.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Says whether we lead.
    #[must_use]
    pub fn leads(&self) -> bool {
        *self.leading.borrow()
    }

    /// Gives the Lease back, so that the next one need not wait.
    pub async fn release(mut self) {
        self.release.send_replace(true);
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "leader election");
        }
    }
}

struct Stand {
    api: Api<Lease>,
    settings: Settings,
    candidate: Candidate,
    leads: watch::Sender<bool>,
    /// Whether the last look failed: said once, not every two seconds.
    failing: bool,
}

impl Stand {
    async fn run(mut self, mut released: watch::Receiver<bool>) {
        loop {
            let until = self.candidate.until();
            tokio::select! {
                () = self.look() => {}
                // Ends by itself while the API server does not answer.
                () = ended(until) => {}
                _ = released.changed() => {}
            }
            self.tell();
            if *released.borrow() {
                self.give_back().await;
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.candidate.retry()) => {}
                () = ended(self.candidate.until()) => self.tell(),
                _ = released.changed() => {}
            }
        }
    }

    fn tell(&self) {
        let leads = self.candidate.leads(Instant::now());
        let changed = self.leads.send_if_modified(|known| std::mem::replace(known, leads) != leads);
        if changed {
            tracing::info!(identity = self.settings.identity, leads, "leader election");
        }
    }

    async fn look(&mut self) {
        let Settings { namespace, name, .. } = &self.settings;
        let words = format!("leader election on Lease {namespace}/{name}");
        // What gets no answer would keep who does not lead from ever leading.
        let patience = self.settings.terms.renew;
        let looked = match tokio::time::timeout(patience, self.try_look()).await {
            Ok(looked) => looked,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        };
        match looked {
            Ok(()) => self.failing = false,
            // Another candidate was first, as is usual.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) if self.failing => tracing::debug!(%error, "{words}"),
            Err(error) => {
                self.failing = true;
                tracing::warn!(%error, "{words}; it is tried again, and nobody here writes meanwhile");
            }
        }
    }

    async fn try_look(&mut self) -> Result<(), kube::Error> {
        let found = self.api.get_opt(&self.settings.name).await?;
        let step = self.candidate.evaluate(found.as_ref().map(seen), Instant::now());
        let began = Instant::now();
        let post = post();
        let written = match (step, found) {
            (Step::Wait, _) => return Ok(()),
            (_, None) => self.api.create(&post, &self.lease(None, step)).await?,
            (_, Some(lease)) => {
                let lease = self.lease(Some(lease), step);
                self.api.replace(&self.settings.name, &post, &lease).await?
            }
        };
        let version = written.metadata.resource_version.unwrap_or_default();
        self.candidate.wrote(version, began, Instant::now());
        Ok(())
    }

    /// Writes ourselves into a Lease. It carries the version that was read, so that only one of two wins.
    fn lease(&self, before: Option<Lease>, step: Step) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = before.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                namespace: Some(self.settings.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Lease::default()
        });
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if step != Step::Renew {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = Some(self.settings.identity.clone());
        let seconds = self.settings.terms.lease.as_secs();
        spec.lease_duration_seconds = i32::try_from(seconds).ok();
        spec.renew_time = Some(now);
        lease
    }

    /// Done only by a leader: otherwise it is another's to give.
    async fn give_back(self) {
        if !self.candidate.leads(Instant::now()) {
            return;
        }
        self.leads.send_replace(false);
        let given = async {
            let Some(mut lease) = self.api.get_opt(&self.settings.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
            if spec.holder_identity.as_deref() != Some(self.settings.identity.as_str()) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            self.api.replace(&self.settings.name, &post(), &lease).await.map(drop)
        };
        let given: Result<Result<(), kube::Error>, _> =
            tokio::time::timeout(Duration::from_secs(2), given).await;
        match given {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "giving back the Lease"),
            Err(error) => tracing::warn!(%error, "giving back the Lease"),
        }
    }
}

fn post() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Seen {
        holder: spec.holder_identity.unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        lease: seconds.map(Duration::from_secs),
    }
}

async fn ended(until: Option<Instant>) {
    match until {
        Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
        Some(_) | None => std::future::pending().await,
    }
}
