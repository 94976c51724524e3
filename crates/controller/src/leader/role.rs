//! The leader's pod carries a label, by which the Service of the configuration stream finds it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Settings;
use crate::FIELD_MANAGER;

/// The label.
pub const LABEL: &str = "fairway.dev/leader";

const RETRY: Duration = Duration::from_secs(1);

/// Keeps the label in step with the election.
#[derive(Debug)]
pub struct Role {
    leading: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Role {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Role {
    /// Begins. The pod is the one that is named like the candidate.
    #[must_use]
    pub fn start(client: Client, settings: &Settings) -> Self {
        let (leading, leads) = watch::channel(false);
        let pods = Api::namespaced(client, &settings.namespace);
        let task = tokio::spawn(keep(pods, settings.identity.clone(), leads));
        Self { leading, task }
    }

    /// Says whether we lead.
    pub fn set_leading(&self, leading: bool) {
        self.leading.send_replace(leading);
    }
}

async fn keep(pods: Api<Pod>, pod: String, mut leading: watch::Receiver<bool>) {
    loop {
        let leads = *leading.borrow_and_update();
        let label = json!({"metadata": {"labels": {LABEL: leads.then_some("true")}}});
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match pods.patch(&pod, &params, &Patch::Merge(label)).await {
            Ok(_) => {
                if leading.changed().await.is_err() {
                    return;
                }
            }
            // Run by hand, outside of a pod: then no Service leads here either.
            Err(kube::Error::Api(status)) if status.code == 404 => {
                tracing::info!("there is no pod {pod} of ours to label");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "labelling pod {pod}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
