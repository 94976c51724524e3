//! Certificates for the configuration stream, kept in Secrets: the authority beside the controller, and one
//! identity for each fleet beside it. Made and renewed by the leader alone.
//!
//! An authority that is due is followed by a new one; the old one stays trusted until the next change, so
//! that proxies and controller need not change at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fairway_model::GatewayId;
use fairway_stream::grpc::Identity;
use fairway_stream::identity::{Authority, IdentityError, Life, SERVER_NAME};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::FIELD_MANAGER;
use crate::drivers::fleet::FLEET;

/// The Secret of the authority, in the controller's namespace.
pub const AUTHORITY: &str = "fairway-ca";

const AUTHORITY_LIFETIME: Duration = Duration::from_hours(24 * 365);
const IDENTITY_LIFETIME: Duration = Duration::from_hours(24 * 30);

/// How often lifetimes are looked at.
const LOOK: Duration = Duration::from_mins(10);
/// How soon it is tried again when the API server refuses.
const RETRY: Duration = Duration::from_secs(2);

/// The identity of a fleet that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Whose part of the configuration it opens.
    pub gateway: GatewayId,
    /// Where the Secret is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels, annotations and owners, as in `metadata`.
    pub metadata: Value,
}

/// Keeps the certificates.
#[derive(Debug)]
pub struct Identities {
    wanted: watch::Sender<Arc<Vec<Wanted>>>,
    leading: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Identities {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Identities {
    /// Begins; gives the controller's own identity on the stream too, absent until there is one.
    #[must_use]
    pub fn start(client: Client, namespace: String) -> (Self, watch::Receiver<Option<Identity>>) {
        let (wanted, wanted_now) = watch::channel(Arc::new(Vec::new()));
        let (leading, leading_now) = watch::channel(false);
        let (identity, identity_now) = watch::channel(None);
        let keeper =
            Keeper { client, namespace, authority: None, known: BTreeMap::new(), identity };
        let task = tokio::spawn(keeper.keep(wanted_now, leading_now));
        (Self { wanted, leading, task }, identity_now)
    }

    /// Says which fleets need one from now on.
    pub fn want(&self, wanted: Vec<Wanted>) {
        self.wanted.send_if_modified(|known| {
            let changed = **known != wanted;
            if changed {
                *known = Arc::new(wanted);
            }
            changed
        });
    }

    /// Says whether this replica writes.
    pub fn set_leading(&self, leading: bool) {
        self.leading.send_replace(leading);
    }
}

/// Why a certificate is not there yet.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{action} Secret {namespace}/{name}: {source}")]
    Secret { action: &'static str, namespace: String, name: String, source: Box<kube::Error> },
    #[error(
        "Secret {namespace}/{name} exists, and Fairway has not made it: rename it, so that a Gateway's proxies get theirs"
    )]
    Foreign { namespace: String, name: String },
}

struct Keeper {
    client: Client,
    namespace: String,
    authority: Option<Trusted>,
    /// When the identities that there are end, and what their Secrets carry.
    known: BTreeMap<GatewayId, (Life, Value)>,
    identity: watch::Sender<Option<Identity>>,
}

/// The authority that signs, and all that are trusted.
struct Trusted {
    signs: Authority,
    all: String,
    /// Of the controller's own certificate.
    own: Option<Life>,
}

