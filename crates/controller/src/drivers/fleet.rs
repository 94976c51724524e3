//! The Proxy Operator: the objects that run a Gateway's proxies. They are owned by the Gateway, so that they go
//! with it, and applied on the server's side, so that what others have added to them stays.

mod desired;
mod name;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use desired::{Fleet, fleets};
pub use name::{label, name};

use crate::FIELD_MANAGER;

/// The class of a fleet's Service: we answer for its addresses.
pub const LOAD_BALANCER_CLASS: &str = "fairway.dev/load-balancer";

/// How often everything is applied anew, against changes by others.
const AGAIN: Duration = Duration::from_mins(5);
/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What all fleets have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The proxies' image.
    pub image: String,
    /// How many proxies a fleet has.
    pub replicas: u32,
    /// Where proxies reach the controller: `HOST:PORT`.
    pub controller: String,
}

/// Runs fleets until it is dropped.
#[derive(Debug)]
pub struct Operator {
    wanted: watch::Sender<Arc<Vec<Fleet>>>,
    leading: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Operator {
    /// Begins. Nothing is written until this replica leads.
    #[must_use]
    pub fn start(client: Client, settings: Settings) -> Self {
        let (wanted, wanted_now) = watch::channel(Arc::new(Vec::new()));
        let (leading, leading_now) = watch::channel(false);
        let work = Work { client, settings, applied: BTreeMap::new() };
        let task = tokio::spawn(work.run(wanted_now, leading_now));
        Self { wanted, leading, task }
    }

    /// Says which fleets there shall be from now on.
    pub fn want(&self, fleets: Vec<Fleet>) {
        self.wanted.send_if_modified(|known| {
            let changed = **known != fleets;
            if changed {
                *known = Arc::new(fleets);
            }
            changed
        });
    }

    /// Says whether this replica writes.
    pub fn set_leading(&self, leading: bool) {
        self.leading.send_replace(leading);
    }
}

/// An object by kind, namespace and name; its status by itself.
type Place = (String, String, String);

struct Work {
    client: Client,
    settings: Settings,
    /// What was applied, and is not applied again while it is the same.
    applied: BTreeMap<Place, Value>,
}

impl Work {
    async fn run(
        mut self,
        mut wanted: watch::Receiver<Arc<Vec<Fleet>>>,
        mut leading: watch::Receiver<bool>,
    ) {
        let mut fresh = Instant::now();
        loop {
            let mut pause = AGAIN;
            if *leading.borrow_and_update() {
                if fresh.elapsed() >= AGAIN {
                    self.applied.clear();
                    fresh = Instant::now();
                }
                let fleets = Arc::clone(&wanted.borrow_and_update());
                if !self.apply_all(&fleets).await {
                    pause = RETRY;
                }
            } else {
                self.applied.clear();
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = wanted.changed() => if changed.is_err() { return },
                changed = leading.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Says whether all went well.
    async fn apply_all(&mut self, fleets: &[Fleet]) -> bool {
        let mut well = true;
        for fleet in fleets {
            for object in fleet.desired(&self.settings) {
                let is_service = object["kind"] == "Service";
                well &= self.apply(&object, None).await;
                if is_service {
                    let status = addresses(fleet);
                    well &= self.apply(&object, Some(status)).await;
                }
            }
        }
        let names: Vec<(String, String)> = fleets
            .iter()
            .map(|fleet| (fleet.key.name.namespace.as_ref().to_owned(), fleet.name()))
            .collect();
        self.applied.retain(|(_, namespace, name), _| {
            names.iter().any(|(ns, own)| ns == namespace && own == name)
        });
        well
    }

    /// Applies an object, or its status, unless the same was applied before. One that fails is logged, and
    /// tried again with the next.
    async fn apply(&mut self, object: &Value, status: Option<Value>) -> bool {
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (kind, api_version) = (text("/kind"), text("/apiVersion"));
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let part = if status.is_some() { format!("{kind}/status") } else { kind.clone() };
        let place = (part, namespace.clone(), name.clone());
        let wanted = status.as_ref().unwrap_or(object);
        if self.applied.get(&place) == Some(wanted) {
            return true;
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.clone(),
            plural: format!("{}s", kind.to_lowercase()),
            kind: kind.clone(),
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &namespace, &resource);
        let applied = match &status {
            None => {
                let apply = PatchParams::apply(FIELD_MANAGER).force();
                api.patch(&name, &apply, &Patch::Apply(object)).await
            }
            Some(status) => {
                let merge = PatchParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PatchParams::default()
                };
                api.patch_status(&name, &merge, &Patch::Merge(json!({"status": status}))).await
            }
        };
        match applied {
            Ok(_) => {
                self.applied.insert(place, wanted.clone());
                true
            }
            Err(error) => {
                tracing::warn!(%error, "applying {kind} {namespace}/{name}");
                false
            }
        }
    }
}

fn addresses(fleet: &Fleet) -> Value {
    let ingress: Vec<Value> =
        fleet.addresses.iter().map(|ip| json!({"ip": ip, "ipMode": "VIP"})).collect();
    json!({"loadBalancer": {"ingress": ingress}})
}
