//! Heads from and to HTTP/2's types: the same canonical form, and what HTTP/2 forbids refused
//! (attack A12).

use fairway_proxy::message::{
    Headers, Limits, Malformed, Method, RequestHead, ResponseHead, Scheme, Status, Version,
};

fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<RequestHead, Malformed> {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    RequestHead::from_http(&parts, Scheme::Https, &Limits::default())
}

#[test]
fn a_request_is_canonical_whatever_it_came_in() {
    let head = request(
        "GET",
        "http://Shop.Example:8443/a/%2e%2e//b?c=d",
        &[
            ("x-b", "1"),
            ("x-a", "2"),
            ("x-b", "3"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("te", "trailers"),
        ],
    )
    .expect("served");
    assert_eq!(head.authority.to_string(), "shop.example:8443");
    assert_eq!(head.path_and_query(), "/b?c=d");
    assert_eq!((head.scheme, head.version), (Scheme::Https, Version::Http2));
    assert_eq!(head.headers.all("x-b").collect::<Vec<_>>(), [b"1", b"3"]);
    assert_eq!(head.headers.all("cookie").collect::<Vec<_>>(), [b"a=1; b=2"]);
    let sent = head.to_http().expect("a request");
    assert_eq!(sent.uri(), "https://shop.example:8443/b?c=d");
    assert_eq!(sent.headers().len(), 5);
    let (parts, ()) = sent.into_parts();
    let again = RequestHead::from_http(&parts, Scheme::Https, &Limits::default()).expect("served");
    assert_eq!(again.headers.first("cookie"), Some(&b"a=1; b=2"[..]));
    assert_eq!(again.path, head.path);
}

#[test]
fn what_http2_forbids_is_refused() {
    let uri = "https://a.example/x";
    let refused = |fields: &[(&str, &str)]| request("GET", uri, fields).map(|_| ());
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "x"),
        ("proxy-connection", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
    ] {
        assert_eq!(refused(&[(name, value)]), Err(Malformed::ConnectionField), "{name}: {value}");
    }
    assert_eq!(refused(&[("host", "a.example:443")]), Ok(()));
    assert_eq!(refused(&[("host", "A.EXAMPLE")]), Ok(()));
    assert_eq!(refused(&[("host", "b.example")]), Err(Malformed::HostDiffers));
    assert_eq!(
        refused(&[("host", "a.example"), ("host", "a.example")]),
        Err(Malformed::HostRepeated)
    );
    assert_eq!(refused(&[("x_y", "1")]), Err(Malformed::Underscore));
    for length in ["x", "", "+1", "1, 1"] {
        assert_eq!(refused(&[("content-length", length)]), Err(Malformed::ContentLength));
    }
    let twice = [("content-length", "1"), ("content-length", "1")];
    assert_eq!(refused(&twice), Err(Malformed::ContentLength));
    assert_eq!(refused(&[("a", "b"); 129]), Err(Malformed::TooManyHeaders));
    assert_eq!(request("GET", "/x", &[]).map(|_| ()), Err(Malformed::HostMissing));
    assert_eq!(request("GET", "https://u@a.example/", &[]).map(|_| ()), Err(Malformed::Host));
    assert_eq!(request("GET", "https://a/%5c", &[]).map(|_| ()), Err(Malformed::TargetCharacter));
    assert_eq!(request("CONNECT", "https://a/", &[]).map(|_| ()), Err(Malformed::Connect));
}

#[test]
fn an_extended_connect_is_an_upgrade() {
    let mut parts = http::Request::builder()
        .method("CONNECT")
        .uri("https://a.example/chat")
        .body(())
        .expect("a request")
        .into_parts()
        .0;
    parts.extensions.insert(h2::ext::Protocol::from_static("websocket"));
    let head = RequestHead::from_http(&parts, Scheme::Https, &Limits::default()).expect("served");
    assert_eq!(head.method, Method::Connect);
    assert_eq!(head.upgrade.as_ref().map(|value| value.as_bytes()), Some(&b"websocket"[..]));
    let sent = head.to_http().expect("a request");
    let protocol = sent.extensions().get::<h2::ext::Protocol>().map(h2::ext::Protocol::as_str);
    assert_eq!((sent.method(), protocol), (&http::Method::CONNECT, Some("websocket")));
}

#[test]
fn responses_and_trailers_lose_what_http2_forbids() {
    let mut map = http::HeaderMap::new();
    for (name, value) in [
        ("a", "1"),
        ("set-cookie", "x"),
        ("set-cookie", "y"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
    ] {
        map.append(name, http::HeaderValue::from_static(value));
    }
    let mut head = ResponseHead::new(Status::OK);
    head.headers = Headers::from_http(&map);
    assert_eq!(head.headers.len(), 5);
    let sent = head.to_http();
    assert_eq!(sent.headers().len(), 3);
    let (parts, ()) = sent.into_parts();
    let back = ResponseHead::from_http(&parts, &Limits::default()).expect("served");
    assert_eq!(back.headers.all("set-cookie").count(), 2);
    assert_eq!(back.status, Status::OK);
}
