//! Which kinds are read from a cluster, and where its API has them. The list itself is the snapshot's: a kind
//! that gets a table there is watched here.

use fairway_api::reference::{FAIRWAY, GATEWAY_API, GATEWAY_API_EXPERIMENTAL};
use fairway_translate::{Kind, Name, ObjectKey, Snapshot};

/// Gives the kinds of which every object is watched.
pub(super) fn watched() -> impl Iterator<Item = Kind> {
    Snapshot::KINDS.iter().copied().filter(|kind| !is_one_by_one(*kind))
}

/// Says whether objects of a kind are watched one by one, because most of them are none of our business.
pub(super) fn is_one_by_one(kind: Kind) -> bool {
    matches!(kind, Kind::Secret | Kind::ConfigMap)
}

/// Says whether a kind comes with a CustomResourceDefinition, and so may be missing.
pub(super) fn is_defined(kind: Kind) -> bool {
    [GATEWAY_API, GATEWAY_API_EXPERIMENTAL, FAIRWAY].contains(&kind.group())
}

/// Gives the name of a kind's CustomResourceDefinition, which is also what it is called in RBAC.
pub(super) fn resource(kind: Kind) -> String {
    let dot = if kind.group().is_empty() { "" } else { "." };
    format!("{}{dot}{}", kind.plural(), kind.group())
}

/// Finds the kind that a CustomResourceDefinition of this name defines, if it is watched.
pub(super) fn of_definition(name: &str) -> Option<Kind> {
    watched().find(|kind| is_defined(*kind) && resource(*kind) == name)
}

/// Gives `group/version`.
pub(super) fn api_version(kind: Kind, version: &str) -> String {
    if kind.group().is_empty() { version.to_owned() } else { format!("{}/{version}", kind.group()) }
}

/// Gives the path under which all objects of a kind are.
pub(super) fn path(kind: Kind, version: &str) -> String {
    format!("{}/{}", root(kind, version), kind.plural())
}

/// Gives the path of the list that holds one object; `None` when no object can have such a name, which is
/// then not asked for.
pub(super) fn path_of(key: &ObjectKey) -> Option<String> {
    let Name { namespace, name } = &key.name;
    if !is_name(namespace) || !is_name(name) {
        return None;
    }
    let version = key.kind.versions().first()?;
    Some(format!("{}/namespaces/{namespace}/{}", root(key.kind, version), key.kind.plural()))
}

/// Gives the path of one object in the version that is preferred; `None` when no object can have such a name.
#[must_use]
pub fn object_path(key: &ObjectKey) -> Option<String> {
    let Name { namespace, name } = &key.name;
    if !is_name(name) || !(namespace.is_empty() || is_name(namespace)) {
        return None;
    }
    let root = root(key.kind, key.kind.versions().first()?);
    let inside =
        if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    Some(format!("{root}{inside}/{}/{name}", key.kind.plural()))
}

fn root(kind: Kind, version: &str) -> String {
    if kind.group().is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{}/{version}", kind.group())
    }
}

/// RFC 1123 subdomain, as names of objects are. Nothing else may reach a path or a field selector.
fn is_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let may = |byte: u8| inside(byte) || byte == b'-' || byte == b'.';
    let ends = text.bytes().next().is_some_and(inside) && text.bytes().last().is_some_and(inside);
    ends && text.len() <= 253 && text.bytes().all(may)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(path(Kind::Service, "v1"), "/api/v1/services");
        let routes = "/apis/gateway.networking.k8s.io/v1beta1/httproutes";
        assert_eq!(path(Kind::HttpRoute, "v1beta1"), routes);
        let key = ObjectKey { kind: Kind::Secret, name: Name::new("shop", "tls") };
        assert_eq!(path_of(&key).as_deref(), Some("/api/v1/namespaces/shop/secrets"));
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        for (namespace, name) in
            [("shop", "a,metadata.namespace=b"), ("../../x", "a"), ("shop", ""), ("shop", "A")]
        {
            let key = ObjectKey { kind: Kind::Secret, name: Name::new(namespace, name) };
            assert_eq!(path_of(&key), None, "{key}");
        }
    }

    #[test]
    fn definitions_are_told_by_their_names() {
        assert_eq!(of_definition("gateways.fairway.dev"), Some(Kind::FairwayGateway));
        let upstream = of_definition("gateways.gateway.networking.k8s.io");
        assert_eq!(upstream, Some(Kind::Gateway));
        assert_eq!(of_definition("services"), None);
        assert_eq!(of_definition("widgets.example.com"), None);
    }
}
