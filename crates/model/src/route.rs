//! Routes: one entry for each rule that a user wrote, whatever its kind, with where it is attached.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::filter::{Cors, DirectResponse, HeaderModifier, Mirror, Redirect, UrlRewrite};
use crate::host::{HostPattern, HostRank};
use crate::id::{ClusterId, ListenerId};
use crate::matching::{HttpMatch, Rank};
use crate::policy::{
    IpAccess, LoadBalancing, PassiveHealth, RateLimit, Retry, SessionPersistence, Timeouts,
};

/// One rule of one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// What the user wrote, for messages and logs.
    pub origin: Origin,
    /// Where it is reachable. Never empty.
    pub attachments: Vec<Attachment>,
    /// What it does.
    pub rule: Rule,
}

/// Where a rule came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Origin {
    /// Kind of the object: `HTTPRoute`, `Ingress`, …
    pub kind: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Place of the rule in it, from 0.
    pub rule: u32,
    /// Name of the rule, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_name: Option<Arc<str>>,
    /// Generation of the object that says so: a data plane that acknowledges the entry
    /// acknowledges this generation.
    pub generation: i64,
}

/// One listener that a route hangs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// The listener.
    pub listener: ListenerId,
    /// Under which hosts. Never empty.
    pub hosts: Vec<AttachedHost>,
}

/// One host of an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachedHost {
    /// The hosts that the route's and the listener's hostname have in common.
    pub pattern: HostPattern,
    /// How exact the route's own hostname is: it decides between routes, and the intersection with
    /// the listener does not (Gateway API v1.7, `GatewayRouteHostnameIntersectionPrecedence`).
    pub rank: HostRank,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Rule {
    /// On HTTP and HTTPS listeners.
    Http(Box<HttpRule>),
    /// On TLS, TCP and UDP listeners.
    Stream(StreamRule),
}

/// A rule over requests. The phases stand in the order in which they run: match, address lists,
/// rate limits, CORS, then the action with its own (headers, rewrite, mirrors, backends), then the
/// response's headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRule {
    /// Alternatives, one of which must hold. Never empty.
    pub matches: Vec<HttpMatch>,
    /// In which form errors of our own are answered.
    #[serde(default, skip_serializing_if = "HttpDialect::is_plain")]
    pub dialect: HttpDialect,
    /// Who may call, by address.
    #[serde(default, skip_serializing_if = "IpAccess::is_empty")]
    pub ip_access: IpAccess,
    /// How many requests pass. All of them must let a request pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    /// Which pages may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// What is done with a request that came this far.
    pub action: HttpAction,
    /// Changes to the response, the backend's or our own redirect.
    #[serde(default, skip_serializing_if = "HeaderModifier::is_empty")]
    pub response_headers: HeaderModifier,
}

/// In which form errors of our own are answered (N30).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HttpDialect {
    /// Status and text.
    #[default]
    Plain,
    /// Status 200 with `grpc-status` for requests of type `application/grpc`.
    Grpc,
}

impl HttpDialect {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum HttpAction {
    /// It goes to a backend.
    Forward(Box<Forward>),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// We answer.
    Respond(DirectResponse),
    /// The rule cannot be served as written: fail closed. The status is 500 or 503.
    Fail(Failure),
}

/// Why something cannot be served, for logs and `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// The answer: 500 to 599.
    pub status: u16,
    /// What is wrong, in words of the user's objects.
    pub reason: Arc<str>,
}

/// How a request goes to a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forward {
    /// Where to, by weight. Never empty, and their weights never sum up to zero.
    pub backends: Vec<WeightedBackend>,
    /// Changes to the request's headers.
    #[serde(default, skip_serializing_if = "HeaderModifier::is_empty")]
    pub request_headers: HeaderModifier,
    /// Changes to host and path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<UrlRewrite>,
    /// Copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// How long to wait.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How clients stay with an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionPersistence>,
    /// Which endpoint is next.
    #[serde(default)]
    pub load_balancing: LoadBalancing,
    /// When an endpoint rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passive_health: Option<PassiveHealth>,
}

/// A backend with its share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeightedBackend {
    /// Its share of the sum of all weights. Zero gets nothing.
    pub weight: u32,
    /// Who it is.
    pub target: BackendTarget,
    /// Changes to requests that go to it, after the rule's own.
    #[serde(default, skip_serializing_if = "HeaderModifier::is_empty")]
    pub request_headers: HeaderModifier,
    /// Changes to responses that come from it, before the rule's own.
    #[serde(default, skip_serializing_if = "HeaderModifier::is_empty")]
    pub response_headers: HeaderModifier,
    /// Changes to host and path; instead of the rule's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<UrlRewrite>,
    /// Copies of requests that go to it, besides the rule's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
}

/// Who a backend is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum BackendTarget {
    /// A cluster. One without endpoints answers 503.
    Cluster(ClusterId),
    /// A reference that cannot be served: its share of the requests fails (N20, N21).
    Fail(Failure),
}

/// A rule over connections or datagrams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamRule {
    /// Where it stands among rules of the same listener and host.
    pub rank: Rank,
    /// Where to, by weight. Empty, or of no weight: the connection is closed.
    pub backends: Vec<WeightedTarget>,
    /// Which endpoint is next.
    #[serde(default)]
    pub load_balancing: LoadBalancing,
    /// Who may call, by address.
    #[serde(default, skip_serializing_if = "IpAccess::is_empty")]
    pub ip_access: IpAccess,
}

/// A backend of a stream with its share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeightedTarget {
    /// Its share of the sum of all weights. Zero gets nothing.
    pub weight: u32,
    /// Who it is; a failed one has its share of connections closed.
    pub target: BackendTarget,
}
