//! Ingress and IngressClass (`networking.k8s.io/v1`).

use serde::{Deserialize, Serialize};

use crate::core::ServiceStatus;
use crate::meta::Object;
use crate::reference::ObjectReference;

/// An Ingress.
pub type Ingress = Object<IngressSpec, ServiceStatus>;

/// What an Ingress wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    /// Who serves it; the default class when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_class_name: Option<String>,
    /// Where requests go that no rule takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_backend: Option<IngressBackend>,
    /// Certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<IngressTls>,
    /// The rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<IngressRule>,
}

/// A certificate for some hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// The hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
}

/// Paths of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    /// The host, perhaps with a leading `*.` for one label; all hosts when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The paths; all requests go to the default backend when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpIngressRule>,
}

/// Paths of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpIngressRule {
    /// The paths.
    pub paths: Vec<HttpIngressPath>,
}

/// A path and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpIngressPath {
    /// The path; `/` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How the path is meant.
    pub path_type: PathType,
    /// Where it leads.
    pub backend: IngressBackend,
}

open_enum! {
    /// How a path of an Ingress is meant.
    PathType {
        /// This path, every byte.
        Exact = "Exact",
        /// This path and what is below it, by whole segments.
        Prefix = "Prefix",
        /// As the controller likes; here like `Prefix`.
        ImplementationSpecific = "ImplementationSpecific",
    }
}

/// A backend of an Ingress: a Service's port, or another object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressBackend {
    /// A Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<IngressServiceBackend>,
    /// Something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<TypedLocalObjectReference>,
}

/// A Service's port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressServiceBackend {
    /// Name of the Service.
    pub name: String,
    /// Its port.
    pub port: ServiceBackendPort,
}

/// A port by name or number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceBackendPort {
    /// By name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// By number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i32>,
}

/// An object of any kind in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TypedLocalObjectReference {
    /// Its group; the core group when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// An IngressClass.
pub type IngressClass = Object<IngressClassSpec, ()>;

/// Annotation of the IngressClass that counts for an Ingress without a class.
pub const DEFAULT_CLASS_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

/// Annotation of an Ingress that named its class before the field was there.
pub const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// What an IngressClass is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressClassSpec {
    /// Who serves it: `fairway.dev/ingress` for us.
    pub controller: String,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<IngressClassParameters>,
}

/// How a class is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressClassParameters {
    /// Its group; the core group when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// The object.
    #[serde(flatten)]
    pub object: ParametersName,
}

/// Name of a parameters object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ParametersName {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `Cluster` or `Namespace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl From<&IngressClassParameters> for ObjectReference {
    fn from(parameters: &IngressClassParameters) -> Self {
        Self {
            group: parameters.api_group.clone().unwrap_or_default(),
            kind: parameters.object.kind.clone(),
            name: parameters.object.name.clone(),
            namespace: parameters.object.namespace.clone(),
        }
    }
}
