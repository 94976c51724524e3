//! How clients stay with an endpoint (GEP-1619): a mark that travels in a cookie or a header.
//!
//! A mark names its endpoint by a hash and holds when the session began and was last seen. It is not
//! signed: whoever forges one can choose only among the endpoints that the rule has anyway, and
//! nothing but balance depends on it. All proxies make the same marks, so a restart keeps sessions.

use std::fmt::Write as _;
use std::net::SocketAddr;

use fairway_model::policy::{SessionCarrier, SessionPersistence};

use crate::message::{HeaderName, HeaderValue, Headers};

/// What a client brought along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    endpoint: u64,
    /// Seconds since 1970.
    began: u64,
    /// Seconds since 1970.
    seen: u64,
}

impl Mark {
    /// Begins a session with an endpoint, or goes on with one.
    pub(crate) fn new(
        before: Option<&Self>,
        service: &str,
        endpoint: SocketAddr,
        now: u64,
    ) -> Self {
        let endpoint = name(service, endpoint);
        let began = before.filter(|mark| mark.endpoint == endpoint).map_or(now, |mark| mark.began);
        Self { endpoint, began, seen: now }
    }

    /// Reads the mark of a request; `None` when there is none, or its time is up.
    pub(crate) fn read(session: &SessionPersistence, headers: &Headers, now: u64) -> Option<Self> {
        let text = match &session.carrier {
            SessionCarrier::Cookie { .. } => cookie(headers, &session.name)?,
            SessionCarrier::Header => std::str::from_utf8(headers.first(&session.name)?).ok()?,
        };
        let mark = Self::parse(text)?;
        let over = |limit: Option<fairway_model::policy::Millis>, since: u64| {
            limit
                .is_some_and(|limit| now.saturating_sub(since) >= limit.duration().as_secs().max(1))
        };
        let ended =
            over(session.absolute_timeout, mark.began) || over(session.idle_timeout, mark.seen);
        (!ended).then_some(mark)
    }

    /// Says whether the session is with this endpoint of this Service.
    pub(crate) fn is(&self, service: &str, endpoint: SocketAddr) -> bool {
        self.endpoint == name(service, endpoint)
    }

    /// Gives the field that the response carries back; `None` when the client has it already.
    pub(crate) fn field(
        &self,
        session: &SessionPersistence,
        before: Option<&Self>,
        secure: bool,
    ) -> Option<(HeaderName, HeaderValue)> {
        let known = before.is_some_and(|before| {
            before.endpoint == self.endpoint && (session.idle_timeout.is_none() || *before == *self)
        });
        if known {
            return None;
        }
        let mark = self.text();
        match &session.carrier {
            SessionCarrier::Header => {
                let name = HeaderName::parse(session.name.as_bytes().to_vec()).ok()?;
                Some((name, HeaderValue::parse(mark).ok()?))
            }
            SessionCarrier::Cookie { path, permanent } => {
                let mut cookie = format!("{}={mark}; Path={path}; HttpOnly", session.name);
                if secure {
                    cookie.push_str("; Secure");
                }
                cookie.push_str("; SameSite=Lax");
                if let Some(limit) = session.absolute_timeout.filter(|_| *permanent) {
                    let spent = self.seen.saturating_sub(self.began);
                    let left = limit.duration().as_secs().saturating_sub(spent);
                    // Writing to a String does not fail.
                    let _written = write!(cookie, "; Max-Age={left}");
                }
                Some((HeaderName::from_static("set-cookie"), HeaderValue::parse(cookie).ok()?))
            }
        }
    }

    fn text(&self) -> String {
        format!("{:016x}.{:x}.{:x}", self.endpoint, self.began, self.seen)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.').map(|part| u64::from_str_radix(part, 16).ok());
        Some(Self { endpoint: parts.next()??, began: parts.next()??, seen: parts.next()?? })
    }
}

/// Gives the value of the first cookie of that name (RFC 6265 section 5.4).
pub(crate) fn cookie<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let lines = headers.all("cookie").filter_map(|line| std::str::from_utf8(line).ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// FNV-1a: fixed for ever, since marks outlive releases. It need not resist anybody.
fn name(service: &str, endpoint: SocketAddr) -> u64 {
    let text = format!("{service}|{endpoint}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_model::policy::Millis;

    fn session(carrier: SessionCarrier) -> SessionPersistence {
        SessionPersistence {
            name: "shop-session".into(),
            carrier,
            absolute_timeout: Millis::new(3_600_000),
            idle_timeout: None,
        }
    }

    fn endpoint(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn request(name: &'static str, value: &str) -> Headers {
        let value = HeaderValue::parse(value.to_owned()).expect("a value");
        Headers::from_iter([(HeaderName::from_static(name), value)])
    }

    #[test]
    fn a_cookie_brings_the_client_back() {
        let session = session(SessionCarrier::Cookie { path: "/".into(), permanent: true });
        let mark = Mark::new(None, "shop/cart", endpoint(1), 1000);
        let (name, value) = mark.field(&session, None, true).expect("a new session");
        let value = std::str::from_utf8(value.as_bytes()).expect("text");
        assert_eq!(name.as_str(), "set-cookie");
        assert!(
            value.ends_with("; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=3600"),
            "{value}"
        );

        let cookie = value.split(';').next().expect("a pair");
        let headers = request("cookie", &format!("a=b; {cookie}; c"));
        let read = Mark::read(&session, &headers, 1500).expect("the mark");
        assert!(read.is("shop/cart", endpoint(1)) && !read.is("shop/cart", endpoint(2)));
        assert!(!read.is("shop/other", endpoint(1)));
        let next = Mark::new(Some(&read), "shop/cart", endpoint(1), 1500);
        assert_eq!(next.field(&session, Some(&read), true), None, "the client has it");
        assert_eq!(Mark::read(&session, &headers, 1000 + 3600), None, "its time is up");
    }

    #[test]
    fn a_header_does_as_well() {
        let session = session(SessionCarrier::Header);
        let mark = Mark::new(None, "shop/cart", endpoint(1), 1000);
        let (name, value) = mark.field(&session, None, false).expect("a new session");
        assert_eq!(name.as_str(), "shop-session");
        let headers = Headers::from_iter([(name, value)]);
        assert_eq!(Mark::read(&session, &headers, 1001), Some(mark));
    }

    #[test]
    fn what_is_no_mark_counts_as_none() {
        let session = session(SessionCarrier::Header);
        for text in ["", "x", "1.2", "zz.1.1", "1.2.3.4"] {
            let headers = request("shop-session", text);
            assert_eq!(Mark::read(&session, &headers, 0), None, "{text:?}");
        }
    }
}
