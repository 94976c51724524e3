//! XBackend (experimental, GEP-4894): a backend that is no Service, under the names of v1.6 and of v1.7.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meta::Object;
use crate::policy::BackendTlsValidation;
use crate::reference::SecretObjectReference;
use crate::route::session::SessionPersistence;
use crate::status::{PolicyAncestorStatus, RouteParentStatus};

/// An XBackend.
pub type XBackend = Object<BackendSpec, BackendStatus>;

/// A backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendSpec {
    /// `ExternalHostname` or `EndpointSelector`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `ExternalHostname`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_hostname: Option<ExternalHostname>,
    /// For `EndpointSelector` (v1.7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_selector: Option<EndpointSelector>,
    /// Its port.
    pub port: BackendPort,
    /// What it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Whether TLS is spoken to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTlsSettings>,
    /// How clients stay with an endpoint (v1.7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

/// A host outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalHostname {
    /// Its name.
    pub hostname: String,
}

/// Pods by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSelector {
    /// The labels.
    pub match_labels: BTreeMap<String, String>,
}

/// A port: `port` in v1.6, `number` in v1.7.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendPort {
    /// Its name (v1.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its number, in v1.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Its number, in v1.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i32>,
}

impl BackendPort {
    /// Gives the number under whichever name it is written.
    #[must_use]
    pub fn number(&self) -> Option<i32> {
        self.number.or(self.port)
    }
}

/// Whether TLS is spoken to a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTlsSettings {
    /// `None`, `ServerOnly` or `ClientAndServer`.
    pub mode: String,
    /// The certificate to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretObjectReference>,
    /// How it proves who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<BackendTlsValidation>,
}

/// What is said of a backend: by parent in v1.6, by ancestor in v1.7.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendStatus {
    /// In v1.6.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<RouteParentStatus>,
    /// In v1.7.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<PolicyAncestorStatus>,
}
