//! What all pods of the node share: the cluster's client, copies of Secrets and ConfigMaps, the
//! network, and the programs behind image names.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection},
};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::PostParams,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::{Semaphore, watch};

use super::{NodeError, Settings, network::Networks, volume::Sources};

/// Shared by all pods.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) settings: Settings,
    pub(super) networks: Arc<Networks>,
    pub(super) secrets: Store<Secret>,
    pub(super) config_maps: Store<ConfigMap>,
    /// Counts changes of Secrets and ConfigMaps.
    pub(super) changed: watch::Receiver<u64>,
    /// Set when the node stops: then pods' objects stay as they are.
    pub(super) closing: AtomicBool,
    /// So many are built at once.
    pub(super) starting: Semaphore,
}

/// Tokens of one pod, by what was asked for.
pub(super) type Tokens = BTreeMap<(Option<String>, Option<i64>), Token>;

/// A service account's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    text: String,
    /// When four fifths of its time are over.
    renew: Timestamp,
}

impl Ground {
    /// The directory with the hosts file.
    pub(super) fn names(&self) -> PathBuf {
        self.settings.directory.join("names")
    }

    /// Where everything of a pod stands.
    pub(super) fn pod_directory(&self, pod: &Pod) -> PathBuf {
        self.settings.directory.join("pods").join(pod.metadata.uid.as_deref().unwrap_or("unknown"))
    }

    /// Fetches the tokens that a pod's volumes ask for and that are not there or too old.
    pub(super) async fn refresh(&self, pod: &Pod, tokens: &mut Tokens) -> Result<(), String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let account = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.as_deref())
            .unwrap_or("default");
        let accounts = Api::<ServiceAccount>::namespaced(self.settings.client.clone(), namespace);
        for wanted in super::volume::tokens(pod) {
            let key = (wanted.audience.clone(), wanted.expiration_seconds);
            let now = Timestamp::now();
            if tokens.get(&key).is_some_and(|token| token.renew > now) {
                continue;
            }
            let request = TokenRequest {
                spec: TokenRequestSpec {
                    audiences: wanted.audience.into_iter().collect(),
                    expiration_seconds: wanted.expiration_seconds,
                    bound_object_ref: Some(BoundObjectReference {
                        api_version: Some("v1".to_owned()),
                        kind: Some("Pod".to_owned()),
                        name: pod.metadata.name.clone(),
                        uid: pod.metadata.uid.clone(),
                    }),
                },
                ..TokenRequest::default()
            };
            let answer = accounts
                .create_token_request(account, &PostParams::default(), &request)
                .await
                .map_err(|error| format!("token of service account \"{account}\": {error}"))?;
            let status = answer.status.ok_or("the API server answered without a token")?;
            let lifetime = status.expiration_timestamp.0.duration_since(now);
            let renew = now.checked_add(lifetime * 4 / 5).unwrap_or(now);
            tokens.insert(key, Token { text: status.token, renew });
        }
        Ok(())
    }

    /// The program behind an image: `registry/path/NAME:tag@digest` -> NAME.
    pub(super) fn program(&self, image: &str) -> Result<(&str, &super::Program), String> {
        let name = image_name(image);
        let found = self.settings.images.get_key_value(name);
        found.map(|(name, program)| (name.as_str(), program)).ok_or_else(|| {
            let known: Vec<&str> = self.settings.images.keys().map(String::as_str).collect();
            format!(
                "image \"{image}\": the lab has no program named \"{name}\"; it has {}",
                known.join(", ")
            )
        })
    }
}

fn image_name(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    last.split_once(':').map_or(last, |(name, _)| name)
}

/// The sources of one pod's volumes and variables.
#[derive(Debug)]
pub(super) struct Near<'a> {
    pub(super) ground: &'a Ground,
    pub(super) namespace: &'a str,
    pub(super) tokens: &'a Tokens,
}

impl Sources for Near<'_> {
    fn secret(&self, name: &str) -> Option<Secret> {
        let found = self.ground.secrets.get(&ObjectRef::new(name).within(self.namespace));
        found.map(|secret| secret.as_ref().clone())
    }

    fn config_map(&self, name: &str) -> Option<ConfigMap> {
        let found = self.ground.config_maps.get(&ObjectRef::new(name).within(self.namespace));
        found.map(|map| map.as_ref().clone())
    }

    fn token(&self, wanted: &ServiceAccountTokenProjection) -> Option<String> {
        let key = (wanted.audience.clone(), wanted.expiration_seconds);
        self.tokens.get(&key).map(|token| token.text.clone())
    }
}

/// Makes the node's own directories anew.
pub(super) fn make_directories(settings: &Settings) -> Result<(), NodeError> {
    for name in ["names", "pods", "logs"] {
        let path = settings.directory.join(name);
        std::fs::create_dir_all(&path).map_err(|cause| NodeError::Directory { path, cause })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_name_has_no_registry_tag_or_digest() {
        for image in [
            "echo-basic",
            "echo-basic:v1",
            "localhost:5000/echo-basic",
            "registry.example/a/b/echo-basic:v1@sha256:00ff",
        ] {
            assert_eq!(image_name(image), "echo-basic", "{image}");
        }
    }
}
