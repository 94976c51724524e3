//! What changes in every head that passes through: fields of one connection are taken out and the
//! `X-Forwarded-*` fields are set (topic N27). No `Via`: it would tell clients what stands here.

use std::net::IpAddr;

use super::{HeaderName, HeaderValue, Headers, RequestHead, ResponseHead, Status};

/// Fields that end at each connection (RFC 9110 7.6.1), and the credentials for a forward proxy.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "te",
];

/// Fields that a peer cannot have removed by naming them in `Connection`: who reads them behind us
/// would take their absence for an answer (attack A16).
const PROTECTED: [&str; 20] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "authorization",
    "cookie",
    "set-cookie",
    "forwarded",
    "x-real-ip",
    "x-request-id",
    "x-original-forwarded-for",
    "traceparent",
    "tracestate",
    "location",
    "cache-control",
    "strict-transport-security",
    "content-security-policy",
    "access-control-allow-origin",
    "origin",
    "referer",
];

/// Who sent a request, as the connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The peer's address, or the one that a trusted PROXY header gave.
    pub address: IpAddr,
    /// The port that it was accepted on.
    pub port: u16,
    /// The peer may say whom it speaks for: its `X-Forwarded-*` are kept and appended to. Otherwise
    /// they are replaced.
    pub trusted: bool,
}

/// Makes a request ready to be sent on: call it once, before the route's own header filters.
pub fn request(head: &mut RequestHead, client: &Client) {
    // gRPC servers need it to be told that trailers pass (RFC 9110 10.1.4), and they do here.
    let trailers = head.headers.has_token("te", "trailers");
    remove_hop_by_hop(&mut head.headers);
    if trailers {
        head.headers.append(HeaderName::from_static("te"), HeaderValue::from_static("trailers"));
    }
    set_forwarded(head, client);
}

/// Makes a response ready to be sent on. Of 101 the `Upgrade` field is kept; the writer adds its
/// `Connection`.
pub fn response(head: &mut ResponseHead) {
    let protocol = match head.status {
        Status::SWITCHING_PROTOCOLS => head.headers.first("upgrade").map(<[u8]>::to_vec),
        _ => None,
    };
    remove_hop_by_hop(&mut head.headers);
    if let Some(Ok(protocol)) = protocol.map(HeaderValue::parse) {
        head.headers.append(HeaderName::from_static("upgrade"), protocol);
    }
}

/// Removes the fields of one connection: the known ones and those that `Connection` names, unless
/// they are protected.
pub fn remove_hop_by_hop(headers: &mut Headers) {
    let named: Vec<Vec<u8>> = headers
        .tokens("connection")
        .filter(|token| !is_protected(token))
        .filter(|token| !matches!(token.to_ascii_lowercase().as_slice(), b"close" | b"keep-alive"))
        .map(<[u8]>::to_ascii_lowercase)
        .collect();
    headers.retain(|name, _| {
        !HOP_BY_HOP.contains(&name) && !named.iter().any(|named| named == name.as_bytes())
    });
}

