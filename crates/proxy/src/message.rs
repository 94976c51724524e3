//! One message, whatever version of HTTP it came in: heads with a canonical target, canonical
//! authority and validated fields. Made by `h1` or from the `http` crate's types (HTTP/2); what
//! exists here may be written to any peer as it is. Bodies are not here.
//!
//! How a message goes through the gateway: a head comes from [`crate::h1::Reader`] or
//! [`RequestHead::from_http`]; routes are matched on its public fields; [`forward::request`] takes
//! away what belongs to one connection and sets the `X-Forwarded-*` fields; [`crate::h1::Writer`] or
//! [`RequestHead::to_http`] sends it on. Rewrites build new [`Path`]s and [`Authority`]s by `parse`,
//! so that their results are canonical too.

pub use authority::Authority;
pub use field::{HeaderName, HeaderValue};
pub use headers::Headers;
pub use method::Method;
pub use path::{Path, Query};
pub use target::Target;
pub use text::Malformed;

pub mod forward;

mod authority;
mod convert;
mod field;
pub(crate) mod headers;
mod method;
mod path;
mod target;
pub(crate) mod text;

use bytes::Bytes;

/// The head of a request. To change a field is to change what is sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Method,
    /// As the connection says, never as the request does.
    pub scheme: Scheme,
    /// From the absolute-form target, `:authority` or the `Host` field, which are equal. Empty only
    /// in an HTTP/1.0 request without a host. The `Host` field is not kept in `headers`.
    pub authority: Authority,
    pub path: Path,
    /// Without the question mark; `Some` and empty for `/path?`.
    pub query: Option<Query>,
    /// The version it came in; what is sent upstream is the upstream connection's.
    pub version: Version,
    /// All fields but `Host` and `Expect`.
    pub headers: Headers,
    /// The protocol that the client wants to switch to: of HTTP/1.1 the `Upgrade` field that
    /// `Connection` names, of HTTP/2 `:protocol` (RFC 8441, the method then is `Connect`). Never
    /// `h2c`, which is not served. The HTTP/1.1 writer sends `upgrade` from it.
    pub upgrade: Option<HeaderValue>,
}

/// The head of a response, interim ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// 100 to 999; made by [`Status::new`].
    pub status: Status,
    /// The reason phrase of HTTP/1.1; not sent on, since HTTP/2 has none.
    pub reason: Option<Bytes>,
    /// The version it came in.
    pub version: Version,
    pub headers: Headers,
}

/// The version of HTTP that a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    Http10,
    Http11,
    Http2,
}

/// How the client reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

/// A status code from 100 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

/// What to do with a request's field names that have an underscore: `x_user` and `x-user` are one
/// name to servers that build environment variables of them (topic N9, attack A16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Underscores {
    /// 400.
    Refuse,
    /// The field is left out (profile IngressNginx).
    Drop,
    /// Kept; for backends that are known to be safe.
    Keep,
}

/// How large a head may be. Fixed when a listener or an upstream is made, not per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request or status line in bytes, without its end; beyond it 414.
    pub first_line: usize,
    /// The whole head in bytes; beyond it 431.
    pub head: usize,
    /// Fields in a head, and in trailers; beyond it 431. At most [`Self::MAX_FIELDS`].
    pub fields: usize,
    /// All trailers in bytes.
    pub trailers: usize,
    /// For requests; responses keep their underscores.
    pub underscores: Underscores,
}

impl Limits {
    /// The most fields that a head can ever have.
    pub const MAX_FIELDS: usize = 256;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_line: 8 << 10,
            head: 64 << 10,
            fields: 128,
            trailers: 8 << 10,
            underscores: Underscores::Refuse,
        }
    }
}

impl RequestHead {
    /// Makes a request of our own, for health checks, auth calls and tests: `GET`, HTTP/1.1, no fields.
    #[must_use]
    pub fn get(scheme: Scheme, authority: Authority, path: Path) -> Self {
        Self {
            method: Method::Get,
            scheme,
            authority,
            path,
            query: None,
            version: Version::Http11,
            headers: Headers::new(),
            upgrade: None,
        }
    }

    /// Gives path and query as one text, as they are sent.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.as_str().to_owned(),
        }
    }
}

impl ResponseHead {
    /// Makes a response of our own without fields.
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self { status, reason: None, version: Version::Http11, headers: Headers::new() }
    }
}

impl Scheme {
    /// Gives the scheme as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Gives the port that is meant when none is written.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Status {
    pub const OK: Self = Self(200);
    pub const CONTINUE: Self = Self(100);
    pub const SWITCHING_PROTOCOLS: Self = Self(101);

    /// Checks a status code.
    ///
    /// # Errors
    /// `Malformed::Status` when it is not from 100 to 999.
    pub const fn new(code: u16) -> Result<Self, Malformed> {
        match code {
            100..=999 => Ok(Self(code)),
            _ => Err(Malformed::Status),
        }
    }

    /// Gives the number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Says whether another response follows this one (RFC 9110 15.2); 101 is the last one.
    #[must_use]
    pub const fn is_interim(self) -> bool {
        self.0 < 200 && self.0 != 101
    }

    /// Says whether a response with it never has a body (RFC 9110 6.4.1).
    #[must_use]
    pub const fn is_bodiless(self) -> bool {
        self.0 < 200 || self.0 == 204 || self.0 == 304
    }
}
