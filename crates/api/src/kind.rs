//! All kinds that are read, and how an object of any of them is decoded.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::meta::ObjectMeta;
use crate::reference::{FAIRWAY, GATEWAY_API, GATEWAY_API_EXPERIMENTAL};
use crate::{backend, core, gateway, grant, ingress, mesh, own, policy, route};

macro_rules! kinds {
    ($($variant:ident = $kind:literal in $group:ident [$($version:literal),+] $plural:literal $scope:ident: $object:ty;)+) => {
        /// A kind that is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $kind, "`.")] $variant,)+
        }

        impl Kind {
            /// Every kind that is read.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Gives the name as it is written in `kind`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $kind,)+ }
            }

            /// Gives the API group; empty for the core group.
            #[must_use]
            pub const fn group(self) -> &'static str {
                match self { $(Self::$variant => $group,)+ }
            }

            /// Gives the versions that are read, the preferred one first.
            #[must_use]
            pub const fn versions(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($version),+],)+ }
            }

            /// Gives the name as it is written in URLs.
            #[must_use]
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$variant => $plural,)+ }
            }

            /// Says whether its objects live in namespaces.
            #[must_use]
            pub const fn is_namespaced(self) -> bool {
                match self { $(Self::$variant => matches!(Scope::$scope, Scope::Namespaced),)+ }
            }
        }

        /// An object of any kind that is read.
        #[derive(Clone, Debug, PartialEq)]
        pub enum AnyObject {
            $(#[doc = concat!("A `", $kind, "`.")] $variant(Arc<$object>),)+
        }

        impl AnyObject {
            /// Gives its kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => Kind::$variant,)+ }
            }

            /// Gives its metadata.
            #[must_use]
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Self::$variant(object) => &object.metadata,)+ }
            }

            /// Gives its metadata to be stamped; the object is copied first if it is shared.
            #[must_use]
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Self::$variant(object) => &mut Arc::make_mut(object).metadata,)+ }
            }

            /// Gives it as JSON, `apiVersion` and `kind` included.
            ///
            /// # Errors
            /// Never in practice: all types here serialise.
            pub fn to_value(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$variant(object) => encode(Kind::$variant, &**object),)+ }
            }
        }

        fn decode_kind(kind: Kind, value: Value) -> Result<AnyObject, serde_json::Error> {
            match kind { $(Kind::$variant => object(value).map(AnyObject::$variant),)+ }
        }
    };
}

enum Scope {
    Namespaced,
    Cluster,
}

const CORE: &str = "";
const DISCOVERY: &str = "discovery.k8s.io";
const NETWORKING: &str = "networking.k8s.io";

kinds! {
    GatewayClass = "GatewayClass" in GATEWAY_API ["v1", "v1beta1"] "gatewayclasses" Cluster: gateway::GatewayClass;
    Gateway = "Gateway" in GATEWAY_API ["v1", "v1beta1"] "gateways" Namespaced: gateway::Gateway;
    ListenerSet = "ListenerSet" in GATEWAY_API ["v1"] "listenersets" Namespaced: gateway::ListenerSet;
    HttpRoute = "HTTPRoute" in GATEWAY_API ["v1", "v1beta1"] "httproutes" Namespaced: route::HttpRoute;
    GrpcRoute = "GRPCRoute" in GATEWAY_API ["v1"] "grpcroutes" Namespaced: route::GrpcRoute;
    TlsRoute = "TLSRoute" in GATEWAY_API ["v1", "v1alpha3", "v1alpha2"] "tlsroutes" Namespaced: route::TlsRoute;
    TcpRoute = "TCPRoute" in GATEWAY_API ["v1", "v1alpha2"] "tcproutes" Namespaced: route::TcpRoute;
    UdpRoute = "UDPRoute" in GATEWAY_API ["v1", "v1alpha2"] "udproutes" Namespaced: route::UdpRoute;
    ReferenceGrant = "ReferenceGrant" in GATEWAY_API ["v1", "v1beta1"] "referencegrants" Namespaced: grant::ReferenceGrant;
    BackendTlsPolicy = "BackendTLSPolicy" in GATEWAY_API ["v1", "v1alpha3"] "backendtlspolicies" Namespaced: policy::BackendTlsPolicy;
    XBackend = "XBackend" in GATEWAY_API_EXPERIMENTAL ["v1alpha1"] "xbackends" Namespaced: backend::XBackend;
    XBackendTrafficPolicy = "XBackendTrafficPolicy" in GATEWAY_API_EXPERIMENTAL ["v1alpha1"] "xbackendtrafficpolicies" Namespaced: policy::XBackendTrafficPolicy;
    XMesh = "XMesh" in GATEWAY_API_EXPERIMENTAL ["v1alpha1"] "xmeshes" Cluster: mesh::XMesh;
    XTelemetryPolicy = "XTelemetryPolicy" in GATEWAY_API_EXPERIMENTAL ["v1alpha1"] "xtelemetrypolicies" Namespaced: policy::XTelemetryPolicy;
    FairwayGateway = "Gateway" in FAIRWAY ["v1alpha1"] "gateways" Namespaced: own::FairwayGateway;
    GatewayProfile = "GatewayProfile" in FAIRWAY ["v1alpha1"] "gatewayprofiles" Namespaced: own::GatewayProfile;
    TrafficRoute = "TrafficRoute" in FAIRWAY ["v1alpha1"] "trafficroutes" Namespaced: own::TrafficRoute;
    AddressPool = "AddressPool" in FAIRWAY ["v1alpha1"] "addresspools" Cluster: own::AddressPool;
    AddressClaim = "AddressClaim" in FAIRWAY ["v1alpha1"] "addressclaims" Cluster: own::AddressClaim;
    Ingress = "Ingress" in NETWORKING ["v1"] "ingresses" Namespaced: ingress::Ingress;
    IngressClass = "IngressClass" in NETWORKING ["v1"] "ingressclasses" Cluster: ingress::IngressClass;
    Service = "Service" in CORE ["v1"] "services" Namespaced: core::Service;
    EndpointSlice = "EndpointSlice" in DISCOVERY ["v1"] "endpointslices" Namespaced: core::EndpointSlice;
    Secret = "Secret" in CORE ["v1"] "secrets" Namespaced: core::Secret;
    ConfigMap = "ConfigMap" in CORE ["v1"] "configmaps" Namespaced: core::ConfigMap;
    Namespace = "Namespace" in CORE ["v1"] "namespaces" Cluster: core::Namespace;
    Node = "Node" in CORE ["v1"] "nodes" Cluster: core::Node;
}

