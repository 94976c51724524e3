//! The routes of Gateway API. What they share stands here: parents, hostnames, the shape of a rule; each
//! kind's own is in the file of its name.

pub mod filter;
pub mod grpc;
pub mod http;
pub mod session;
pub mod stream;

use serde::{Deserialize, Serialize};

use crate::duration::GepDuration;

pub use grpc::GrpcRoute;
pub use http::HttpRoute;
pub use stream::{TcpRoute, TlsRoute, UdpRoute};

/// How long a rule waits (GEP-1742).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeouts {
    /// For the whole request; zero means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<GepDuration>,
    /// For each try at a backend; zero means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<GepDuration>,
}

/// When a request is tried again (GEP-1731).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// Statuses that call for another try.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<i32>,
    /// How often after the first time; 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// The least wait between two tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<GepDuration>,
}

/// What a header field or a query parameter must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldMatch {
    /// How the value is compared; `Exact` when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<FieldMatchType>,
    /// Name of the field; a header's without regard to case.
    pub name: String,
    /// What it is compared to.
    pub value: String,
}

open_enum! {
    /// How a value is compared. HTTPRoute and GRPCRoute know the first two.
    FieldMatchType {
        /// It is the same.
        Exact = "Exact",
        /// The whole expression matches it.
        RegularExpression = "RegularExpression",
        /// It begins so.
        Prefix = "Prefix",
        /// It ends so.
        Suffix = "Suffix",
        /// It holds this.
        Contains = "Contains",
        /// It is there.
        Present = "Present",
        /// It is missing.
        Absent = "Absent",
    }
}

open_enum! {
    /// Whether a route without a parent hangs on the default Gateways (experimental).
    UseDefaultGateways {
        /// On all of them.
        All = "All",
        /// On none.
        None = "None",
    }
}
