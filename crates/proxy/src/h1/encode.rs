//! Writes heads into a buffer. Every part is a validated type, so nothing that is written can be read
//! as something else; fields that frame the message are written from its framing, never copied.

use std::io::Write;

use bytes::{BufMut, BytesMut};

use super::framing::Framing;
use crate::message::{Headers, Method, RequestHead, ResponseHead, Status, Version};

/// Fields that the codec writes itself.
fn is_framing(name: &[u8]) -> bool {
    matches!(
        name,
        b"content-length"
            | b"transfer-encoding"
            | b"connection"
            | b"host"
            | b"upgrade"
            | b"keep-alive"
            | b"proxy-connection"
            | b"expect"
    )
}

/// Writes a request's head in origin form. `keep_alive` false asks the server to close. An extended
/// CONNECT of HTTP/2 becomes the GET that HTTP/1.1 upgrades with (RFC 8441 5.1); the key of a web socket
/// is the caller's to add.
pub fn request(out: &mut BytesMut, head: &RequestHead, framing: Framing, keep_alive: bool) {
    out.reserve(head.headers.size() + head.path.bytes().len() + 256);
    let method = match (&head.method, &head.upgrade) {
        (Method::Connect, Some(_)) => &Method::Get,
        (method, _) => method,
    };
    out.extend_from_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.extend_from_slice(head.path.bytes());
    if let Some(query) = &head.query {
        out.put_u8(b'?');
        out.extend_from_slice(query.bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(head.authority.host().as_bytes());
    if let Some(port) = head.authority.port() {
        number(out, b":", u64::from(port));
    }
    out.extend_from_slice(b"\r\n");
    fields(out, &head.headers, |name| !is_framing(name));
    // RFC 9110 8.6: where a body is usual, its absence is said; some servers answer 411 otherwise.
    let usual = matches!(method, Method::Post | Method::Put | Method::Patch);
    let said = if usual && framing == Framing::Empty { Framing::Length(0) } else { framing };
    body_fields(out, said);
    if let Some(protocol) = &head.upgrade {
        out.extend_from_slice(b"upgrade: ");
        out.extend_from_slice(protocol.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // RFC 9110 10.1.4: who sends TE says so in Connection.
    let options = [
        (!keep_alive && head.upgrade.is_none(), "close"),
        (head.upgrade.is_some(), "upgrade"),
        (head.headers.contains("te"), "te"),
    ];
    connection(out, options);
    out.extend_from_slice(b"\r\n");
}

/// Writes a response's head, interim ones included. `Empty` is for responses that have no body
/// whatever their head says: to HEAD, and by status; then the list's `Content-Length` is kept. For an
/// empty body that could have been one, say `Length(0)`.
pub fn response(
    out: &mut BytesMut,
    head: &ResponseHead,
    framing: Framing,
    peer: Version,
    keep_alive: bool,
) {
    out.reserve(head.headers.size() + 256);
    number(out, b"HTTP/1.1 ", u64::from(head.status.code()));
    out.put_u8(b' ');
    let reason = http::StatusCode::from_u16(head.status.code())
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    let switching = head.status == Status::SWITCHING_PROTOCOLS;
    fields(out, &head.headers, |name| !is_framing(name) || (switching && name == b"upgrade"));
    match framing {
        Framing::Empty => described_length(out, head),
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => body_fields(out, framing),
    }
    let last = !head.status.is_interim() && !switching;
    let options = [
        (last && !keep_alive, "close"),
        (last && keep_alive && peer == Version::Http10, "keep-alive"),
        (switching, "upgrade"),
    ];
    connection(out, options);
    out.extend_from_slice(b"\r\n");
}

/// Writes the fields whose names are wanted.
pub(super) fn fields(out: &mut BytesMut, headers: &Headers, wanted: impl Fn(&[u8]) -> bool) {
    for (name, value) in headers.raw().filter(|(name, _)| wanted(name)) {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

fn body_fields(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            number(out, b"content-length: ", length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Empty | Framing::UntilClose => {}
    }
}

/// How long the body to a GET would have been (RFC 9110 8.6); 1xx and 204 never say it.
fn described_length(out: &mut BytesMut, head: &ResponseHead) {
    let may = head.status.code() >= 200 && head.status.code() != 204;
    if may && let Ok(Framing::Length(length)) = Framing::to_send(&head.headers, true) {
        body_fields(out, Framing::Length(length));
    }
}

fn connection<const N: usize>(out: &mut BytesMut, options: [(bool, &str); N]) {
    let mut before: &[u8] = b"connection: ";
    for (_, option) in options.into_iter().filter(|(wanted, _)| *wanted) {
        out.extend_from_slice(before);
        out.extend_from_slice(option.as_bytes());
        before = b", ";
    }
    if before == b", " {
        out.extend_from_slice(b"\r\n");
    }
}

fn number(out: &mut BytesMut, before: &[u8], number: u64) {
    out.extend_from_slice(before);
    write!((&mut *out).writer(), "{number}").expect("a buffer takes every write");
}
