//! Which object is meant: the identity that decides whether two documents are one object.

use std::fmt;

use serde::Serialize;

/// Group, kind, namespace and name. The version is no part of it: `v1beta1` and `v1` of one route
/// are one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ObjectKey {
    /// Empty for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    pub kind: String,
    /// Empty for what belongs to the whole cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for ObjectKey {
    /// `HTTPRoute shop/cart`; our own kinds carry their group, since `Gateway` exists twice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.group.ends_with("fairway.dev") {
            write!(f, ".{}", self.group)?;
        }
        f.write_str(" ")?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// Splits `group/version`; the core group is written without its (empty) name.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_kinds_print_their_group() {
        let ours = ObjectKey::new("fairway.dev", "Gateway", "shop", "edge");
        let theirs = ObjectKey::new("gateway.networking.k8s.io", "GatewayClass", "", "fairway");
        assert_eq!(ours.to_string(), "Gateway.fairway.dev shop/edge");
        assert_eq!(theirs.to_string(), "GatewayClass fairway");
    }

    #[test]
    fn the_core_group_is_empty() {
        assert_eq!(split_api_version("v1"), ("", "v1"));
        assert_eq!(split_api_version("apps/v1"), ("apps", "v1"));
    }
}
