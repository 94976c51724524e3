//! How a rule treats its traffic beyond where it goes: times, retries, limits, balance, health.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A length of time in whole milliseconds, never zero: "off" is an absent value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub std::num::NonZeroU64);

impl Millis {
    /// Wraps a number of milliseconds; `None` for zero, which means "off" wherever a time may be set.
    #[must_use]
    pub fn new(milliseconds: u64) -> Option<Self> {
        std::num::NonZeroU64::new(milliseconds).map(Self)
    }

    /// Gives it as a [`Duration`].
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0.get())
    }
}

/// How long a rule waits (N16).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// From the request's last head byte to the response's last byte, retries included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Millis>,
    /// The same for one attempt at one backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Millis>,
    /// Until a connection to the backend stands; the data plane's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Millis>,
    /// Between two reads or writes of one exchange; the data plane's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Millis>,
}

/// When a request is tried again (GEP-1731; N14, N15). Never after a response byte was passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// How often after the first time. At least 1.
    pub attempts: u32,
    /// Statuses of the backend that call for another try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<u16>,
    /// Failures that call for another try. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<RetryOn>,
    /// The least wait between two tries; it grows with each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Millis>,
    /// How long one try may take until the next; `timeouts.backend_request` holds besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Millis>,
    /// Whether methods such as POST are tried again after bytes of them were sent.
    #[serde(default)]
    pub non_idempotent: bool,
}

/// A failure that may call for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryOn {
    /// No connection came about. Nothing was sent, so any method may be tried again.
    ConnectFailure,
    /// The connection broke before the response's head.
    Reset,
    /// `backend_request` or `per_try_timeout` ran out before the response's head.
    Timeout,
    /// The backend refused the stream unseen (HTTP/2 `REFUSED_STREAM`).
    RefusedStream,
}

/// How requests of one client stay with one endpoint (GEP-1619; N23).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionPersistence {
    /// Name of the cookie, or of the header (lower case).
    pub name: Arc<str>,
    /// Where the session's mark travels.
    pub carrier: SessionCarrier,
    /// After so long the mark counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_timeout: Option<Millis>,
    /// After so long without a request the mark counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Millis>,
}

/// Where a session's mark travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum SessionCarrier {
    /// In a cookie that we set.
    Cookie {
        /// `Path` of the cookie.
        path: Arc<str>,
        /// Whether it outlives the browser's session (`Max-Age` is `absolute_timeout`).
        permanent: bool,
    },
    /// In a header that we set on responses and the client sends back.
    Header,
}

/// Which of a cluster's endpoints takes the next request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum LoadBalancing {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The less busy one of two drawn at random.
    LeastRequest,
    /// Any.
    Random,
    /// Always the same one for the same key, and few keys move when endpoints come and go.
    ConsistentHash(HashSource),
}

/// What is hashed. A request without it is balanced in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum HashSource {
    /// This header (lower case), repeated ones joined.
    Header(Arc<str>),
    /// This cookie.
    Cookie(Arc<str>),
    /// The client's address.
    ClientIp,
    /// The canonical path.
    Path,
    /// This query parameter.
    QueryParam(Arc<str>),
}

/// When an endpoint that answers badly gets no more traffic for a while (outlier ejection).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassiveHealth {
    /// So many 5xx answers (or failures) in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_5xx: Option<u32>,
    /// So many 502, 503, 504 answers or failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_gateway_errors: Option<u32>,
    /// The row is forgotten after this time without one.
    pub interval: Millis,
    /// How long the first ejection lasts; the n-th lasts n times as long.
    pub base_ejection_time: Millis,
    /// At most this share of a cluster's endpoints, 1 to 100, is ejected; one may always be.
    pub max_ejection_percent: u8,
}

/// How many requests pass, counted in this process (token bucket, N22).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests with the same key share a bucket.
    pub key: RateLimitKey,
    /// So many requests in `period`. At least 1.
    pub requests: u32,
    /// See `requests`.
    pub period: Millis,
    /// How many may come at once. At least 1.
    pub burst: u32,
    /// The answer to those over it: 400 to 599.
    pub status: u16,
}

/// What requests share a bucket by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum RateLimitKey {
    /// The client's address.
    ClientIp,
    /// This header's value (lower-case name); requests without it share one bucket.
    Header(Arc<str>),
    /// All requests of the rule.
    Constant,
}

/// Who may call, by address. `deny` is asked first; a non-empty `allow` shuts all others out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IpAccess {
    /// These and no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpNet>,
    /// Never these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<IpNet>,
}

impl IpAccess {
    /// Says whether nobody is shut out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}
