//! What the matcher asks of a request, so that it needs to know none of its forms.

use std::borrow::Cow;
use std::net::IpAddr;

/// A request in its canonical form (one value, the same for matching, policy and forwarding).
pub trait Request {
    /// The host: lower case, without port and trailing dot; empty when it is missing.
    fn host(&self) -> &str;

    /// The path, without the query.
    fn path(&self) -> &str;

    /// The query as it was sent, without the question mark.
    fn query(&self) -> Option<&str>;

    /// The method, as it was sent: methods are case-sensitive.
    fn method(&self) -> &str;

    /// The value of a header field by its lower-case name. Repeated fields are joined by `,`
    /// (RFC 9110 section 5.3); those named `cookie` by `; ` (RFC 9113 section 8.2.3).
    fn header(&self, name: &str) -> Option<Cow<'_, str>>;

    /// The client's address, where it is known.
    fn client(&self) -> Option<IpAddr>;
}

/// A request put together by hand: for `explain` and for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// See [`Request::host`].
    pub host: String,
    /// See [`Request::path`].
    pub path: String,
    /// See [`Request::query`].
    pub query: Option<String>,
    /// See [`Request::method`].
    pub method: String,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// See [`Request::client`].
    pub client: Option<IpAddr>,
}

impl Request for Probe {
    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values =
            self.headers.iter().filter(|(field, _)| field == name).map(|(_, value)| value);
        let first = values.next()?;
        let separator = if name == "cookie" { "; " } else { "," };
        let joined = values.fold(Cow::Borrowed(first.as_str()), |mut joined, value| {
            joined.to_mut().push_str(separator);
            joined.to_mut().push_str(value);
            joined
        });
        Some(joined)
    }

    fn client(&self) -> Option<IpAddr> {
        self.client
    }
}
