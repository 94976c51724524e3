//! What stands in a pod's volumes: taken from Secrets, ConfigMaps, the pod itself and tokens.

mod write;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, ServiceAccountTokenProjection, Volume,
};

use super::environment;

pub(super) use write::replace;

/// A volume's files, by path inside it.
pub(super) type Files = BTreeMap<String, File>;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Files that are written here and stay as their sources are.
    Files(Files),
    /// The pod's own, empty at first.
    Scratch,
}

/// Where volumes take their content from.
pub(super) trait Sources {
    /// A Secret of the pod's namespace.
    fn secret(&self, name: &str) -> Option<Secret>;
    /// A ConfigMap of the pod's namespace.
    fn config_map(&self, name: &str) -> Option<ConfigMap>;
    /// A token that was fetched beforehand.
    fn token(&self, wanted: &ServiceAccountTokenProjection) -> Option<String>;
}

/// Modes of files that nobody set one for (core/v1: 0644).
const MODE: i32 = 0o644;

/// A volume's content, or a sentence about what is missing: then the pod waits for it.
pub(super) fn content(
    volume: &Volume,
    pod: &Pod,
    sources: &dyn Sources,
) -> Result<Content, String> {
    let mut files = Files::new();
    if volume.empty_dir.is_some() {
        return Ok(Content::Scratch);
    } else if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let found = sources.secret(name).map(secret_data);
        let picked = Picked {
            items: secret.items.as_deref(),
            mode: secret.default_mode,
            optional: secret.optional,
        };
        add(&mut files, &format!("secret \"{name}\""), found, picked)?;
    } else if let Some(map) = &volume.config_map {
        let found = sources.config_map(&map.name).map(config_map_data);
        let picked =
            Picked { items: map.items.as_deref(), mode: map.default_mode, optional: map.optional };
        add(&mut files, &format!("configmap \"{}\"", map.name), found, picked)?;
    } else if let Some(downward) = &volume.downward_api {
        add_downward(&mut files, pod, downward.items.as_deref(), downward.default_mode)?;
    } else if let Some(projected) = &volume.projected {
        project(&mut files, projected, pod, sources)?;
    } else {
        return Err(format!(
            "volume \"{}\" is of a kind that this node does not have",
            volume.name
        ));
    }
    Ok(Content::Files(files))
}