impl Keeper {
    async fn keep(
        mut self,
        mut wanted: watch::Receiver<Arc<Vec<Wanted>>>,
        mut leading: watch::Receiver<bool>,
    ) {
        loop {
            let mut pause = LOOK;
            if *leading.borrow_and_update() {
                let all = Arc::clone(&wanted.borrow_and_update());
                if let Err(error) = self.look(&all, SystemTime::now()).await {
                    tracing::warn!(%error, "certificates of the configuration stream");
                    pause = RETRY;
                }
            } else {
                // Another leader may renew it meanwhile.
                self.authority = None;
                self.known.clear();
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = wanted.changed() => if changed.is_err() { return },
                changed = leading.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn look(&mut self, wanted: &[Wanted], now: SystemTime) -> Result<(), KeepError> {
        let due = self.authority.as_ref().is_none_or(|trusted| trusted.signs.due(now));
        if due {
            self.authority = Some(self.read_or_make_authority(now).await?);
            self.known.clear();
        }
        let Some(trusted) = &mut self.authority else { return Ok(()) };
        if trusted.own.is_none_or(|life| life.due(now)) {
            let issued = trusted.signs.issue_server(&[SERVER_NAME], now, IDENTITY_LIFETIME)?;
            trusted.own = Some(issued.life);
            self.identity.send_replace(Some(Identity {
                certificate: issued.certificate,
                key: issued.key,
                authorities: trusted.all.clone(),
            }));
        }
        let names: BTreeSet<&GatewayId> = wanted.iter().map(|wanted| &wanted.gateway).collect();
        self.known.retain(|gateway, _| names.contains(gateway));
        let mut failed = Ok(());
        for wanted in wanted {
            let known = self.known.get(&wanted.gateway);
            if known.is_some_and(|(life, marks)| !life.due(now) && *marks == wanted.metadata) {
                continue;
            }
            // One fleet's trouble is not its neighbours'.
            match self.identify(trusted_ref(self.authority.as_ref()), wanted, now).await {
                Ok(life) => {
                    let known = (life, wanted.metadata.clone());
                    self.known.insert(wanted.gateway.clone(), known);
                }
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    async fn read_or_make_authority(&self, now: SystemTime) -> Result<Trusted, KeepError> {
        let failed = |action, source| self.failed(action, &self.namespace, AUTHORITY, source);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = secrets.get_opt(AUTHORITY).await.map_err(|e| failed("reading", e))?;
        let (mut before, mut version) = (String::new(), None);
        if let Some(secret) = &found {
            let (certificate, key) = (text(secret, "tls.crt"), text(secret, "tls.key"));
            let signs = Authority::from_pem(&certificate, &key)?;
            if !signs.due(now) {
                let all = format!("{certificate}{}", text(secret, "previous.crt"));
                return Ok(Trusted { signs, all, own: None });
            }
            before = certificate;
            version.clone_from(&secret.metadata.resource_version);
        }
        let signs = Authority::new(now, AUTHORITY_LIFETIME)?;
        let certificate = signs.certificate().to_owned();
        let secret: Secret = secret(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": AUTHORITY,
                "namespace": self.namespace,
                "resourceVersion": version,
                "labels": {"app.kubernetes.io/managed-by": "fairway"},
            },
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": certificate, "tls.key": signs.key(), "previous.crt": before},
        }));
        let post =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        // Both fail when somebody else was first: then theirs is read at the next try.
        if found.is_some() {
            secrets.replace(AUTHORITY, &post, &secret).await.map_err(|e| failed("replacing", e))?;
        } else {
            secrets.create(&post, &secret).await.map_err(|e| failed("creating", e))?;
        }
        Ok(Trusted { signs, all: format!("{certificate}{before}"), own: None })
    }

    async fn identify(
        &self,
        trusted: &Trusted,
        wanted: &Wanted,
        now: SystemTime,
    ) -> Result<Life, KeepError> {
        let Wanted { gateway, namespace, name, metadata } = wanted;
        let failed = |action, source| self.failed(action, namespace, name, source);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = secrets.get_opt(name).await.map_err(|e| failed("reading", e))?;
        if found.as_ref().is_some_and(|secret| !secret.labels().contains_key(FLEET)) {
            let (namespace, name) = (namespace.clone(), name.clone());
            return Err(KeepError::Foreign { namespace, name });
        }
        let (certificate, key, life) = match found {
            Some(secret)
                if text(&secret, "ca.crt") == trusted.all
                    && let Ok(life) = Life::of_pem(&text(&secret, "tls.crt"))
                    && !life.due(now) =>
            {
                if carries(&secret, metadata) {
                    return Ok(life);
                }
                (text(&secret, "tls.crt"), text(&secret, "tls.key"), life)
            }
            Some(_) | None => {
                let issued = trusted.signs.issue_proxy(gateway, now, IDENTITY_LIFETIME)?;
                (issued.certificate, issued.key, issued.life)
            }
        };
        let mut metadata = metadata.clone();
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(namespace);
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": certificate, "tls.key": key, "ca.crt": trusted.all},
        });
        let apply = PatchParams::apply(FIELD_MANAGER).force();
        secrets
            .patch(name, &apply, &Patch::Apply(body))
            .await
            .map_err(|source| failed("applying", source))?;
        Ok(life)
    }

    fn failed(
        &self,
        action: &'static str,
        namespace: &str,
        name: &str,
        source: kube::Error,
    ) -> KeepError {
        KeepError::Secret {
            action,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            source: Box::new(source),
        }
    }
}

fn trusted_ref(trusted: Option<&Trusted>) -> &Trusted {
    trusted.expect("the caller has just seen to it")
}

fn secret(value: &Value) -> Secret {
    serde_json::from_value(value.clone()).expect("the form above is a Secret's")
}

/// Says whether a Secret carries the labels and annotations that it shall, and has those owners and no others: one
/// with an owner goes with it.
fn carries(secret: &Secret, wanted: &Value) -> bool {
    let has = |field: &str, all: Option<&BTreeMap<String, String>>| {
        let wanted = wanted[field].as_object().into_iter().flatten();
        wanted.into_iter().all(|(name, value)| {
            all.and_then(|all| all.get(name)).is_some_and(|found| value == found.as_str())
        })
    };
    let of_wanted = |wanted: &Value| wanted["uid"].as_str().map(str::to_owned);
    let owners = secret.metadata.owner_references.iter().flatten();
    let owners: BTreeSet<_> = owners.map(|owner| Some(owner.uid.clone())).collect();
    has("labels", secret.metadata.labels.as_ref())
        && has("annotations", secret.metadata.annotations.as_ref())
        && owners
            == wanted["ownerReferences"].as_array().into_iter().flatten().map(of_wanted).collect()
}

/// Reads a PEM out of a Secret; empty when it is not there.
fn text(secret: &Secret, key: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    bytes.map(|ByteString(bytes)| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}
