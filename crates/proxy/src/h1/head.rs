//! Makes message types of one complete head that `scan` has looked over. `httparse` finds the tokens;
//! names are lowered in place and the bytes are frozen once, so that no field is copied.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};

use super::error::Refusal;
use super::framing::{Framing, Notes, Once};
use crate::message::headers::Span;
use crate::message::text::trim;
use crate::message::{
    Authority, HeaderValue, Headers, Limits, Malformed, Method, RequestHead, ResponseHead, Scheme,
    Status, Target, Underscores, Version,
};

/// A request's head and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub head: RequestHead,
    /// Never `UntilClose`.
    pub framing: Framing,
    /// The client lets the connection live on after the response. Never with [`Self::is_odd`].
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body. Answer 100 before reading it, or
    /// answer something final and close. Never forwarded: the field is not in `head`.
    pub expects_continue: bool,
}

/// A response's head and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Interim responses too: see [`Status::is_interim`]; read on after one.
    pub head: ResponseHead,
    pub framing: Framing,
    /// The server lets the connection live on when the body has been read to its end.
    pub keep_alive: bool,
}

impl Request {
    /// Says whether a GET or HEAD has a body. A server that does not look for one takes it for the next
    /// request, so what is sent for it must be the last thing on its upstream connection too.
    #[must_use]
    pub const fn is_odd(&self) -> bool {
        is_odd(&self.head.method, self.framing)
    }
}

const fn is_odd(method: &Method, framing: Framing) -> bool {
    matches!(method, Method::Get | Method::Head) && !framing.is_empty()
}

type Storage<'a> = [MaybeUninit<httparse::Header<'a>>; Limits::MAX_FIELDS];

/// Reads a request head; `head` holds it and nothing else, as [`super::scan::Scan`] found it.
///
/// # Errors
/// The rule it breaks.
pub fn request(mut head: BytesMut, scheme: Scheme, limits: &Limits) -> Result<Request, Refusal> {
    let mut storage: Storage<'_> = [const { MaybeUninit::uninit() }; Limits::MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = parsed.parse_with_uninit_headers(&head, &mut storage);
    complete(outcome, &head)?;
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Refusal::Syntax);
    };
    let method = Method::parse(method.as_bytes())?;
    let target = span(&head, target.as_bytes());
    let mut fields = Fields::collect(&head, parsed.headers, Some(limits.underscores))?;
    fields.list.lower_names(&mut head);
    let block = head.freeze();
    fields.list.adopt(block.clone());
    let target = Target::parse(block.slice(target.range()), &method)?;
    let version = version(minor);
    let authority = authority(fields.host(&block)?, target.authority, scheme, version)?;
    let notes = Notes::of(&fields.list);
    let framing = notes.of_request(version)?;
    let keep_alive = notes.keep_alive(version) && !is_odd(&method, framing);
    let expects_continue = expects_continue(&notes, version)?;
    let upgrade = upgrade(&notes, version);
    if !matches!(notes.expect, Once::Missing) {
        fields.list.remove("expect");
    }
    let (path, query, headers) = (target.path, target.query, fields.list);
    let head = RequestHead { method, scheme, authority, path, query, version, headers, upgrade };
    Ok(Request { head, framing, keep_alive, expects_continue })
}

/// Reads a response head to a request with this method.
///
/// # Errors
/// The rule it breaks.
pub fn response(mut head: BytesMut, method: &Method, limits: &Limits) -> Result<Response, Refusal> {
    debug_assert!(limits.fields <= Limits::MAX_FIELDS, "the scan counts up to the maximum");
    let mut storage: Storage<'_> = [const { MaybeUninit::uninit() }; Limits::MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        &head,
        &mut storage,
    );
    complete(outcome, &head)?;
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(Refusal::Syntax);
    };
    let status = Status::new(code)?;
    let reason = parsed.reason.filter(|text| !text.is_empty());
    let reason = reason.map(|text| span(&head, text.as_bytes()));
    let Fields { list: mut headers, .. } = Fields::collect(&head, parsed.headers, None)?;
    headers.lower_names(&mut head);
    let block = head.freeze();
    headers.adopt(block.clone());
    let version = version(minor);
    let notes = Notes::of(&headers);
    let framing = notes.of_response(version, status, method)?;
    let keep_alive = notes.keep_alive(version) && framing != Framing::UntilClose;
    let reason = reason.map(|span| block.slice(span.range()));
    Ok(Response { head: ResponseHead { status, reason, version, headers }, framing, keep_alive })
}

/// Reads trailers: fields and an empty line. What may not come after a body is left out.
pub(super) fn trailers(mut block: BytesMut, limits: &Limits) -> Result<Headers, Refusal> {
    let mut storage = [httparse::EMPTY_HEADER; Limits::MAX_FIELDS];
    let parsed = match httparse::parse_headers(&block, &mut storage) {
        Ok(httparse::Status::Complete((length, parsed))) if length == block.len() => parsed,
        Ok(_) => return Err(Refusal::Syntax),
        Err(error) => return Err(refusal(error, &block)),
    };
    let Fields { mut list, .. } = Fields::collect(&block, parsed, Some(limits.underscores))?;
    list.lower_names(&mut block);
    list.adopt(block.freeze());
    list.retain(|name, _| may_trail(name));
    Ok(list)
}

/// RFC 9110 6.5.1: what frames, routes, authorises or describes the content comes too late here.
fn may_trail(name: &str) -> bool {
    const TOO_LATE: [&str; 26] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "authorization",
        "www-authenticate",
        "cookie",
        "set-cookie",
        "expect",
        "max-forwards",
        "content-type",
        "content-encoding",
        "content-range",
        "range",
        "cache-control",
        "vary",
        "forwarded",
        "x-real-ip",
        "location",
    ];
    !TOO_LATE.contains(&name) && !name.starts_with("x-forwarded-")
}