impl Kind {
    /// Finds the kind that `apiVersion` and `kind` mean; `None` when it is not read, or not in that version.
    #[must_use]
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or((CORE, api_version));
        let found = Self::in_group(group, kind)?;
        found.versions().contains(&version).then_some(found)
    }

    /// Finds the kind in a group, whatever the version.
    #[must_use]
    pub fn in_group(group: &str, kind: &str) -> Option<Self> {
        let is = |known: &Self| known.group() == group && known.name() == kind;
        Self::ALL.iter().copied().find(is)
    }

    /// Gives `group/version` of the preferred version.
    #[must_use]
    pub fn api_version(self) -> String {
        let version = self.versions().first().copied().unwrap_or_default();
        if self.group().is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group())
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a document is no object that is read.
#[derive(Debug)]
pub enum DecodeError {
    /// `apiVersion` or `kind` is missing, or no text.
    Untyped,
    /// A kind, or a version of one, that is not read. Not a mistake: Deployments stand beside routes.
    NotRead {
        /// As written.
        api_version: String,
        /// As written.
        kind: String,
    },
    /// A field is missing or of the wrong type.
    Malformed {
        /// The kind.
        kind: Kind,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untyped => f.write_str("apiVersion or kind is missing"),
            Self::NotRead { api_version, kind } => {
                write!(f, "{kind} of {api_version} is not read")
            }
            Self::Malformed { kind, source } => write!(f, "{kind}: {source}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes an object by its `apiVersion` and `kind`. `null` counts as absent, as in the API server.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(mut value: Value) -> Result<AnyObject, DecodeError> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return Err(DecodeError::Untyped);
    };
    let Some(known) = Kind::find(&api_version, &kind) else {
        return Err(DecodeError::NotRead { api_version, kind });
    };
    drop_nulls(&mut value);
    decode_kind(known, value).map_err(|source| DecodeError::Malformed { kind: known, source })
}

fn object<T: DeserializeOwned>(value: Value) -> Result<Arc<T>, serde_json::Error> {
    serde_json::from_value(value).map(Arc::new)
}

fn encode<T: Serialize>(kind: Kind, object: &T) -> Result<Value, serde_json::Error> {
    let mut whole = serde_json::Map::new();
    whole.insert("apiVersion".to_owned(), Value::String(kind.api_version()));
    whole.insert("kind".to_owned(), Value::String(kind.name().to_owned()));
    if let Value::Object(fields) = serde_json::to_value(object)? {
        whole.extend(fields);
    }
    Ok(Value::Object(whole))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_are_found_by_group_and_version() {
        assert_eq!(Kind::find("v1", "Service"), Some(Kind::Service));
        assert_eq!(Kind::find("gateway.networking.k8s.io/v1beta1", "Gateway"), Some(Kind::Gateway));
        assert_eq!(Kind::find("fairway.dev/v1alpha1", "Gateway"), Some(Kind::FairwayGateway));
        assert_eq!(Kind::find("apps/v1", "Deployment"), None);
        assert_eq!(Kind::find("gateway.networking.k8s.io/v9", "Gateway"), None);
    }

    #[test]
    fn unknown_values_and_nulls_are_survived() {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "a", "namespace": "b", "creationTimestamp": null},
            "spec": {"rules": [{"filters": [{"type": "Teleport", "teleport": {}}], "backendRefs": null}]},
        });
        let AnyObject::HttpRoute(route) = decode(route).expect("decodes") else {
            panic!("another kind");
        };
        let filter = &route.spec.rules[0].filters[0];
        assert_eq!(filter.kind.as_str(), "Teleport");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = decode(json!({"apiVersion": "apps/v1", "kind": "Deployment"})).unwrap_err();
        assert_eq!(error.to_string(), "Deployment of apps/v1 is not read");
        assert_eq!(decode(json!([])).unwrap_err().to_string(), "apiVersion or kind is missing");
    }
}
