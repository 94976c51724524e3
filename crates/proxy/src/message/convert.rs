//! Heads from and to the `http` crate's types, which the `h2` crate speaks. What HTTP/2 forbids is
//! refused on the way in, what HTTP/1.1 needs alone is left out on the way out.

use bytes::Bytes;
use http::header::{HOST, TE};
use http::{HeaderMap, Uri};

use super::{
    Authority, HeaderName, HeaderValue, Headers, Limits, Malformed, Method, Path, Query,
    RequestHead, ResponseHead, Scheme, Status, Underscores, Version,
};

/// RFC 9113 8.2.2.
const CONNECTION_FIELDS: [&str; 5] =
    ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];

impl RequestHead {
    /// Takes over the head of an HTTP/2 request, canonical like any other. `scheme` is the
    /// connection's: gRPC clients behind a TLS balancer send another one.
    ///
    /// # Errors
    /// `ConnectionField`, `HostDiffers`, `HostMissing`, `HostRepeated`, `ContentLength`, `Underscore`,
    /// `TooManyHeaders`; `Connect` for a CONNECT without `:protocol`; what the target's parts say.
    /// Each is a 400 (or a stream error PROTOCOL_ERROR), `TooManyHeaders` a 431.
    pub fn from_http(
        parts: &http::request::Parts,
        scheme: Scheme,
        limits: &Limits,
    ) -> Result<Self, Malformed> {
        check_http2_fields(&parts.headers, limits)?;
        let method = Method::parse(parts.method.as_str().as_bytes())?;
        let upgrade = match parts.extensions.get::<h2::ext::Protocol>() {
            Some(protocol) => Some(HeaderValue::parse(protocol.as_str().to_owned())?),
            None if method == Method::Connect => return Err(Malformed::Connect),
            None => None,
        };
        let (path, query) = path_of(&parts.uri, &method)?;
        Ok(Self {
            scheme,
            authority: authority_of(parts, scheme)?,
            path,
            query,
            version: Version::Http2,
            headers: request_fields(&parts.headers, limits.underscores)?,
            upgrade,
            method,
        })
    }

    /// Gives the head as an `http` request for the `h2` client. Call [`super::forward::request`]
    /// first. A head with `upgrade` becomes an extended CONNECT (RFC 8441).
    ///
    /// # Errors
    /// `TargetForm` or `HostMissing` when the `http` crate cannot hold the target: a head without a
    /// host, or a target over 64 KiB.
    pub fn to_http(&self) -> Result<http::Request<()>, Malformed> {
        let mut request = http::Request::new(());
        if self.authority.is_empty() {
            return Err(Malformed::HostMissing);
        }
        *request.uri_mut() = Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(self.authority.to_string())
            .path_and_query(self.path_and_query())
            .build()
            .map_err(|_refused| Malformed::TargetForm)?;
        *request.method_mut() = match &self.upgrade {
            Some(_) => http::Method::CONNECT,
            None => http::Method::from_bytes(self.method.as_str().as_bytes())
                .map_err(|_refused| Malformed::Method)?,
        };
        if let Some(protocol) = &self.upgrade {
            let text = std::str::from_utf8(protocol.as_bytes())
                .map_err(|_refused| Malformed::FieldValue)?;
            request.extensions_mut().insert(h2::ext::Protocol::from(text));
        }
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = self.headers.to_http();
        Ok(request)
    }
}

impl ResponseHead {
    /// Takes over the head of an HTTP/2 response.
    ///
    /// # Errors
    /// `ConnectionField`, `ContentLength`, `TooManyHeaders`.
    pub fn from_http(parts: &http::response::Parts, limits: &Limits) -> Result<Self, Malformed> {
        check_http2_fields(&parts.headers, limits)?;
        Ok(Self {
            status: Status::new(parts.status.as_u16())?,
            reason: None,
            version: Version::Http2,
            headers: Headers::from_http(&parts.headers),
        })
    }

    /// Gives the head as an `http` response for the `h2` server; fields that HTTP/2 forbids are
    /// left out.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "validated types: it never does")]
    pub fn to_http(&self) -> http::Response<()> {
        let mut response = http::Response::new(());
        *response.status_mut() =
            http::StatusCode::from_u16(self.status.code()).expect("a status is from 100 to 999");
        *response.version_mut() = http::Version::HTTP_2;
        *response.headers_mut() = self.headers.to_http();
        response
    }
}

impl Headers {
    /// Copies fields, trailers for example: one allocation for all their bytes.
    #[must_use]
    pub fn from_http(map: &HeaderMap) -> Self {
        Self::copied(size_of_fields(map), map.iter().map(bytes_of))
    }

