//! Does what is due about claims. Before something is taken away the cluster is asked once more: what was seen of
//! it may be a moment old.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fairway_api::own::address::{AddressClaimSpec, claim_name};
use fairway_translate::Kind;
use futures::StreamExt;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{CONTROLLER, Left, MANAGED_BY, Step};
use crate::FIELD_MANAGER;

/// Steps that are under way at once.
const AT_ONCE: usize = 8;
/// How long the API server may take for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon a step is taken again that is still due.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes and deletes claims until it is dropped.
#[derive(Debug)]
pub struct Claimer {
    due: watch::Sender<Arc<Vec<Step>>>,
    leading: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Claimer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Claimer {
    /// Begins. Nothing is written until this replica leads. `controller` is our name.
    #[must_use]
    pub fn start(client: Client, controller: Arc<str>) -> Self {
        let (due, due_now) = watch::channel(Arc::default());
        let (leading, leading_now) = watch::channel(false);
        let work = Work { client, controller, tried: Vec::new() };
        let task = tokio::spawn(work.run(due_now, leading_now));
        Self { due, leading, task }
    }

    /// Says what is due from now on.
    pub fn want(&self, steps: Vec<Step>) {
        self.due.send_if_modified(|known| {
            let changed = **known != steps;
            if changed {
                *known = Arc::new(steps);
            }
            changed
        });
    }

    /// Says whether this replica writes.
    pub fn set_leading(&self, leading: bool) {
        self.leading.send_replace(leading);
    }
}

struct Work {
    client: Client,
    controller: Arc<str>,
    /// What was tried, when, and what was in the way.
    tried: Vec<(Step, Instant, Option<String>)>,
}

impl Work {
    async fn run(
        mut self,
        mut due: watch::Receiver<Arc<Vec<Step>>>,
        mut leading: watch::Receiver<bool>,
    ) {
        loop {
            let steps = Arc::clone(&due.borrow_and_update());
            let leads = *leading.borrow_and_update();
            if leads {
                self.take_all(&steps).await;
            } else {
                self.tried.clear();
            }
            let again = async {
                if leads && !steps.is_empty() {
                    tokio::time::sleep(AGAIN).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = again => {}
                changed = due.changed() => if changed.is_err() { return },
                changed = leading.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn take_all(&mut self, steps: &[Step]) {
        self.tried.retain(|(step, _, _)| steps.contains(step));
        let recent = |step: &&Step| {
            let mut tried = self.tried.iter();
            tried.any(|(known, at, _)| known == *step && at.elapsed() < AGAIN)
        };
        let todo: Vec<Step> = steps.iter().filter(|step| !recent(step)).cloned().collect();
        let one = |step: Step| {
            let (client, controller) = (self.client.clone(), Arc::clone(&self.controller));
            async move {
                let answer = tokio::time::timeout(PATIENCE, take(&client, &controller, &step));
                let trouble = match answer.await {
                    Ok(Ok(())) => None,
                    Ok(Err(trouble)) => Some(trouble.to_string()),
                    Err(_elapsed) => Some("the API server does not answer".to_owned()),
                };
                (step, trouble)
            }
        };
        let all = futures::stream::iter(todo).map(one).buffer_unordered(AT_ONCE);
        for (step, trouble) in all.collect::<Vec<_>>().await {
            let before = self.tried.iter().position(|(known, _, _)| *known == step);
            let before = before.and_then(|at| self.tried.swap_remove(at).2);
            if let Some(trouble) = trouble.as_ref().filter(|now| before.as_ref() != Some(*now)) {
                tracing::warn!("{}: {trouble}; it is tried again", shown(&step));
            }
            self.tried.push((step, Instant::now(), trouble));
        }
    }
}

fn shown(step: &Step) -> String {
    match step {
        Step::Claim(spec) => {
            let owner = &spec.owner;
            format!(
                "claiming {} for {} {}/{}",
                spec.address, owner.kind, owner.namespace, owner.name
            )
        }
        Step::Withdraw(left) => {
            let Left { owner, service, .. } = left;
            format!("deleting Service {}/{service} of {owner}, which is gone", owner.name.namespace)
        }
        Step::Release { left, .. } => format!("giving up {} of {}", left.address, left.owner),
    }
}

async fn take(client: &Client, controller: &str, step: &Step) -> Result<(), kube::Error> {
    match step {
        Step::Claim(spec) => claim(client, controller, spec).await,
        Step::Withdraw(left) => {
            if !is_gone(client, left).await? {
                return Ok(());
            }
            let Some(service) = service(client, left).await? else { return Ok(()) };
            let owners = service.owner_references();
            let is_its = owners
                .iter()
                .any(|owner| owner.controller == Some(true) && owner.uid == left.owner_uid);
            if !is_its {
                return Ok(());
            }
            tracing::info!("{}", shown(step));
            let api = api(client, Kind::Service, &left.owner.name.namespace);
            delete(&api, &left.service, service.metadata.uid).await
        }
        Step::Release { uid, left, gone, inherited } => {
            if *gone && !is_gone(client, left).await? {
                return Ok(());
            }
            let service = service(client, left).await?;
            let carries = |service: &DynamicObject| carries(&service.data, left.address);
            if !inherited && service.as_ref().is_some_and(carries) {
                return Ok(());
            }
            tracing::info!("{}", shown(step));
            let api = api(client, Kind::AddressClaim, "");
            delete(&api, &claim_name(left.address), Some(uid.clone())).await
        }
    }
}

async fn claim(
    client: &Client,
    controller: &str,
    spec: &AddressClaimSpec,
) -> Result<(), kube::Error> {
    let Ok(address) = spec.address.parse() else { return Ok(()) };
    let object = json!({
        "apiVersion": Kind::AddressClaim.api_version(),
        "kind": Kind::AddressClaim.name(),
        "metadata": {
            "name": claim_name(address),
            "labels": {MANAGED_BY: "fairway"},
            "annotations": {CONTROLLER: controller},
        },
        "spec": spec,
    });
    let object: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    let post =
        PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match api(client, Kind::AddressClaim, "").create(&post, &object).await {
        // Somebody has it already: the watch shows who, and another one is chosen then.
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

/// Says whether the owner exists no more; one of its name that came later does not count.
async fn is_gone(client: &Client, left: &Left) -> Result<bool, kube::Error> {
    let api = api(client, left.owner.kind, &left.owner.name.namespace);
    let found = api.get_opt(&left.owner.name.name).await?;
    Ok(found.is_none_or(|object| object.metadata.uid.as_deref() != Some(&left.owner_uid)))
}

async fn service(client: &Client, left: &Left) -> Result<Option<DynamicObject>, kube::Error> {
    api(client, Kind::Service, &left.owner.name.namespace).get_opt(&left.service).await
}

fn carries(service: &Value, address: IpAddr) -> bool {
    let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    let mut addresses = ingress.into_iter().flatten().filter_map(|one| one["ip"].as_str());
    addresses.any(|ip| ip.parse::<IpAddr>().is_ok_and(|ip| ip == address))
}

fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    let api_version = kind.api_version();
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.name().to_owned(),
        plural: kind.plural().to_owned(),
        api_version: api_version.clone(),
    };
    if kind.is_namespaced() {
        Api::namespaced_with(client.clone(), namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    }
}

async fn delete(
    api: &Api<DynamicObject>,
    name: &str,
    uid: Option<String>,
) -> Result<(), kube::Error> {
    let preconditions = Some(Preconditions { uid, resource_version: None });
    let delete = DeleteParams { preconditions, ..DeleteParams::background() };
    match api.delete(name, &delete).await {
        Ok(_) => Ok(()),
        // Gone already, or another one of that name by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}