fn is_protected(name: &[u8]) -> bool {
    let prefix = |prefix: &[u8]| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    prefix(b"x-forwarded-")
        || PROTECTED.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn set_forwarded(head: &mut RequestHead, client: &Client) {
    if !client.trusted {
        head.headers.retain(|name, _| {
            !name.starts_with("x-forwarded-") && !matches!(name, "forwarded" | "x-real-ip")
        });
    }
    // A trusted peer's words are kept only if they are of the form that we would have written.
    let before = head.headers.joined("x-forwarded-for").map(std::borrow::Cow::into_owned);
    let proto = kept(&head.headers, "x-forwarded-proto", |value| {
        matches!(value, b"http" | b"https" | b"ws" | b"wss")
    });
    let port = kept(&head.headers, "x-forwarded-port", |value| {
        !value.is_empty() && value.len() <= 5 && value.iter().all(u8::is_ascii_digit)
    });
    let host = kept(&head.headers, "x-forwarded-host", |value| !value.is_empty());

    let address = client.address.to_canonical();
    let chain = match before {
        Some(before) if !before.is_empty() => {
            let mut chain = before;
            chain.extend_from_slice(format!(", {address}").as_bytes());
            chain
        }
        Some(_) | None => address.to_string().into_bytes(),
    };
    set(head, "x-forwarded-for", chain);
    if !proto {
        set(head, "x-forwarded-proto", head.scheme.as_str().into());
    }
    if !host && !head.authority.is_empty() {
        set(head, "x-forwarded-host", head.authority.to_string().into());
    }
    if !port {
        set(head, "x-forwarded-port", client.port.to_string().into());
    }
}

/// Says whether there is exactly one value, and a proper one.
fn kept(headers: &Headers, name: &str, proper: impl Fn(&[u8]) -> bool) -> bool {
    let mut values = headers.all(name);
    values.next().is_some_and(proper) && values.next().is_none()
}

fn set(head: &mut RequestHead, name: &'static str, value: Vec<u8>) {
    let value = HeaderValue::parse(value).expect("made of valid values, addresses and numbers");
    head.headers.set(HeaderName::from_static(name), value);
}

/// Finds whom a request is from: the rightmost address of `X-Forwarded-For` that is not a proxy we
/// trust, walking left from the peer. The first unreadable entry ends the walk. Call it before
/// [`request`].
#[must_use]
pub fn client_address(
    headers: &Headers,
    peer: IpAddr,
    is_trusted: impl Fn(usize, IpAddr) -> bool,
) -> IpAddr {
    let mut address = peer.to_canonical();
    let entries: Vec<_> = headers.tokens("x-forwarded-for").collect();
    for (hop, entry) in entries.iter().rev().enumerate() {
        if !is_trusted(hop, address) {
            break;
        }
        let text = std::str::from_utf8(entry).ok();
        let Some(before) = text.and_then(|text| text.parse::<IpAddr>().ok()) else { break };
        address = before.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Authority, Path, Scheme};

    fn head(fields: &[(&'static str, &'static str)]) -> RequestHead {
        let authority = Authority::parse("shop.example:8443").expect("a host");
        let mut head = RequestHead::get(Scheme::Https, authority, Path::root());
        for (name, value) in fields {
            head.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        head
    }

    fn client(trusted: bool) -> Client {
        Client { address: "192.0.2.7".parse().expect("an address"), port: 8443, trusted }
    }

    fn sent(head: &RequestHead) -> Vec<String> {
        let text = |(name, value)| format!("{name}: {}", String::from_utf8_lossy(value));
        head.headers.iter().map(text).collect()
    }

    const OURS: [&str; 4] = [
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.example:8443",
        "x-forwarded-port: 8443",
    ];

    #[test]
    fn spoofed_fields_are_replaced() {
        let mut head = head(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "5.6.7.8"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-prefix", "/evil"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("connection", "x-forwarded-for, x-real-ip"),
        ]);
        request(&mut head, &client(false));
        assert_eq!(sent(&head), OURS);
    }

    #[test]
    fn a_trusted_peer_is_appended_to() {
        let mut head = head(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "5.6.7.8"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "front.example"),
            ("x-forwarded-port", "80, 81"),
        ]);
        request(&mut head, &client(true));
        assert_eq!(
            sent(&head),
            [
                "x-forwarded-for: 1.2.3.4,5.6.7.8, 192.0.2.7",
                "x-forwarded-proto: http",
                "x-forwarded-host: front.example",
                "x-forwarded-port: 8443",
            ]
        );
    }

    #[test]
    fn connection_removes_what_it_names_but_no_protected_field() {
        let mut head = head(&[
            ("connection", "close, X-Mine, Authorization, x-forwarded-proto"),
            ("connection", "keep-alive,,content-length"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers, deflate"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMA"),
            ("proxy-authorization", "Basic x"),
            ("x-mine", "1"),
            ("authorization", "Bearer x"),
            ("content-length", "3"),
            ("close", "stays"),
        ]);
        request(&mut head, &client(false));
        let expected = ["authorization: Bearer x", "content-length: 3", "close: stays"];
        assert_eq!(sent(&head)[..4], [&expected[..], &["te: trailers"]].concat());
        assert_eq!(sent(&head)[4..], OURS);
    }

    #[test]
    fn switching_protocols_keeps_upgrade() {
        let mut head = ResponseHead::new(Status::SWITCHING_PROTOCOLS);
        let fields = [("connection", "Upgrade"), ("upgrade", "websocket"), ("x", "1")];
        head.headers = fields
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let mut plain = head.clone();
        plain.status = Status::OK;
        response(&mut head);
        assert_eq!(head.headers.first("upgrade"), Some(&b"websocket"[..]));
        assert!(!head.headers.contains("connection"));
        response(&mut plain);
        assert_eq!(plain.headers.len(), 1);
    }

    #[test]
    fn the_client_is_the_first_address_that_is_not_trusted() {
        let headers =
            head(&[("x-forwarded-for", "9.9.9.9, 10.0.0.2"), ("x-forwarded-for", "10.0.0.1")])
                .headers;
        let peer: IpAddr = "10.0.0.9".parse().expect("an address");
        let inner = |_, address: IpAddr| address.to_string().starts_with("10.");
        let found = |trust: &dyn Fn(usize, IpAddr) -> bool| {
            client_address(&headers, peer, trust).to_string()
        };
        assert_eq!(found(&inner), "9.9.9.9");
        assert_eq!(found(&|hop, _| hop < 1), "10.0.0.1");
        assert_eq!(found(&|hop, _| hop < 9), "9.9.9.9");
        assert_eq!(found(&|_, _| false), "10.0.0.9");
        let broken = head(&[("x-forwarded-for", "1.1.1.1, nonsense, 10.0.0.1")]).headers;
        assert_eq!(client_address(&broken, peer, inner).to_string(), "10.0.0.1");
    }
}
