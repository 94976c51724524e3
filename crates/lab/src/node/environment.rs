//! A container's environment, command and arguments, with what they refer to filled in.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

use super::volume::{Sources, config_map_data, secret_data};

/// What `$(NAME)` stands for, and what the process gets; later ones win.
pub(super) type Variables = BTreeMap<String, String>;

/// One field of a pod, by its path (`metadata.name`, `metadata.labels['app']`, `status.podIP`, ...).
pub(super) fn field(pod: &Pod, path: &str) -> Result<String, String> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = match map {
            "metadata.labels" => meta.labels.as_ref(),
            "metadata.annotations" => meta.annotations.as_ref(),
            _ => return Err(format!("no field {path}")),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    let ips = || {
        status
            .into_iter()
            .flat_map(|status| status.pod_ips.iter().flatten())
            .map(|ip| ip.ip.as_str())
    };
    let value = match path {
        "metadata.name" => meta.name.clone(),
        "metadata.namespace" => meta.namespace.clone(),
        "metadata.uid" => meta.uid.clone(),
        "metadata.labels" => Some(lines(meta.labels.as_ref())),
        "metadata.annotations" => Some(lines(meta.annotations.as_ref())),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
        "status.podIP" => status.and_then(|status| status.pod_ip.clone()),
        "status.podIPs" => Some(ips().collect::<Vec<_>>().join(",")),
        "status.hostIP" | "status.hostIPs" => status.and_then(|status| status.host_ip.clone()),
        _ => return Err(format!("no field {path}")),
    };
    Ok(value.unwrap_or_default())
}

fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// All variables of a container, on top of those given; or a sentence about what is missing.
pub(super) fn variables(
    container: &Container,
    pod: &Pod,
    sources: &dyn Sources,
    given: Variables,
) -> Result<Variables, String> {
    let mut variables = given;
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let (data, missing) = if let Some(secret) = &from.secret_ref {
            let optional = secret.optional.unwrap_or(false);
            (
                sources.secret(&secret.name).map(secret_data),
                (!optional).then(|| format!("secret \"{}\"", secret.name)),
            )
        } else if let Some(map) = &from.config_map_ref {
            let optional = map.optional.unwrap_or(false);
            (
                sources.config_map(&map.name).map(config_map_data),
                (!optional).then(|| format!("configmap \"{}\"", map.name)),
            )
        } else {
            continue;
        };
        match (data, missing) {
            (Some(data), _) => {
                let texts = data
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, String::from_utf8(value).ok()?)));
                variables.extend(texts.map(|(key, text)| (format!("{prefix}{key}"), text)));
            }
            (None, Some(missing)) => return Err(format!("{missing} not found")),
            (None, None) => {}
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(variable, pod, sources, &variables)? {
            variables.insert(variable.name.clone(), value);
        }
    }
    Ok(variables)
}

fn value(
    variable: &EnvVar,
    pod: &Pod,
    sources: &dyn Sources,
    before: &Variables,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), before)));
    };
    if let Some(reference) = &from.field_ref {
        return field(pod, &reference.field_path).map(Some);
    }
    let (found, key, what, optional) = if let Some(reference) = &from.secret_key_ref {
        let found = sources.secret(&reference.name).map(secret_data);
        (found, &reference.key, format!("secret \"{}\"", reference.name), reference.optional)
    } else if let Some(reference) = &from.config_map_key_ref {
        let found = sources.config_map(&reference.name).map(config_map_data);
        (found, &reference.key, format!("configmap \"{}\"", reference.name), reference.optional)
    } else {
        // Resources are not limited here.
        return Ok(Some(String::from("0")));
    };
    let optional = optional.unwrap_or(false);
    match found.map(|mut data| data.remove(key)) {
        Some(Some(bytes)) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        _ if optional => Ok(None),
        Some(None) => Err(format!("couldn't find key {key} in {what}")),
        None => Err(format!("{what} not found")),
    }
}

/// Fills in `$(NAME)`; `$$` is a dollar, and a name that is not known stays as it is
/// (core/v1, Container.command).
pub(super) fn expand(text: &str, variables: &Variables) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) =
            after.strip_prefix('(').and_then(|after| after.split_once(')'))
        {
            match variables.get(name) {
                Some(value) => result.push_str(value),
                None => result.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_filled_in() {
        let variables = Variables::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(expand("$(A)-$(B)-$$(A)-$A-$(", &variables), "1-$(B)-$(A)-$A-$(");
    }

    #[test]
    fn fields_of_the_pod_are_found_by_their_path() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "cart-1", "labels": {"app": "cart"}},
            "status": {"podIP": "10.244.0.5", "podIPs": [{"ip": "10.244.0.5"}]},
        }))
        .unwrap();
        assert_eq!(field(&pod, "metadata.name").unwrap(), "cart-1");
        assert_eq!(field(&pod, "metadata.labels['app']").unwrap(), "cart");
        assert_eq!(field(&pod, "metadata.labels").unwrap(), "app=\"cart\"");
        assert_eq!(field(&pod, "status.podIPs").unwrap(), "10.244.0.5");
        assert!(field(&pod, "spec.nothing").is_err());
    }
}
