//! Fairway's Gateway and GatewayProfile. Only what is served stands here: proxies and load balancers to
//! choose from come with what runs them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gateway::{AllowedListeners, GatewayAddress, GatewayTls, Listener};
use crate::meta::Object;
use crate::status::GatewayStatus;

/// A Gateway of group `fairway.dev`, short name `fgw`.
pub type FairwayGateway = Object<FairwayGatewaySpec, GatewayStatus>;
/// A GatewayProfile: what Gateways of Gateway API are like that name it in `parametersRef`.
pub type GatewayProfile = Object<GatewayProfileSpec, ()>;

/// An entry point: which ports, which proxy, for whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FairwayGatewaySpec {
    /// Its listeners, as in Gateway API.
    pub listeners: Vec<Listener>,
    /// Addresses it asks for, as in Gateway API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<GatewayAddress>,
    /// Whose ListenerSets may hang on it, as in Gateway API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_listeners: Option<AllowedListeners>,
    /// TLS of the whole Gateway, as in Gateway API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
    /// Which proxy serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxySpec>,
    /// Names of the IngressClasses whose Ingresses it serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress_classes: Vec<String>,
}

/// What Gateways of Gateway API are like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayProfileSpec {
    /// Which proxy serves them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxySpec>,
}

/// Which proxy serves a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxySpec {
    /// The proxy. Fairway's own data plane when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProxyEngine")]
    pub engine: Option<ProxyEngine>,
}

open_enum! {
    /// The proxies that can serve a Gateway.
    ProxyEngine {
        /// Fairway's own data plane.
        Fairway = "Fairway",
    }
}
