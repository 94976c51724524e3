//! GatewayClass, Gateway and ListenerSet. Fairway's own Gateway has the same listeners.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meta::{LabelSelector, Object};
use crate::reference::{
    LocalObjectReference, ObjectReference, ParentReference, RouteGroupKind, SecretObjectReference,
};
use crate::route::filter::Filter;
use crate::status::{ClassStatus, GatewayStatus, ListenerSetStatus};

/// A GatewayClass.
pub type GatewayClass = Object<GatewayClassSpec, ClassStatus>;
/// A Gateway of Gateway API.
pub type Gateway = Object<GatewaySpec, GatewayStatus>;
/// A ListenerSet.
pub type ListenerSet = Object<ListenerSetSpec, ListenerSetStatus>;

/// Whose Gateways the class's are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// The controller that answers for it.
    pub controller_name: String,
    /// What its Gateways are like: a `GatewayProfile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<ObjectReference>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a Gateway wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Its class.
    pub gateway_class_name: String,
    /// Its listeners.
    #[serde(default)]
    pub listeners: Vec<Listener>,
    /// Addresses it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<GatewayAddress>,
    /// What its infrastructure carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<Infrastructure>,
    /// Whose ListenerSets may hang on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_listeners: Option<AllowedListeners>,
    /// TLS of the whole Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
    /// Whether routes without a parent hang on it (experimental).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_scope: Option<DefaultScope>,
}

open_enum! {
    /// Which routes use a default Gateway.
    DefaultScope {
        /// All that ask for one.
        All = "All",
        /// None.
        None = "None",
    }
}

/// What a ListenerSet adds to a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerSetSpec {
    /// The Gateway. Its `sectionName` and `port` are not written here.
    pub parent_ref: ParentReference,
    /// The listeners.
    #[serde(default)]
    pub listeners: Vec<Listener>,
}

/// A port of a Gateway under a hostname.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Unique among its neighbours.
    pub name: String,
    /// Which hosts it answers for; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// 1 to 65535.
    pub port: i32,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// How TLS is handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Which routes may hang on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_routes: Option<AllowedRoutes>,
    /// What is done before routing (v1.7, experimental).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<ListenerFilters>,
}

open_enum! {
    /// What is spoken on a listener.
    #[derive(Default)]
    Protocol {
        /// HTTP in clear text.
        #[default]
        Http = "HTTP",
        /// HTTP inside TLS that ends here.
        Https = "HTTPS",
        /// Anything inside TLS.
        Tls = "TLS",
        /// Anything over TCP.
        Tcp = "TCP",
        /// Datagrams.
        Udp = "UDP",
    }
}

/// What a listener does to requests before it routes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListenerFilters {
    /// The filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Filter>,
}

/// How a listener handles TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerTls {
    /// Where TLS ends; here when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,
    /// Certificates, as Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_refs: Vec<SecretObjectReference>,
    /// Options of implementations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

open_enum! {
    /// Where TLS ends.
    TlsMode {
        /// Here.
        Terminate = "Terminate",
        /// At the backend.
        Passthrough = "Passthrough",
    }
}

/// Which routes may hang on a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedRoutes {
    /// From where; the Gateway's own namespace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<FromNamespaces>,
    /// Of which kinds; all that the protocol allows when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<RouteGroupKind>,
}

/// Whose ListenerSets may hang on a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedListeners {
    /// From where; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<FromNamespaces>,
}

/// From which namespaces something may come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromNamespaces {
    /// Which; `Same` for routes and `None` for ListenerSets when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NamespacesFrom>,
    /// The labels, for `Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

open_enum! {
    /// From which namespaces something may come.
    NamespacesFrom {
        /// From all.
        All = "All",
        /// From those that a selector means.
        Selector = "Selector",
        /// From the same one.
        Same = "Same",
        /// From none.
        None = "None",
    }
}

/// An address that a Gateway asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayAddress {
    /// `IPAddress` when absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The address; any of that type when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// From where it must be reachable (v1.7, experimental).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routability: Option<String>,
}

/// What a Gateway's infrastructure carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Infrastructure {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What the Gateway is like: a `GatewayProfile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<LocalObjectReference>,
}

/// TLS of a whole Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayTls {
    /// Towards backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendTls>,
    /// Towards clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<FrontendTls>,
}

/// TLS of a Gateway towards backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTls {
    /// The certificate to show to backends that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretObjectReference>,
}

/// TLS of a Gateway towards clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrontendTls {
    /// On ports without an entry of their own.
    #[serde(default)]
    pub default: FrontendTlsConfig,
    /// By port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_port: Vec<PortFrontendTls>,
}

/// TLS of a port towards clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortFrontendTls {
    /// The port.
    pub port: i32,
    /// How.
    pub tls: FrontendTlsConfig,
}

/// TLS towards clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendTlsConfig {
    /// How a client's certificate is checked; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<FrontendValidation>,
}

/// How a client's certificate is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrontendValidation {
    /// Bundles of authorities: ConfigMaps with `ca.crt`.
    #[serde(default)]
    pub ca_certificate_refs: Vec<ObjectReference>,
    /// What happens to a client without a valid certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FrontendValidationMode>,
}

open_enum! {
    /// What happens to a client without a valid certificate.
    FrontendValidationMode {
        /// It is refused.
        AllowValidOnly = "AllowValidOnly",
        /// It is let in.
        AllowInsecureFallback = "AllowInsecureFallback",
    }
}