    /// Gives the fields, trailers for example, as a map that shares the values' memory; fields that
    /// HTTP/2 forbids are left out.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "validated types: it never does")]
    pub fn to_http(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.shared().filter(|(name, value)| may_cross(name, value)) {
            let name = http::HeaderName::from_bytes(name.as_str().as_bytes())
                .expect("a field name is a lower-case token");
            let value = http::HeaderValue::from_maybe_shared(value.0)
                .expect("a field value holds no control character");
            map.append(name, value);
        }
        map
    }
}

fn bytes_of<'a>(
    (name, value): (&'a http::HeaderName, &'a http::HeaderValue),
) -> (&'a [u8], &'a [u8]) {
    (name.as_str().as_bytes(), value.as_bytes())
}

fn size_of_fields(map: &HeaderMap) -> usize {
    map.iter().map(bytes_of).map(|(name, value)| name.len() + value.len()).sum()
}

fn may_cross(name: &HeaderName, value: &HeaderValue) -> bool {
    match name.as_str() {
        "te" => value.as_bytes().eq_ignore_ascii_case(b"trailers"),
        "host" => false,
        name => !CONNECTION_FIELDS.contains(&name),
    }
}

fn check_http2_fields(map: &HeaderMap, limits: &Limits) -> Result<(), Malformed> {
    if map.len() > limits.fields {
        return Err(Malformed::TooManyHeaders);
    }
    let trailers_only = map.get_all(TE).iter().all(|value| value.as_bytes() == b"trailers");
    if !trailers_only || CONNECTION_FIELDS.iter().any(|name| map.contains_key(*name)) {
        return Err(Malformed::ConnectionField);
    }
    let mut lengths = map.get_all(http::header::CONTENT_LENGTH).iter();
    let digits = |value: &http::HeaderValue| {
        !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit)
    };
    if !lengths.next().is_none_or(digits) || lengths.next().is_some() {
        return Err(Malformed::ContentLength);
    }
    Ok(())
}

/// Cookie crumbs become one field again (RFC 9113 8.2.3); `Host` and `Expect` are taken out.
fn request_fields(map: &HeaderMap, underscores: Underscores) -> Result<Headers, Malformed> {
    let odd = |name: &&http::HeaderName| name.as_str().contains('_');
    let dropped = match underscores {
        Underscores::Keep => false,
        Underscores::Drop => true,
        Underscores::Refuse if map.keys().any(|name| odd(&name)) => {
            return Err(Malformed::Underscore);
        }
        Underscores::Refuse => false,
    };
    let crumbs = map.get_all(http::header::COOKIE).iter().count() > 1;
    let pairs = map
        .iter()
        .filter(|(name, _)| {
            *name != HOST
                && *name != http::header::EXPECT
                && !(crumbs && *name == http::header::COOKIE)
                && !(dropped && odd(name))
        })
        .map(bytes_of);
    let mut headers = Headers::copied(size_of_fields(map), pairs);
    if crumbs {
        let all: Vec<_> =
            map.get_all(http::header::COOKIE).iter().map(|crumb| crumb.as_bytes()).collect();
        headers
            .append(HeaderName::from_static("cookie"), HeaderValue::parse(all.join(&b"; "[..]))?);
    }
    Ok(headers)
}

fn path_of(uri: &Uri, method: &Method) -> Result<(Path, Option<Query>), Malformed> {
    let whole = uri.path_and_query().ok_or(Malformed::TargetForm)?;
    if whole.as_str() == "*" && *method == Method::Options {
        return Ok((Path::asterisk(), None));
    }
    let query = match whole.query() {
        Some(query) => Some(Query::parse(Bytes::copy_from_slice(query.as_bytes()))?),
        None => None,
    };
    Ok((Path::parse(Bytes::copy_from_slice(whole.path().as_bytes()))?, query))
}

/// Per RFC 9113 8.3.1 `:authority` and `Host` must not differ, and one of them must be there.
fn authority_of(parts: &http::request::Parts, scheme: Scheme) -> Result<Authority, Malformed> {
    let copy = |bytes: &[u8]| Authority::parse(Bytes::copy_from_slice(bytes));
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Malformed::HostRepeated);
    }
    let host = host.map(|host| copy(host.as_bytes())).transpose()?;
    let authority =
        parts.uri.authority().map(|found| copy(found.as_str().as_bytes())).transpose()?;
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.same(&host, scheme.default_port()) => {
            Err(Malformed::HostDiffers)
        }
        (Some(authority), _) => Ok(authority),
        (None, Some(host)) => Ok(host),
        (None, None) => Err(Malformed::HostMissing),
    }
}
