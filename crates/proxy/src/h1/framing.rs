//! How long a message's body is (RFC 9112 6.3), decided strictly: one length or one encoding, never
//! both, never two.

use super::error::Refusal;
use crate::message::{Headers, Malformed, Method, Status, Version};

/// How long a body is and how its end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, and of a request also no length.
    Empty,
    /// This many bytes.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
    /// Everything until the connection closes; responses only.
    UntilClose,
}

impl Framing {
    /// Says whether no byte of a body follows.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::Empty | Self::Length(0))
    }

    /// Decides for a message from HTTP/2 or of our own that is to be sent with HTTP/1.1: `ended` if
    /// the head was all there is.
    ///
    /// # Errors
    /// `Malformed::ContentLength` when the field is not one plain number.
    pub fn to_send(headers: &Headers, ended: bool) -> Result<Self, Malformed> {
        let mut lengths = headers.all("content-length");
        match (lengths.next(), lengths.next()) {
            (None, _) if ended => Ok(Self::Empty),
            (None, _) => Ok(Self::Chunked),
            (Some(value), None) => number(value).map(Self::Length).ok_or(Malformed::ContentLength),
            (Some(_), Some(_)) => Err(Malformed::ContentLength),
        }
    }
}

/// The fields that say something about the connection or the body, gathered in one walk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes<'a> {
    length: Once<'a>,
    encoding: Once<'a>,
    pub(super) expect: Once<'a>,
    pub(super) upgrade: Once<'a>,
    pub(super) wants_close: bool,
    pub(super) wants_keep_alive: bool,
    pub(super) wants_upgrade: bool,
}

/// A field that must not be repeated.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Once<'a> {
    #[default]
    Missing,
    One(&'a [u8]),
    Repeated,
}

impl<'a> Once<'a> {
    const fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Missing => Self::One(value),
            Self::One(_) | Self::Repeated => Self::Repeated,
        };
    }
}

impl<'a> Notes<'a> {
    pub(super) fn of(headers: &'a Headers) -> Self {
        let mut notes = Self::default();
        for (name, value) in headers.raw() {
            match name {
                b"content-length" => notes.length.add(value),
                b"transfer-encoding" => notes.encoding.add(value),
                b"expect" => notes.expect.add(value),
                b"upgrade" => notes.upgrade.add(value),
                b"connection" => notes.connection(value),
                _ => {}
            }
        }
        notes
    }

