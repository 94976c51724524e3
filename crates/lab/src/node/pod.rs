//! One pod, from its first sight to the deletion of its object.

mod home;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    container::{Place, Restart, Runner},
    ground::Ground,
    network::PodNetwork,
    status::{self, Report, State},
};

pub(super) use home::Home;

/// The wait after the API server or the system refused something.
const RETRY: Duration = Duration::from_millis(500);

/// Changes of sources come in groups: one write for all.
const COALESCE: Duration = Duration::from_millis(20);

/// Volumes are looked at so often although nothing changed: tokens grow old.
const TOKENS: Duration = Duration::from_mins(1);

/// Runs a pod until it is gone. The pod's sender is dropped when its object is no more.
pub(super) async fn attend(ground: Arc<Ground>, pod: watch::Receiver<Arc<Pod>>) {
    let host = ground.networks.gateway();
    let first = Arc::clone(&pod.borrow());
    let (report, seen) = watch::channel(Report::new(&first, host, Timestamp::now()));
    let (stop, mut stopped) = watch::channel(None);
    // Ended with this function.
    let mut beside = JoinSet::new();
    beside.spawn(publish(ground.settings.client.clone(), pod.clone(), seen));
    beside.spawn(follow_deletion(pod.clone(), stop));
    let directory = ground.pod_directory(&first);
    Box::pin(live(&ground, &pod, &report, &stopped)).await;
    // A pod whose work is done stays as an object until somebody deletes it.
    drop(stopped.wait_for(Option::is_some).await.map(|_| ()));
    beside.shutdown().await;
    if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
        tracing::debug!("remove {}: {error}", directory.display());
    }
    if !ground.closing.load(Ordering::Relaxed) {
        delete(&ground.settings.client, &first).await;
    }
}

async fn live(
    ground: &Arc<Ground>,
    pod: &watch::Receiver<Arc<Pod>>,
    report: &watch::Sender<Report>,
    stopped: &watch::Receiver<Option<Duration>>,
) {
    let mut ending = stopped.clone();
    let Some(network) = build_network(ground, &mut ending).await else { return };
    report.send_modify(|report| report.address = Some(network.address));
    let home =
        Home::new(Arc::clone(ground), pod.clone(), report.clone(), stopped.clone(), &network);
    let ready = tokio::select! {
        () = wait_for_volumes(&home) => true,
        _ = ending.wait_for(Option::is_some) => false,
    };
    if ready {
        tokio::select! {
            () = run(&home) => {}
            never = keep_volumes(&home) => match never {},
        }
    }
    if stopped.borrow().is_none() {
        report.send_modify(|report| report.finished = true);
    }
    network.remove().await;
}

/// A network, unless the pod has to end before there is one. Building is never given up half way:
/// what is built has to be taken away again.
async fn build_network(
    ground: &Ground,
    ending: &mut watch::Receiver<Option<Duration>>,
) -> Option<PodNetwork> {
    while ending.borrow().is_none() {
        let permit = ground.starting.acquire().await;
        match ground.networks.build().await {
            Ok(network) => return Some(network),
            Err(error) => tracing::warn!("{error}"),
        }
        drop(permit);
        tokio::select! {
            () = sleep(RETRY) => {}
            _ = ending.wait_for(Option::is_some) => {}
        }
    }
    None
}

async fn wait_for_volumes(home: &Home) {
    let mut changed = home.ground.changed.clone();
    loop {
        changed.mark_unchanged();
        match home.write_volumes().await {
            Ok(()) => return,
            Err(message) => home.report.send_modify(|report| {
                for view in report.init.iter_mut().chain(&mut report.main) {
                    view.state =
                        State::Waiting { reason: "ContainerCreating", message: message.clone() };
                }
            }),
        }
        // Or after a while: what is missing may be a token.
        drop(timeout(RETRY, changed.changed()).await);
    }
}

async fn keep_volumes(home: &Home) -> std::convert::Infallible {
    let (mut changed, mut pod) = (home.ground.changed.clone(), home.pod.clone());
    loop {
        tokio::select! {
            Ok(()) = changed.changed() => sleep(COALESCE).await,
            Ok(()) = pod.changed() => {}
            () = sleep(TOKENS) => {}
        }
        changed.mark_unchanged();
        // What was there stays when its source is gone, as kubelet leaves it.
        if let Err(message) = home.write_volumes().await {
            tracing::debug!("{message}");
        }
    }
}

