//! TrafficRoute: HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute in one, field for field, and more.
//!
//! An HTTPRoute's spec pasted into a TrafficRoute means the same: `translate` reads an HTTPRoute's rules
//! as TrafficRoute's by the conversions here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plugin::{HealthCheck, LoadBalancing, RateLimit, Retry, Timeouts};
use crate::meta::Object;
use crate::reference::{BackendRef, ParentReference};
use crate::route::filter::Filter;
use crate::route::grpc::{GrpcMethodMatch, GrpcRouteMatch, GrpcRouteRule};
use crate::route::http::{HttpPathMatch, HttpRouteMatch, HttpRouteRule, PathMatchType};
use crate::route::session::SessionPersistence;
use crate::route::stream::StreamRouteRule;
use crate::route::{FieldMatch, FieldMatchType};
use crate::status::RouteStatus;

/// A TrafficRoute, short name `tr`.
pub type TrafficRoute = Object<TrafficRouteSpec, RouteStatus>;

/// What a TrafficRoute wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficRouteSpec {
    /// What it hangs on. `group: fairway.dev` means Fairway's Gateway, none Gateway API's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_refs: Vec<ParentReference>,
    /// Which hosts; all of the listener's when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// How many labels a leading `*.` stands for; `MultiLabel` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname_wildcard: Option<HostnameWildcard>,
    /// What is routed; `HTTP` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<TrafficProtocol>,
    /// Plugin blocks for all rules that do not have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Plugins>,
    /// Its rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<TrafficRouteRule>,
}

open_enum! {
    /// How many labels a wildcard stands for.
    HostnameWildcard {
        /// One or more.
        MultiLabel = "MultiLabel",
        /// One.
        SingleLabel = "SingleLabel",
    }
}

open_enum! {
    /// What a TrafficRoute routes.
    TrafficProtocol {
        /// HTTP requests.
        Http = "HTTP",
        /// gRPC calls.
        Grpc = "GRPC",
        /// TLS connections, by server name.
        Tls = "TLS",
        /// TCP connections.
        Tcp = "TCP",
        /// UDP datagrams.
        Udp = "UDP",
    }
}

/// The plugin blocks. In a rule, a block that is there counts as a whole; else the one of `defaults`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!(has(self.timeouts) && has(self.timeouts.request) && has(self.retry) && has(self.retry.perTryTimeout) && duration(self.timeouts.request) != duration('0s') && duration(self.retry.perTryTimeout) > duration(self.timeouts.request))",
        "message": "perTryTimeout cannot be longer than request timeout",
    },
]))]
pub struct Plugins {
    /// How long to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timeouts")]
    pub timeouts: Option<Timeouts>,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retry")]
    pub retry: Option<Retry>,
    /// Which endpoint takes the next request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LoadBalancing")]
    pub load_balancing: Option<LoadBalancing>,
    /// When an endpoint gets no traffic because of how it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HealthCheck")]
    pub health_check: Option<HealthCheck>,
    /// How many requests pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RateLimit")]
    pub rate_limit: Option<RateLimit>,
    /// Networks of clients that may call; all when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)), extend("x-kubernetes-validations" = [
        {"rule": "self.all(network, isIP(network) || isCIDR(network))", "message": "write addresses or networks such as 10.0.0.0/8"},
    ]))]
    pub ip_allow: Vec<String>,
    /// Networks of clients that may not call; asked before `ipAllow`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)), extend("x-kubernetes-validations" = [
        {"rule": "self.all(network, isIP(network) || isCIDR(network))", "message": "write addresses or networks such as 10.0.0.0/8"},
    ]))]
    pub ip_deny: Vec<String>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficRouteRule {
    /// Its name, unique in the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Alternatives; everything when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<TrafficMatch>,
    /// What is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Where to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backend_refs: Vec<BackendRef>,
    /// How clients stay with an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
    /// The plugin blocks.
    #[serde(flatten)]
    pub plugins: Plugins,
}

/// What a request must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficMatch {
    /// Its path; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<TrafficPathMatch>,
    /// Its headers, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<TrafficFieldMatch>,
    /// Its query parameters, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_params: Vec<TrafficFieldMatch>,
    /// Its cookies, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<TrafficFieldMatch>,
    /// Its method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Its method, any of these; besides `method`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Networks, one of which its client must be in.
    #[serde(rename = "clientCIDRs", skip_serializing_if = "Vec::is_empty")]
    pub client_cidrs: Vec<String>,
    /// Its service and method, for protocol `GRPC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcMethodMatch>,
}

