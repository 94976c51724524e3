//! ReferenceGrant: a namespace's leave to name its objects from others.

use serde::{Deserialize, Serialize};

use crate::meta::ObjectMeta;

/// A ReferenceGrant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceGrant {
    /// Its namespace is the one that gives leave.
    pub metadata: ObjectMeta,
    /// Who may name what.
    pub spec: ReferenceGrantSpec,
}

/// Who may name what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceGrantSpec {
    /// Any of these may …
    pub from: Vec<GrantFrom>,
    /// … name any of these.
    pub to: Vec<GrantTo>,
}

/// Who may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantFrom {
    /// Its group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
}

/// What may be named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantTo {
    /// Its group; empty for the core group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