/// Runs the init containers one after another, then all others at once.
async fn run(home: &Home) {
    let pod = Arc::clone(&home.pod.borrow());
    let spec = pod.spec.clone().unwrap_or_default();
    let restart = match spec.restart_policy.as_deref() {
        Some("Never") => Restart::Never,
        Some("OnFailure") => Restart::OnFailure,
        Some(_) | None => Restart::Always,
    };
    // A task that is dropped leaves its process behind, for the network's end to kill.
    let mut sidecars = JoinSet::new();
    for (place, container) in spec.init_containers.into_iter().flatten().enumerate() {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        let policy = match (sidecar, restart) {
            (true, _) => Restart::Always,
            (false, Restart::Never) => Restart::Never,
            (false, Restart::OnFailure | Restart::Always) => Restart::OnFailure,
        };
        let place = Place::Init(place);
        let runner = Runner { home: home.clone(), container, place, restart: policy };
        if sidecar {
            sidecars.spawn(runner.run());
            home.wait_until_started(place).await;
        } else if runner.run().await.is_none_or(|exit| exit.code != 0) {
            return;
        }
        if home.stop.borrow().is_some() {
            break;
        }
    }
    home.report.send_modify(|report| report.initialized = true);
    let mut containers = JoinSet::new();
    for (place, container) in spec.containers.into_iter().enumerate() {
        containers.spawn(
            Runner { home: home.clone(), container, place: Place::Main(place), restart }.run(),
        );
    }
    while containers.join_next().await.is_some() {}
}

/// Tells everybody when the pod has to end, and how long it may take.
async fn follow_deletion(
    mut pod: watch::Receiver<Arc<Pod>>,
    stop: watch::Sender<Option<Duration>>,
) {
    loop {
        let now = Arc::clone(&pod.borrow_and_update());
        let grace = now.metadata.deletion_timestamp.as_ref().map(|_| {
            let grace = now.metadata.deletion_grace_period_seconds.unwrap_or(30);
            Duration::from_secs(u64::try_from(grace).unwrap_or(0))
        });
        stop.send_if_modified(|stop| {
            let sooner = grace.is_some_and(|grace| stop.is_none_or(|before| grace < before));
            if sooner {
                *stop = grace;
            }
            sooner
        });
        if pod.changed().await.is_err() {
            // Its object is gone: no time left.
            stop.send_replace(Some(Duration::ZERO));
            return std::future::pending().await;
        }
    }
}

/// Writes the status whenever it differs from what was written last.
async fn publish(
    client: Client,
    mut pod: watch::Receiver<Arc<Pod>>,
    mut seen: watch::Receiver<Report>,
) {
    let mut written = pod.borrow().status.clone();
    loop {
        let (now, report) =
            (Arc::clone(&pod.borrow_and_update()), seen.borrow_and_update().clone());
        let status = status::render(&now, &report, written.as_ref(), Timestamp::now());
        if written.as_ref() != Some(&status) {
            let meta = &now.metadata;
            let api = Api::<Pod>::namespaced(
                client.clone(),
                meta.namespace.as_deref().unwrap_or_default(),
            );
            let patch = serde_json::json!({"metadata": {"uid": meta.uid}, "status": status});
            let name = meta.name.as_deref().unwrap_or_default();
            match api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                Ok(_) => written = Some(status),
                Err(kube::Error::Api(refusal))
                    if refusal.is_not_found() || refusal.is_conflict() =>
                {
                    // Gone, or another pod of that name: the watch will say so.
                    tracing::debug!("status of pod {name}: {refusal}");
                    written = Some(status);
                }
                Err(error) => {
                    tracing::warn!("status of pod {name}: {error}");
                    sleep(RETRY).await;
                    continue;
                }
            }
        }
        tokio::select! {
            changed = seen.changed() => if changed.is_err() { return },
            changed = pod.changed() => if changed.is_err() { return },
        }
    }
}

/// Deletes the object of a pod that has ended. It may be gone already.
async fn delete(client: &Client, pod: &Pod) {
    let api = Api::<Pod>::namespaced(
        client.clone(),
        pod.metadata.namespace.as_deref().unwrap_or_default(),
    );
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let parameters = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions {
            uid: pod.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    for _ in 0..20 {
        match api.delete(name, &parameters).await {
            Ok(_) => return,
            Err(kube::Error::Api(refusal)) if refusal.is_not_found() || refusal.is_conflict() => {
                return;
            }
            Err(error) => tracing::warn!("delete pod {name}: {error}"),
        }
        sleep(RETRY).await;
    }
}
