//! GRPCRoute.

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::session::SessionPersistence;
use super::{FieldMatch, UseDefaultGateways};
use crate::meta::Object;
use crate::reference::{BackendRef, ParentReference};
use crate::status::RouteStatus;

/// A GRPCRoute.
pub type GrpcRoute = Object<GrpcRouteSpec, RouteStatus>;

/// What a GRPCRoute wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteSpec {
    /// What it hangs on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_refs: Vec<ParentReference>,
    /// Whether it hangs on the default Gateways (experimental).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_default_gateways: Option<UseDefaultGateways>,
    /// Which hosts; all of the listener's when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// Its rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<GrpcRouteRule>,
}

/// A rule over gRPC calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteRule {
    /// Its name, unique in the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Alternatives; every call when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<GrpcRouteMatch>,
    /// What is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Where to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backend_refs: Vec<BackendRef>,
    /// How clients stay with an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

/// What a call must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcRouteMatch {
    /// Its service and method; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<GrpcMethodMatch>,
    /// Its metadata, all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<FieldMatch>,
}

/// Which service and method are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct GrpcMethodMatch {
    /// How both are compared; `Exact` when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GrpcMethodMatchType")]
    pub kind: Option<GrpcMethodMatchType>,
    /// The service, with its package; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 1024))]
    pub service: Option<String>,
    /// The method; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 1024))]
    pub method: Option<String>,
}

open_enum! {
    /// How service and method are compared.
    GrpcMethodMatchType {
        /// They are the same.
        Exact = "Exact",
        /// The whole expressions match them.
        RegularExpression = "RegularExpression",
    }
}