/// What the scan let through must parse to its last byte.
fn complete(outcome: httparse::Result<usize>, head: &[u8]) -> Result<(), Refusal> {
    match outcome {
        Ok(httparse::Status::Complete(length)) if length == head.len() => Ok(()),
        Ok(httparse::Status::Complete(_) | httparse::Status::Partial) => Err(Refusal::Syntax),
        Err(error) => Err(refusal(error, head)),
    }
}

fn refusal(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::HeaderName => Malformed::FieldName.into(),
        httparse::Error::HeaderValue => Malformed::FieldValue.into(),
        httparse::Error::Version => bad_version(head),
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => {
            Refusal::Syntax
        }
    }
}

/// `HTTP/2.0` and its like are a version we do not speak, anything else is no version at all.
fn bad_version(head: &[u8]) -> Refusal {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let word = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(version @ [b'H', b'T', b'T', b'P', b'/', ..]), ..) => version,
        (Some(_), Some(_), Some(version), None) => version,
        _ => return Refusal::Syntax,
    };
    match word {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::Version
        }
        _ => Refusal::Syntax,
    }
}

const fn version(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}

/// Gives where a part that was found in a head lies in it.
fn span(head: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr().addr() - head.as_ptr().addr();
    Span::new(start, start + part.len())
}

/// The fields of a head, hosts kept apart.
struct Fields {
    list: Headers,
    host: Option<Span>,
    hosts: usize,
}

impl Fields {
    /// Takes the places of names and values. Without a rule for underscores it is a response, whose
    /// `Host` means nothing.
    fn collect(
        head: &[u8],
        parsed: &[httparse::Header<'_>],
        underscores: Option<Underscores>,
    ) -> Result<Self, Refusal> {
        let mut fields =
            Self { list: Headers::with_capacity(parsed.len() + 4), host: None, hosts: 0 };
        for header in parsed {
            let name = header.name.as_bytes();
            if is_framing_twin(name) {
                return Err(Malformed::FieldName.into());
            }
            if let Some(rule) = underscores
                && name.contains(&b'_')
                && !keeps_underscores(rule)?
            {
                continue;
            }
            let value = span(head, trim(header.value));
            if underscores.is_some() && name.eq_ignore_ascii_case(b"host") {
                fields.host = Some(value);
                fields.hosts += 1;
            } else {
                fields.list.push_span(span(head, name), value);
            }
        }
        Ok(fields)
    }

    fn host(&self, block: &Bytes) -> Result<Option<Bytes>, Malformed> {
        match self.hosts {
            0 | 1 => Ok(self.host.map(|span| block.slice(span.range()))),
            _ => Err(Malformed::HostRepeated),
        }
    }
}

fn keeps_underscores(rule: Underscores) -> Result<bool, Malformed> {
    match rule {
        Underscores::Refuse => Err(Malformed::Underscore),
        Underscores::Drop => Ok(false),
        Underscores::Keep => Ok(true),
    }
}

/// `Transfer--Encoding`, `content_length`: nobody needs them, and some server takes them for the real
/// ones.
fn is_framing_twin(name: &[u8]) -> bool {
    let is = |letters: &[u8], real: &[u8]| {
        let found = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
        found.map(u8::to_ascii_lowercase).eq(letters.iter().copied())
            && !name.eq_ignore_ascii_case(real)
    };
    // The lengths of the two names with up to eight characters too many; most names are shorter.
    (13..=25).contains(&name.len())
        && (is(b"contentlength", b"content-length")
            || is(b"transferencoding", b"transfer-encoding"))
}

/// RFC 9112 3.2: exactly one host; stricter than 3.2.2, a target that names another one is refused.
fn authority(
    host: Option<Bytes>,
    target: Option<Authority>,
    scheme: Scheme,
    version: Version,
) -> Result<Authority, Malformed> {
    let host = host.map(Authority::parse).transpose()?;
    match (host, target) {
        (Some(host), Some(target)) if !host.same(&target, scheme.default_port()) => {
            Err(Malformed::HostDiffers)
        }
        (None, _) if version != Version::Http10 => Err(Malformed::HostMissing),
        (_, Some(target)) => Ok(target),
        (Some(host), None) => Ok(host),
        (None, None) => Ok(Authority::default()),
    }
}

/// HTTP/1.0 clients cannot wait for a 100 (RFC 9110 10.1.1).
fn expects_continue(notes: &Notes<'_>, version: Version) -> Result<bool, Refusal> {
    match notes.expect {
        Once::Missing => Ok(false),
        Once::One(value) if value.eq_ignore_ascii_case(b"100-continue") => {
            Ok(version != Version::Http10)
        }
        Once::One(_) | Once::Repeated => Err(Refusal::Expectation),
    }
}

/// `h2c` is not served (attack A13): the request is answered as if it had not asked.
fn upgrade(notes: &Notes<'_>, version: Version) -> Option<HeaderValue> {
    match notes.upgrade {
        Once::One(protocol) if notes.wants_upgrade && version == Version::Http11 => {
            let known = !protocol.contains(&b',') && !protocol.eq_ignore_ascii_case(b"h2c");
            known.then(|| HeaderValue::parse(Bytes::copy_from_slice(protocol)).ok()).flatten()
        }
        Once::One(_) | Once::Missing | Once::Repeated => None,
    }
}