/// What a path must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficPathMatch {
    /// How it is compared; `PathPrefix` when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<PathMatchType>,
    /// What it is compared to; `/` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether case counts; it does when absent. Only `Exact` and `PathPrefix` can do without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_sensitive: Option<bool>,
}

/// What a header, query parameter or cookie must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficFieldMatch {
    /// How the value is compared; Exact when absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FieldMatchType")]
    pub kind: Option<FieldMatchType>,
    /// Name of the field.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What it is compared to. Not needed for Present and Absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 4096))]
    pub value: Option<String>,
    /// Turns the answer round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub negate: Option<bool>,
}

impl From<&HttpRouteRule> for TrafficRouteRule {
    fn from(rule: &HttpRouteRule) -> Self {
        let HttpRouteRule {
            name,
            matches,
            filters,
            backend_refs,
            timeouts,
            retry,
            session_persistence,
        } = rule;
        let plugins = Plugins {
            timeouts: timeouts.as_ref().map(Into::into),
            retry: retry.as_ref().map(Into::into),
            ..Plugins::default()
        };
        Self {
            name: name.clone(),
            matches: matches.iter().map(Into::into).collect(),
            filters: filters.clone(),
            backend_refs: backend_refs.clone(),
            session_persistence: session_persistence.clone(),
            plugins,
        }
    }
}

impl From<&GrpcRouteRule> for TrafficRouteRule {
    fn from(rule: &GrpcRouteRule) -> Self {
        let GrpcRouteRule { name, matches, filters, backend_refs, session_persistence } = rule;
        Self {
            name: name.clone(),
            matches: matches.iter().map(Into::into).collect(),
            filters: filters.clone(),
            backend_refs: backend_refs.clone(),
            session_persistence: session_persistence.clone(),
            plugins: Plugins::default(),
        }
    }
}

impl From<&StreamRouteRule> for TrafficRouteRule {
    fn from(rule: &StreamRouteRule) -> Self {
        let StreamRouteRule { name, backend_refs } = rule;
        Self { name: name.clone(), backend_refs: backend_refs.clone(), ..Self::default() }
    }
}

impl From<&HttpRouteMatch> for TrafficMatch {
    fn from(matched: &HttpRouteMatch) -> Self {
        let HttpRouteMatch { path, headers, query_params, method } = matched;
        Self {
            path: path.as_ref().map(Into::into),
            headers: headers.iter().map(Into::into).collect(),
            query_params: query_params.iter().map(Into::into).collect(),
            method: method.clone(),
            ..Self::default()
        }
    }
}

impl From<&GrpcRouteMatch> for TrafficMatch {
    fn from(matched: &GrpcRouteMatch) -> Self {
        let GrpcRouteMatch { method, headers } = matched;
        Self {
            grpc: method.clone(),
            headers: headers.iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

impl From<&HttpPathMatch> for TrafficPathMatch {
    fn from(path: &HttpPathMatch) -> Self {
        let HttpPathMatch { kind, value } = path;
        Self { kind: kind.clone(), value: value.clone(), case_sensitive: None }
    }
}

impl From<&FieldMatch> for TrafficFieldMatch {
    fn from(field: &FieldMatch) -> Self {
        let FieldMatch { kind, name, value } = field;
        Self { kind: kind.clone(), name: name.clone(), value: Some(value.clone()), negate: None }
    }
}

impl From<&crate::route::Timeouts> for Timeouts {
    fn from(timeouts: &crate::route::Timeouts) -> Self {
        let crate::route::Timeouts { request, backend_request } = timeouts;
        Self {
            request: request.clone(),
            backend_request: backend_request.clone(),
            ..Self::default()
        }
    }
}

impl From<&crate::route::Retry> for Retry {
    fn from(retry: &crate::route::Retry) -> Self {
        let crate::route::Retry { codes, attempts, backoff } = retry;
        Self {
            codes: codes.clone(),
            attempts: *attempts,
            backoff: backoff.clone(),
            ..Self::default()
        }
    }
}
