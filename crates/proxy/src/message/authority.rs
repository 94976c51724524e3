//! The host that a request is for, in one canonical form (topic N12): lower case, the port kept
//! apart, one trailing dot taken off, an IPv6 address in brackets and in its shortest form.

use std::fmt;
use std::net::Ipv6Addr;

use bytes::Bytes;

use super::text::{Malformed, ascii};

/// A host and an optional port. The host is empty only in an HTTP/1.0 request without one.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Authority {
    host: Bytes,
    port: Option<u16>,
}

impl Authority {
    /// The longest host that is accepted, in bytes (RFC 1035 2.3.4).
    pub const MAX_LENGTH: usize = 253;

    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. Shares the bytes it is given when they are
    /// canonical already. An empty port (`host:`) means none (RFC 3986 3.2.3).
    ///
    /// # Errors
    /// `Malformed::Host` for user information, characters other than letters, digits, `-`, `_` and
    /// `.`, empty labels and bad addresses; `Malformed::Port`.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, Malformed> {
        let raw = raw.into();
        let split = match raw.first() {
            Some(b'[') => raw.iter().position(|byte| *byte == b']').map_or(raw.len(), |at| at + 1),
            _ => raw.iter().position(|byte| *byte == b':').unwrap_or(raw.len()),
        };
        let port = port(&raw[split..])?;
        let host = match raw.first() {
            Some(b'[') => address(&raw.slice(..split))?,
            _ => name(raw.slice(..split))?,
        };
        Ok(Self { host, port })
    }

    /// Gives the same host with another port.
    #[must_use]
    pub fn with_port(&self, port: Option<u16>) -> Self {
        Self { host: self.host.clone(), port }
    }

    /// Gives the canonical host: what routes are matched with.
    #[must_use]
    pub fn host(&self) -> &str {
        ascii(&self.host)
    }

    /// Gives the port if one was written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Says whether there is no host (HTTP/1.0 only).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.host.is_empty()
    }

    /// Says whether both name the same place, given the port that is meant when none is written.
    #[must_use]
    pub fn same(&self, other: &Self, default_port: u16) -> bool {
        self.host == other.host
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host())?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Reads what follows the host: nothing, or a colon and up to five digits.
fn port(rest: &[u8]) -> Result<Option<u16>, Malformed> {
    let digits = match rest {
        [] => return Ok(None),
        [b':', digits @ ..] => digits,
        _ => return Err(Malformed::Host),
    };
    if digits.is_empty() {
        return Ok(None);
    }
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Port);
    }
    let number = digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    match u16::try_from(number) {
        Ok(number @ 1..) => Ok(Some(number)),
        Ok(0) | Err(_) => Err(Malformed::Port),
    }
}

fn name(raw: Bytes) -> Result<Bytes, Malformed> {
    let host = match &raw[..] {
        [host @ .., b'.'] => raw.slice_ref(host),
        _ => raw,
    };
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let labels = !host.starts_with(b".")
        && !host.ends_with(b".")
        && !host.windows(2).any(|pair| pair == b"..");
    if host.is_empty() || host.len() > Authority::MAX_LENGTH || !labels || !host.iter().all(fits) {
        return Err(Malformed::Host);
    }
    if host.iter().any(u8::is_ascii_uppercase) {
        return Ok(host.to_ascii_lowercase().into());
    }
    Ok(host)
}

/// Zone identifiers are refused with the rest that is no address: they mean something on one host only.
fn address(bracketed: &Bytes) -> Result<Bytes, Malformed> {
    let inner = match &bracketed[..] {
        [b'[', inner @ .., b']'] => std::str::from_utf8(inner).ok(),
        _ => None,
    };
    let address = inner.and_then(|text| text.parse::<Ipv6Addr>().ok()).ok_or(Malformed::Host)?;
    let canonical = format!("[{address}]");
    Ok(if canonical.as_bytes() == &bracketed[..] { bracketed.clone() } else { canonical.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_form() {
        for (raw, canonical) in [
            ("example.com", "example.com"),
            ("EXAMPLE.Com", "example.com"),
            ("example.com.", "example.com"),
            ("Example.com.:8080", "example.com:8080"),
            ("example.com:", "example.com"),
            ("example.com:080", "example.com:80"),
            ("localhost", "localhost"),
            ("a_b.example", "a_b.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("[::1]", "[::1]"),
            ("[::1]:443", "[::1]:443"),
            ("[2001:DB8:0:0:0:0:0:1]", "[2001:db8::1]"),
            ("[::FFFF:1.2.3.4]", "[::ffff:1.2.3.4]"),
        ] {
            let parsed = Authority::parse(raw).expect(raw);
            assert_eq!(parsed.to_string(), canonical, "{raw}");
            assert_eq!(Authority::parse(parsed.to_string()), Ok(parsed));
        }
    }

    #[test]
    fn bad_hosts_are_refused() {
        for raw in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a b",
            "a/b",
            "user@a",
            "a:b",
            "a:80:80",
            "a:0",
            "a:65536",
            "a:+80",
            "a:-1",
            "a:123456",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[1.2.3.4]",
            "a%2eb",
            "a\\b",
            "a?b",
            "a#b",
            "a,b",
            "a*",
            "*.a",
            "é.a",
            "a\0",
            "a\tb",
            "[::1]80",
            ":80",
            "a:８０",
        ] {
            assert!(Authority::parse(raw).is_err(), "{raw:?}");
        }
        assert!(Authority::parse("a".repeat(254)).is_err());
        assert!(Authority::parse("a".repeat(253)).is_ok());
    }

    #[test]
    fn a_canonical_host_is_not_copied() {
        let raw = Bytes::from(vec![b'a'; 40]);
        let parsed = Authority::parse(raw.clone()).expect("a host");
        assert_eq!(parsed.host.as_ptr(), raw.as_ptr());
    }

    #[test]
    fn default_ports_are_the_same_place() {
        let parse = |text: &'static str| Authority::parse(text).expect("a host");
        assert!(parse("a").same(&parse("A:80"), 80));
        assert!(!parse("a").same(&parse("a:81"), 80));
        assert!(!parse("a").same(&parse("b"), 80));
    }
}