    fn connection(&mut self, value: &[u8]) {
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.wants_close |= token.eq_ignore_ascii_case(b"close");
            self.wants_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            self.wants_upgrade |= token.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// Says whether the peer lets the connection live on (RFC 9112 9.3).
    pub(super) const fn keep_alive(&self, version: Version) -> bool {
        match version {
            Version::Http10 => self.wants_keep_alive && !self.wants_close,
            Version::Http11 | Version::Http2 => !self.wants_close,
        }
    }

    pub(super) fn of_request(&self, version: Version) -> Result<Framing, Refusal> {
        self.declared(version).map(|declared| declared.unwrap_or(Framing::Empty))
    }

    /// A response to HEAD and one with certain statuses have no body whatever their fields say.
    pub(super) fn of_response(
        &self,
        version: Version,
        status: Status,
        method: &Method,
    ) -> Result<Framing, Refusal> {
        if status.is_bodiless() || *method == Method::Head {
            return Ok(Framing::Empty);
        }
        self.declared(version).map(|declared| declared.unwrap_or(Framing::UntilClose))
    }

    fn declared(&self, version: Version) -> Result<Option<Framing>, Refusal> {
        let length = match self.length {
            Once::Missing => None,
            Once::One(value) => Some(number(value).ok_or(Malformed::ContentLength)?),
            Once::Repeated => return Err(Malformed::ContentLength.into()),
        };
        let encoding = match self.encoding {
            Once::Missing => return Ok(length.map(Framing::Length)),
            Once::One(value) => value,
            Once::Repeated => return Err(Refusal::Encoding),
        };
        match (length, version) {
            (Some(_), _) => Err(Refusal::LengthAndEncoding),
            (None, Version::Http10) => Err(Refusal::EncodingInHttp10),
            (None, Version::Http11 | Version::Http2) => chunked(encoding).map(Some),
        }
    }
}

/// Exactly `chunked`; a registered coding before it is the only thing that deserves a 501.
fn chunked(value: &[u8]) -> Result<Framing, Refusal> {
    const REGISTERED: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    let mut codings: Vec<_> =
        value.split(|byte| *byte == b',').map(crate::message::text::trim).collect();
    let last = codings.pop().unwrap_or_default();
    let registered =
        |coding: &&[u8]| REGISTERED.iter().any(|name| coding.eq_ignore_ascii_case(name));
    if last.eq_ignore_ascii_case(b"chunked")
        && !codings.is_empty()
        && codings.iter().all(registered)
    {
        return Err(Refusal::UnknownEncoding);
    }
    Err(Refusal::Encoding)
}

/// Digits only: no sign, no list, no space, no leading zero that could mean octal; below 2^63, since
/// some servers count in signed numbers.
fn number(value: &[u8]) -> Option<u64> {
    let plain = match value {
        [] | [b'0', _, ..] => false,
        digits => digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit),
    };
    if !plain {
        return None;
    }
    let number = value.iter().try_fold(0u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    (number <= i64::MAX.unsigned_abs()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{HeaderName, HeaderValue};

    fn headers(fields: &[(&'static str, &'static str)]) -> Headers {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn request(fields: &[(&'static str, &'static str)]) -> Result<Framing, Refusal> {
        Notes::of(&headers(fields)).of_request(Version::Http11)
    }

    const LENGTH: Result<Framing, Refusal> = Err(Refusal::Malformed(Malformed::ContentLength));

    #[test]
    fn lengths() {
        let length = |value| request(&[("content-length", value)]);
        assert_eq!(length("0"), Ok(Framing::Length(0)));
        assert_eq!(length("42"), Ok(Framing::Length(42)));
        assert_eq!(length("9223372036854775807"), Ok(Framing::Length(i64::MAX.unsigned_abs())));
        for bad in [
            "",
            "+1",
            "-1",
            "-0",
            "1,1",
            "1, 1",
            "1 1",
            "0x1",
            "1.0",
            "1e1",
            "01",
            "00",
            "one",
            "9223372036854775808",
            "18446744073709551616",
            "99999999999999999999",
            "1;",
            "\u{661}",
        ] {
            assert_eq!(length(bad), LENGTH, "{bad:?}");
        }
        assert_eq!(request(&[("content-length", "1"), ("content-length", "1")]), LENGTH);
        assert_eq!(request(&[("content-length", "1"), ("content-length", "2")]), LENGTH);
        assert_eq!(request(&[]), Ok(Framing::Empty));
    }

    #[test]
    fn encodings() {
        let encoding = |value| request(&[("transfer-encoding", value)]);
        assert_eq!(encoding("chunked"), Ok(Framing::Chunked));
        assert_eq!(encoding("Chunked"), Ok(Framing::Chunked));
        assert_eq!(encoding("gzip, chunked"), Err(Refusal::UnknownEncoding));
        for bad in [
            "",
            "identity",
            "gzip",
            "xchunked",
            "chunked, chunked",
            "chunked, gzip",
            "chunked;a=b",
            "identity, chunked",
            "\"chunked\"",
            "chunked,",
            ",chunked",
            "chunk ed",
            "chunked\u{b}",
            "x",
            "chunke",
            "trailers",
            "chunked identity",
        ] {
            let value = HeaderValue::parse(bad).map(|_| encoding(bad));
            assert!(matches!(value, Err(_) | Ok(Err(Refusal::Encoding))), "{bad:?}");
        }
        let both = request(&[("transfer-encoding", "chunked"), ("content-length", "3")]);
        assert_eq!(both, Err(Refusal::LengthAndEncoding));
        let twice = request(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]);
        assert_eq!(twice, Err(Refusal::Encoding));
        let old = headers(&[("transfer-encoding", "chunked")]);
        let old = Notes::of(&old).of_request(Version::Http10);
        assert_eq!(old, Err(Refusal::EncodingInHttp10));
    }

    #[test]
    fn responses() {
        let with = |fields: &[_], status, method: &Method| {
            let status = Status::new(status).expect("a status");
            Notes::of(&headers(fields)).of_response(Version::Http11, status, method)
        };
        let length = [("content-length", "5")];
        assert_eq!(with(&length, 200, &Method::Get), Ok(Framing::Length(5)));
        assert_eq!(with(&length, 200, &Method::Head), Ok(Framing::Empty));
        for status in [100, 101, 103, 204, 304] {
            assert_eq!(with(&length, status, &Method::Get), Ok(Framing::Empty));
        }
        assert_eq!(with(&[], 200, &Method::Get), Ok(Framing::UntilClose));
        assert_eq!(
            with(&[("transfer-encoding", "chunked")], 200, &Method::Post),
            Ok(Framing::Chunked)
        );
        assert_eq!(
            with(&[("transfer-encoding", "gzip")], 200, &Method::Get),
            Err(Refusal::Encoding)
        );
        let both = [("transfer-encoding", "chunked"), ("content-length", "5")];
        assert_eq!(with(&both, 200, &Method::Get), Err(Refusal::LengthAndEncoding));
    }

    #[test]
    fn what_is_sent_on() {
        assert_eq!(Framing::to_send(&headers(&[]), true), Ok(Framing::Empty));
        assert_eq!(Framing::to_send(&headers(&[]), false), Ok(Framing::Chunked));
        let length = headers(&[("content-length", "7")]);
        assert_eq!(Framing::to_send(&length, false), Ok(Framing::Length(7)));
        let bad = headers(&[("content-length", "7,7")]);
        assert_eq!(Framing::to_send(&bad, false), Err(Malformed::ContentLength));
    }
}
