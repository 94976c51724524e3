//! Fairway's Gateway and GatewayProfile. The blocks that both have are in [`super::proxy`].

use serde::{Deserialize, Serialize};

use crate::gateway::{AllowedListeners, GatewayAddress, GatewayTls, Listener};
use crate::meta::Object;
use crate::own::proxy::{LoadBalancerSpec, Marks, ProxySpec};
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
    /// How its proxies are reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancerSpec>,
    /// What every object made for it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<Marks>,
    /// Whether its proxies are left as they are, whatever changes; what they serve still follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Whether its proxies stay when it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_on_delete: Option<bool>,
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
    /// How their proxies are reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancerSpec>,
    /// Whether their proxies are left as they are, whatever changes; what they serve still follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Whether their proxies stay when they are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_on_delete: Option<bool>,
}
