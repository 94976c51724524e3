//! What is done to a request or a response on its way: the filters of Gateway API and our own.
//! Their order is fixed (see [`route::HttpRule`](crate::route::HttpRule)), not the user's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::route::BackendTarget;

/// Changes to header fields. Applied as remove, then set, then add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderModifier {
    /// Replaced, or added when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<HeaderField>,
    /// Added beside those that are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<HeaderField>,
    /// Taken away. Lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Arc<str>>,
}

impl HeaderModifier {
    /// Says whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// A header field that is safe to send: a token and visible text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderField {
    /// Lower case.
    pub name: Arc<str>,
    /// Without CR, LF, NUL or other control characters.
    pub value: Arc<str>,
}

/// An answer that sends the client elsewhere (`RequestRedirect`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redirect {
    /// The scheme to use; the request's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// The host to use; the request's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Arc<str>>,
    /// The port to write. When absent: the well-known port of `scheme` if that is set, else the
    /// listener's declared port; a scheme's own port is never written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the path changes; the query is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A URL scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Port 80.
    Http,
    /// Port 443.
    Https,
}

/// How a request changes before it is forwarded (`URLRewrite`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlRewrite {
    /// The `Host` that the backend sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Arc<str>>,
    /// How the path changes; the query is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
}

/// How a path changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum PathRewrite {
    /// The whole path becomes this one.
    ReplaceFull(Arc<str>),
    /// The prefix that was matched becomes this one, joined by exactly one slash
    /// (the table in Gateway API's HTTPPathModifier, N19).
    ReplacePrefix(Arc<str>),
}

/// A copy of the request sent to a second backend, whose answer is thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirror {
    /// Where the copy goes.
    pub target: BackendTarget,
    /// Of so many requests, `numerator` are copied. `numerator <= denominator`, `denominator > 0`.
    pub numerator: u32,
    /// See `numerator`.
    pub denominator: u32,
}

/// Which pages may call from a browser (the `CORS` filter, GEP-1767).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cors {
    /// Origins that are let in.
    pub allow_origins: Vec<OriginMatch>,
    /// Whether cookies and the like may come along; then `*` is answered by the origin itself.
    #[serde(default)]
    pub allow_credentials: bool,
    /// Methods; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<Arc<str>>,
    /// Request headers; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<Arc<str>>,
    /// Response headers that the page may read; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<Arc<str>>,
    /// Seconds for which a preflight answer may be kept.
    pub max_age: u32,
}

/// An origin that a page may come from: `*`, `https://a.example.com`, `https://*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum OriginMatch {
    /// All of them.
    Any,
    /// This one, as written, lower case.
    Exact(Arc<str>),
    /// One that begins with `prefix` (`https://`) and ends in `suffix` (`.example.com:8443`), with
    /// at least one character between them.
    Wildcard {
        /// Scheme and `://`.
        prefix: Arc<str>,
        /// From the dot on, port included.
        suffix: Arc<str>,
    },
}

/// An answer given without a backend (`DirectResponse`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    /// Media type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Arc<str>>,
    /// The body, at most 64 KiB.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub body: Arc<str>,
}