fn project(
    files: &mut Files,
    projected: &k8s_openapi::api::core::v1::ProjectedVolumeSource,
    pod: &Pod,
    sources: &dyn Sources,
) -> Result<(), String> {
    let mode = projected.default_mode;
    for source in projected.sources.iter().flatten() {
        if let Some(secret) = &source.secret {
            let found = sources.secret(&secret.name).map(secret_data);
            let picked = Picked { items: secret.items.as_deref(), mode, optional: secret.optional };
            add(files, &format!("secret \"{}\"", secret.name), found, picked)?;
        }
        if let Some(map) = &source.config_map {
            let found = sources.config_map(&map.name).map(config_map_data);
            let picked = Picked { items: map.items.as_deref(), mode, optional: map.optional };
            add(files, &format!("configmap \"{}\"", map.name), found, picked)?;
        }
        if let Some(downward) = &source.downward_api {
            add_downward(files, pod, downward.items.as_deref(), mode)?;
        }
        if let Some(token) = &source.service_account_token {
            let bytes = sources
                .token(token)
                .ok_or("the service account's token is not there yet")?
                .into_bytes();
            files.insert(token.path.clone(), File { bytes, mode: bits(mode) });
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Picked<'a> {
    items: Option<&'a [KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
}

fn add(
    files: &mut Files,
    what: &str,
    found: Option<BTreeMap<String, Vec<u8>>>,
    picked: Picked<'_>,
) -> Result<(), String> {
    let optional = picked.optional.unwrap_or(false);
    let Some(mut data) = found else {
        return if optional { Ok(()) } else { Err(format!("{what} not found")) };
    };
    let Some(items) = picked.items.filter(|items| !items.is_empty()) else {
        files.extend(
            data.into_iter().map(|(path, bytes)| (path, File { bytes, mode: bits(picked.mode) })),
        );
        return Ok(());
    };
    for item in items {
        match data.remove(&item.key) {
            Some(bytes) => {
                files.insert(
                    item.path.clone(),
                    File { bytes, mode: bits(item.mode.or(picked.mode)) },
                );
            }
            None if optional => {}
            None => return Err(format!("{what} has no key \"{}\"", item.key)),
        }
    }
    Ok(())
}

fn add_downward(
    files: &mut Files,
    pod: &Pod,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: Option<i32>,
) -> Result<(), String> {
    for item in items.unwrap_or_default() {
        let text = match &item.field_ref {
            Some(field) => environment::field(pod, &field.field_path)?,
            // Resources are not limited here.
            None => String::from("0"),
        };
        files.insert(
            item.path.clone(),
            File { bytes: text.into_bytes(), mode: bits(item.mode.or(mode)) },
        );
    }
    Ok(())
}

fn bits(mode: Option<i32>) -> u32 {
    u32::try_from(mode.unwrap_or(MODE)).unwrap_or(0o644) & 0o777
}

/// A Secret's values.
pub(super) fn secret_data(secret: Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
}

/// A ConfigMap's values, text and bytes alike.
pub(super) fn config_map_data(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text =
        map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    let binary = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    text.chain(binary).collect()
}

/// The tokens that a pod's volumes ask for.
pub(super) fn tokens(pod: &Pod) -> Vec<ServiceAccountTokenProjection> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let sources = volumes
        .filter_map(|volume| volume.projected.as_ref())
        .flat_map(|it| it.sources.iter().flatten());
    sources.filter_map(|source| source.service_account_token.clone()).collect()
}

/// Where a volume of a pod stands.
pub(super) fn directory(pod: &Path, volume: &str) -> PathBuf {
    pod.join("volumes").join(volume)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct One(Option<Secret>);

    impl Sources for One {
        fn secret(&self, _: &str) -> Option<Secret> {
            self.0.clone()
        }
        fn config_map(&self, _: &str) -> Option<ConfigMap> {
            None
        }
        fn token(&self, wanted: &ServiceAccountTokenProjection) -> Option<String> {
            Some(format!("token for {}", wanted.audience.as_deref().unwrap_or("the API server")))
        }
    }

    fn read(
        volume: serde_json::Value,
        secret: Option<serde_json::Value>,
    ) -> Result<Vec<(String, String, u32)>, String> {
        let volume = serde_json::from_value(volume).unwrap();
        let pod =
            serde_json::from_value(json!({"metadata": {"name": "cart-1", "namespace": "shop"}}))
                .unwrap();
        let secret = secret.map(|data| serde_json::from_value(json!({ "data": data })).unwrap());
        match content(&volume, &pod, &One(secret))? {
            Content::Files(files) => Ok(files
                .into_iter()
                .map(|(path, file)| (path, String::from_utf8(file.bytes).unwrap(), file.mode))
                .collect()),
            Content::Scratch => Ok(Vec::new()),
        }
    }

    #[test]
    fn a_secret_that_is_not_there_is_waited_for_unless_it_may_be_missing() {
        let volume = json!({"name": "v", "secret": {"secretName": "tls"}});
        assert_eq!(read(volume, None), Err("secret \"tls\" not found".to_owned()));
        let volume = json!({"name": "v", "secret": {"secretName": "tls", "optional": true}});
        assert_eq!(read(volume, None), Ok(Vec::new()));
    }

    #[test]
    fn items_choose_paths_and_modes() {
        let data = json!({"tls.crt": "Y2VydA==", "tls.key": "a2V5"});
        let volume = json!({"name": "v", "secret": {"secretName": "tls", "defaultMode": 0o400,
            "items": [{"key": "tls.crt", "path": "deep/crt"}, {"key": "tls.key", "path": "key", "mode": 0o600}]}});
        let files = read(volume, Some(data)).unwrap();
        assert_eq!(
            files,
            [
                ("deep/crt".to_owned(), "cert".to_owned(), 0o400),
                ("key".to_owned(), "key".to_owned(), 0o600)
            ]
        );
    }

    #[test]
    fn a_projection_joins_tokens_and_the_pods_own_fields() {
        let volume = json!({"name": "v", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token", "audience": "vault"}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]}});
        let files = read(volume, None).unwrap();
        let texts: Vec<&str> = files.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(texts, ["shop", "token for vault"]);
    }
}
