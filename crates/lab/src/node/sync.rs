//! The node's watches: pods to bind and to run, and what pods take their volumes and names from.

use std::{collections::HashMap, fmt::Debug, path::PathBuf, sync::Arc, time::Duration};

use crate::retry::Soon;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    ground::Ground,
    hosts,
    pod::{self},
};

/// Changes of Services come in groups: one hosts file for all.
const COALESCE: Duration = Duration::from_millis(20);

/// What `stop` waits for at most.
const STOP: Duration = Duration::from_secs(20);

/// The pods of this node, by their uid.
struct Pods {
    ground: Arc<Ground>,
    running: HashMap<String, watch::Sender<Arc<Pod>>>,
    tasks: JoinSet<String>,
}

/// Runs the node's pods until it is told to stop, then ends them.
pub(super) async fn run(
    ground: Arc<Ground>,
    mut stop: watch::Receiver<bool>,
    ended: watch::Sender<bool>,
) {
    let client = ground.settings.client.clone();
    let mut pods = Pods { ground, running: HashMap::new(), tasks: JoinSet::new() };
    let stream = watcher(Api::<Pod>::all(client), watcher::Config::default()).backoff(Soon);
    let mut stream = std::pin::pin!(stream);
    // The uids seen in a list that is under way.
    let mut listed: Option<Vec<String>> = None;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(gone) = pods.tasks.join_next(), if !pods.tasks.is_empty() => {
                if let Ok(uid) = gone {
                    pods.running.remove(&uid);
                }
            }
            Some(event) = stream.next() => match event {
                Ok(Event::Init) => listed = Some(Vec::new()),
                Ok(Event::InitApply(pod)) => {
                    listed.iter_mut().for_each(|listed| listed.extend(pod.metadata.uid.clone()));
                    pods.see(pod);
                }
                Ok(Event::InitDone) => {
                    if let Some(listed) = listed.take() {
                        pods.running.retain(|uid, _| listed.contains(uid));
                    }
                }
                Ok(Event::Apply(pod)) => pods.see(pod),
                // Without its sender, a pod knows that its object is gone.
                Ok(Event::Delete(pod)) => drop(pod.metadata.uid.and_then(|uid| pods.running.remove(&uid))),
                Err(error) => tracing::warn!("watch pods: {error}"),
            },
        }
    }
    pods.running.clear();
    let ending = async { while pods.tasks.join_next().await.is_some() {} };
    if timeout(STOP, ending).await.is_err() {
        tracing::warn!("pods have not ended within {} s", STOP.as_secs());
    }
    ended.send_replace(true);
}

impl Pods {
    fn see(&mut self, pod: Pod) {
        let (Some(uid), spec) = (pod.metadata.uid.clone(), pod.spec.as_ref()) else { return };
        let node = spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        let gated =
            spec.is_some_and(|spec| spec.scheduling_gates.iter().flatten().next().is_some());
        if node.is_empty() && pod.metadata.deletion_timestamp.is_none() && !gated {
            drop(tokio::spawn(bind(Arc::clone(&self.ground), pod)));
            return;
        }
        if node != self.ground.settings.name {
            return;
        }
        if let Some(sender) = self.running.get(&uid) {
            sender.send_replace(Arc::new(pod));
            return;
        }
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let over = matches!(phase, Some("Succeeded" | "Failed"));
        if over && pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let (sender, receiver) = watch::channel(Arc::new(pod));
        self.running.insert(uid.clone(), sender);
        let ground = Arc::clone(&self.ground);
        self.tasks.spawn(async move {
            pod::attend(ground, receiver).await;
            uid
        });
    }
}

/// Gives a pod that nobody has to this node.
async fn bind(ground: Arc<Ground>, pod: Pod) {
    let name = pod.metadata.name.unwrap_or_default();
    let namespace = pod.metadata.namespace.unwrap_or_default();
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "uid": pod.metadata.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": ground.settings.name},
    });
    let api = Api::<Pod>::namespaced(ground.settings.client.clone(), &namespace);
    let parameters = PostParams::default();
    for _ in 0..5 {
        let answer: Result<serde_json::Value, _> =
            api.create_subresource("binding", &name, &parameters, &binding).await;
        match answer {
            Ok(_) => return,
            // Gone, or bound meanwhile.
            Err(kube::Error::Api(refusal)) if refusal.is_not_found() || refusal.is_conflict() => {
                return;
            }
            Err(error) => tracing::warn!("bind pod {namespace}/{name}: {error}"),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Keeps a copy of all objects of a kind and calls back after each change.
fn follow<K>(
    tasks: &mut JoinSet<()>,
    client: &Client,
    changed: impl Fn() + Send + 'static,
) -> Store<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).backoff(Soon);
    let stream = reflector::reflector(writer, events);
    tasks.spawn(async move {
        let mut stream = std::pin::pin!(stream.into_stream());
        while let Some(event) = stream.next().await {
            match event {
                Ok(_) => changed(),
                Err(error) => tracing::warn!("watch {}: {error}", K::kind(&())),
            }
        }
    });
    reader
}

/// Follows Secrets and ConfigMaps.
pub(super) fn follow_sources(
    tasks: &mut JoinSet<()>,
    client: &Client,
) -> (Store<Secret>, Store<ConfigMap>, watch::Receiver<u64>) {
    let (count, changed) = watch::channel(0);
    let (of_secrets, of_maps) = (count.clone(), count);
    let secrets = follow(tasks, client, move || of_secrets.send_modify(|count| *count += 1));
    let maps = follow(tasks, client, move || of_maps.send_modify(|count| *count += 1));
    (secrets, maps, changed)
}

/// Keeps the hosts file as the Services are.
pub(super) fn follow_services(tasks: &mut JoinSet<()>, client: &Client, directory: PathBuf) {
    let (count, mut changed) = watch::channel(0_u64);
    let services = follow::<Service>(tasks, client, move || count.send_modify(|count| *count += 1));
    tasks.spawn(async move {
        let mut written = None;
        loop {
            let text = hosts::render(&services.state());
            if written.as_ref() != Some(&text) {
                if let Err(error) = hosts::write(&directory, &text) {
                    tracing::warn!("write the hosts file: {error}");
                }
                written = Some(text);
            }
            if changed.changed().await.is_err() {
                return;
            }
            sleep(COALESCE).await;
        }
    });
}
