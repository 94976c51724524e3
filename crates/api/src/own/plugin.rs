//! The plugin blocks of TrafficRoute: what a rule does with its traffic beyond Gateway API's words. Each
//! block may stand in a rule, or in the route's `defaults` for all rules that do not have it.
//!
//! The doc comments are the help text of the CRD.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::GepDuration;

/// How long a rule waits. Zero means for ever, where it is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && duration(self.backendRequest) > duration(self.request))",
        "message": "backendRequest timeout cannot be longer than request timeout",
    },
]))]
pub struct Timeouts {
    /// For the whole request, retries included; zero means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub request: Option<GepDuration>,
    /// For each try at a backend; zero means for ever. Not longer than `request`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub backend_request: Option<GepDuration>,
    /// Until a connection to the backend stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub connect: Option<GepDuration>,
    /// Between two reads or writes of an exchange or an upgraded connection; zero means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub idle: Option<GepDuration>,
}

/// When a request is tried again. Never after a byte of the response was passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// Statuses of the backend that call for another try.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(range(min = 400, max = 599)))]
    pub codes: Vec<i32>,
    /// How often after the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 0, max = 10))]
    pub attempts: Option<i32>,
    /// The least wait between two tries; it grows with each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub backoff: Option<GepDuration>,
    /// Failures that call for another try; all of them when absent. Not named `on`, since YAML 1.1 reads
    /// that as `true`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub retry_on: Vec<RetryOn>,
    /// How long one try may take until the next begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub per_try_timeout: Option<GepDuration>,
    /// Whether methods such as POST are tried again after bytes of them were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub non_idempotent: Option<bool>,
}

open_enum! {
    /// Failures that may call for another try.
    RetryOn {
        /// No connection came about.
        ConnectFailure = "connect-failure",
        /// The connection broke before the response began.
        Reset = "reset",
        /// The time for a try ran out before the response began.
        Timeout = "timeout",
        /// The backend refused the HTTP/2 stream unseen.
        RefusedStream = "refused-stream",
    }
}

/// Which endpoint takes the next request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.consistentHash) == (has(self.algorithm) && self.algorithm == 'ConsistentHash')",
        "message": "consistentHash goes with algorithm ConsistentHash, and with no other",
    },
]))]
pub struct LoadBalancing {
    /// The way to choose; RoundRobin when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LoadBalancingAlgorithm")]
    pub algorithm: Option<LoadBalancingAlgorithm>,
    /// What is hashed, for ConsistentHash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConsistentHash")]
    pub consistent_hash: Option<ConsistentHash>,
}

open_enum! {
    /// The ways to choose an endpoint.
    LoadBalancingAlgorithm {
        /// Each in turn.
        RoundRobin = "RoundRobin",
        /// The less busy one of two drawn at random.
        LeastRequest = "LeastRequest",
        /// Any.
        Random = "Random",
        /// The same one for the same key.
        ConsistentHash = "ConsistentHash",
    }
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.name) == (self.source in ['header', 'cookie', 'queryParam'])",
        "message": "name is for the sources header, cookie and queryParam, and needed there",
    },
]))]
pub struct ConsistentHash {
    /// What it is taken from.
    pub source: HashSource,
    /// Name of the header, cookie or query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub name: Option<String>,
}

open_enum! {
    /// What a hash is taken from.
    HashSource {
        /// A header.
        Header = "header",
        /// A cookie.
        Cookie = "cookie",
        /// The client's address.
        ClientIp = "clientIP",
        /// The path.
        Path = "path",
        /// A query parameter.
        QueryParam = "queryParam",
    }
}

/// When an endpoint gets no traffic because of how it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCheck {
    /// By the answers to ordinary requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PassiveHealthCheck")]
    pub passive: Option<PassiveHealthCheck>,
}

/// An endpoint that answers badly rests for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PassiveHealthCheck {
    /// After so many 5xx answers or failures in a row; 5 when this and `consecutiveGatewayErrors` are
    /// absent.
    #[serde(rename = "consecutive5xx", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub consecutive_5xx: Option<i32>,
    /// After so many 502, 503, 504 answers or failures in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub consecutive_gateway_errors: Option<i32>,
    /// The row is forgotten after this time without one; 10s when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub interval: Option<GepDuration>,
    /// How long the first rest lasts, the n-th lasts n times as long; 30s when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GepDuration")]
    pub base_ejection_time: Option<GepDuration>,
    /// At most this share of the endpoints rests at once; 10 when absent. One may always.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 100))]
    pub max_ejection_percent: Option<i32>,
}

/// How many requests pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimit {
    /// Counted by each proxy for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LocalRateLimit")]
    pub local: Option<LocalRateLimit>,
}

/// Limits that each proxy counts for itself. A request must pass all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRateLimit {
    /// The limits.
    #[schemars(length(min = 1, max = 8))]
    pub rules: Vec<RateLimitRule>,
}

/// One limit: a token bucket for each key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.header) == (self.key == 'header')",
        "message": "header is for the key header, and needed there",
    },
]))]
pub struct RateLimitRule {
    /// What requests share a bucket by; `constant` for one bucket for all.
    pub key: RateLimitKey,
    /// Name of the header, for `header`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub header: Option<String>,
    /// How many requests pass in a unit.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub requests: i32,
    /// The unit.
    pub unit: RateLimitUnit,
    /// How many may come at once; `requests` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1_000_000_000))]
    pub burst: Option<i32>,
    /// The answer to those over it; 429 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 400, max = 599))]
    pub status_code: Option<i32>,
}

open_enum! {
    /// What requests share a bucket by.
    RateLimitKey {
        /// The client's address.
        ClientIp = "clientIP",
        /// A header's value.
        Header = "header",
        /// Nothing: one bucket for all.
        Constant = "constant",
    }
}

open_enum! {
    /// Units of time.
    RateLimitUnit {
        /// One second.
        Second = "Second",
        /// One minute.
        Minute = "Minute",
        /// One hour.
        Hour = "Hour",
        /// One day.
        Day = "Day",
    }
}
