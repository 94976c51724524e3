//! Reader and writer over a stream: pipelining, cut bodies, ends, tunnels, and that what is written is
//! read back as it was meant.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fairway_proxy::h1::{
    Body, Error, Frame, Framing, Peer, Reader, Refusal, Writer, parse_request, parse_response,
};
use fairway_proxy::message::{
    Authority, HeaderName, HeaderValue, Headers, Limits, Method, Path, Query, RequestHead,
    ResponseHead, Scheme, Status, Underscores, Version,
};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A stream that gives what it holds in pieces of one size and remembers each write.
struct Script {
    input: Vec<u8>,
    at: usize,
    piece: usize,
    writes: Vec<Vec<u8>>,
    /// Bytes that one write takes at most.
    accepts: usize,
}

impl Script {
    fn new(input: impl AsRef<[u8]>, piece: usize) -> Self {
        let input = input.as_ref().to_vec();
        Self { input, at: 0, piece, writes: vec![], accepts: usize::MAX }
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let end = (self.at + self.piece.min(buf.remaining())).min(self.input.len());
        buf.put_slice(&self.input[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.poll_write_vectored(cx, &[std::io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let all: Vec<u8> =
            bufs.iter().flat_map(|buf| buf.iter().copied()).take(self.accepts).collect();
        let count = all.len();
        self.writes.push(all);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn reader() -> Reader {
    Reader::new(Limits::default())
}

async fn rest(
    reader: &mut Reader,
    io: &mut Script,
    framing: Framing,
) -> Result<(Vec<u8>, Option<Headers>), Error> {
    let mut body = Body::new(framing, reader.limits());
    let mut data = Vec::new();
    while let Some(frame) = reader.frame(io, &mut body).await? {
        match frame {
            Frame::Data(piece) => data.extend_from_slice(&piece),
            Frame::Trailers(trailers) => return Ok((data, Some(trailers))),
        }
    }
    assert!(body.is_done());
    assert_eq!(reader.frame(io, &mut body).await.expect("still the end"), None);
    Ok((data, None))
}

const PIPELINE: &str = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
    \r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n\
    POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: u\r\n\r\n\
    PUT /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn pipelined_requests_are_told_apart_in_any_pieces() {
    for piece in [1, 2, 3, 7, 64, 1 << 20] {
        let mut io = Script::new(PIPELINE, piece);
        let mut reader = reader();
        let mut seen = Vec::new();
        while reader.begin(&mut io).await.expect("a stream") {
            let request = reader.request(&mut io, Scheme::Http).await.expect("a request");
            let (body, trailers) =
                rest(&mut reader, &mut io, request.framing).await.expect("a body");
            let body = String::from_utf8(body).expect("text");
            seen.push((request.head.path.to_string(), body, trailers.map_or(0, |all| all.len())));
        }
        let expected = [("/1", "hello", 0), ("/2", "", 0), ("/3", "abc", 1), ("/4", "", 0)];
        let expected =
            expected.map(|(path, body, count)| (path.to_owned(), body.to_owned(), count));
        assert_eq!(seen, expected, "in pieces of {piece}");
    }
}

#[tokio::test]
async fn ends_are_told_apart() {
    let cut = async |input: &str| {
        let mut io = Script::new(input, 4);
        let mut reader = reader();
        match reader.response(&mut io, &Method::Get).await {
            Ok(response) => {
                rest(&mut reader, &mut io, response.framing).await.map(|(body, _)| body)
            }
            Err(error) => Err(error),
        }
    };
    assert!(matches!(cut("").await, Err(Error::Closed)));
    assert!(matches!(cut("HTTP/1.1 200").await, Err(Error::Truncated)));
    assert!(matches!(
        cut("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell").await,
        Err(Error::Truncated)
    ));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(matches!(cut(&format!("{chunked}5\r\nhello\r\n")).await, Err(Error::Truncated)));
    assert!(matches!(cut(&format!("{chunked}5\r\nhello\r\n0\r\n")).await, Err(Error::Truncated)));
    let bad = cut(&format!("{chunked}5\r\nhelloX\r\n")).await;
    assert!(matches!(bad, Err(Error::Refused(Refusal::ChunkEnd))));
    assert_eq!(
        cut("HTTP/1.0 200 OK\r\n\r\nuntil the end").await.expect("a body"),
        b"until the end"
    );
}

#[tokio::test]
async fn interim_responses_come_one_by_one_and_tunnels_keep_their_bytes() {
    let input = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
        HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x01\x02";
    let mut io = Script::new(input, 1 << 20);
    let mut reader = reader();
    let mut statuses = Vec::new();
    loop {
        let response = reader.response(&mut io, &Method::Get).await.expect("a response");
        statuses.push(response.head.status.code());
        assert_eq!(response.framing, Framing::Empty);
        if !response.head.status.is_interim() {
            break;
        }
    }
    assert_eq!(statuses, [100, 103, 101]);
    assert_eq!(reader.buffered(), b"\x01\x02");
    assert_eq!(&reader.take_buffered()[..], b"\x01\x02");
    assert!(reader.buffered().is_empty());
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let body: Vec<u8> = (0..700_000u32).map(|number| number.to_le_bytes()[0]).collect();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut io = Script::new([head.as_bytes(), &body].concat(), 100_000);
    let mut reader = reader();
    let response = reader.response(&mut io, &Method::Get).await.expect("a response");
    let mut one = Body::new(response.framing, reader.limits());
    // Frames are held while others are read: none may change under us.
    let mut frames = Vec::new();
    while let Some(Frame::Data(data)) = reader.frame(&mut io, &mut one).await.expect("a body") {
        frames.push(data);
    }
    assert_eq!(frames.concat(), body);
    assert!(frames.len() < 12, "{} frames", frames.len());
}

#[tokio::test]
async fn reading_goes_on_after_it_was_given_up() {
    let (mut near, mut far) = tokio::io::duplex(64);
    let mut reader = reader();
    far.write_all(b"GET / HTTP/1.1\r\nHo").await.expect("a write");
    let mut first = Box::pin(reader.request(&mut near, Scheme::Http));
    let pending =
        std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
    assert!(pending);
    drop(first);
    far.write_all(b"st: a\r\n\r\n").await.expect("a write");
    let request = reader.request(&mut near, Scheme::Http).await.expect("a request");
    assert_eq!(request.head.authority.host(), "a");
}

fn response(status: u16, fields: &[(&'static str, &'static str)]) -> ResponseHead {
    let mut head = ResponseHead::new(Status::new(status).expect("a status"));
    for (name, value) in fields {
        head.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    head
}

const NEW: Peer = Peer { version: Version::Http11, keep_alive: true };

/// Writes one response and gives it with what the writer said about the connection.
async fn written(head: &ResponseHead, framing: Framing, peer: Peer, body: &[u8]) -> (String, bool) {
    let mut io = Script::new("", 1);
    let mut writer = Writer::new();
    let lives = writer.response(head, framing, peer);
    writer.data(Bytes::copy_from_slice(body)).expect("of this length");
    writer.end(None).expect("all of it");
    writer.flush(&mut io).await.expect("a stream");
    assert_eq!(io.writes.len(), 1, "head and body go out together");
    (String::from_utf8(io.writes.concat()).expect("text"), lives)
}

const CLOSE: Peer = Peer { version: Version::Http11, keep_alive: false };
const OLD: Peer = Peer { version: Version::Http10, keep_alive: true };

#[tokio::test]
async fn bodies_as_written() {
    let length = [("content-length", "9")];
    let fixed = response(200, &[("x", "y"), length[0]]);
    let (wire, lives) = written(&fixed, Framing::Length(2), NEW, b"hi").await;
    assert_eq!(
        (wire.as_str(), lives),
        ("HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 2\r\n\r\nhi", true)
    );

    let odd = response(200, &[("transfer-encoding", "x"), ("connection", "x")]);
    let (wire, lives) = written(&odd, Framing::Chunked, NEW, b"hi").await;
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!((wire, lives), (format!("{head}2\r\nhi\r\n0\r\n\r\n"), true));

    let plain = response(200, &[]);
    let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhi";
    for (framing, peer) in [(Framing::Chunked, OLD), (Framing::UntilClose, NEW)] {
        let (wire, lives) = written(&plain, framing, peer, b"hi").await;
        assert_eq!((wire.as_str(), lives), (closing, false));
    }

    for (status, line, said) in [
        (200, "200 OK", "content-length: 9\r\n"),
        (304, "304 Not Modified", "content-length: 9\r\n"),
        (204, "204 No Content", ""),
    ] {
        let (wire, _) = written(&response(status, &length), Framing::Empty, NEW, b"").await;
        assert_eq!(wire, format!("HTTP/1.1 {line}\r\n{said}\r\n"));
    }
}

#[tokio::test]
async fn connections_as_written() {
    let none = Framing::Length(0);
    for (status, peer, framing, expected, lives) in [
        (404, NEW, none, "404 Not Found\r\ncontent-length: 0", true),
        (799, NEW, none, "799 \r\ncontent-length: 0", true),
        (200, CLOSE, none, "200 OK\r\ncontent-length: 0\r\nconnection: close", false),
        (200, OLD, none, "200 OK\r\ncontent-length: 0\r\nconnection: keep-alive", true),
        (103, NEW, Framing::Empty, "103 Early Hints", true),
        (103, CLOSE, Framing::Empty, "103 Early Hints", false),
    ] {
        let (wire, said) = written(&response(status, &[]), framing, peer, b"").await;
        assert_eq!((wire, said), (format!("HTTP/1.1 {expected}\r\n\r\n"), lives));
    }
    let switch = response(101, &[("upgrade", "websocket")]);
    let (wire, _) = written(&switch, Framing::Empty, NEW, b"").await;
    let expected =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    assert_eq!(wire, expected);
}

#[tokio::test]
async fn requests_as_written() {
    let mut head = RequestHead::get(
        Scheme::Http,
        Authority::parse("A.example:8080").expect("a host"),
        Path::parse("/a").expect("a path"),
    );
    head.query = Some(Query::parse("b=c").expect("a query"));
    head.headers.append(HeaderName::from_static("te"), HeaderValue::from_static("trailers"));
    head.headers.append(HeaderName::from_static("connection"), HeaderValue::from_static("x"));
    let wire = |head: &RequestHead, framing, keep_alive| {
        let mut out = bytes::BytesMut::new();
        fairway_proxy::h1::encode::request(&mut out, head, framing, keep_alive);
        String::from_utf8(out.to_vec()).expect("text")
    };
    let start = "GET /a?b=c HTTP/1.1\r\nhost: a.example:8080\r\nte: trailers\r\n";
    assert_eq!(wire(&head, Framing::Empty, true), format!("{start}connection: te\r\n\r\n"));
    assert_eq!(
        wire(&head, Framing::Length(0), false),
        format!("{start}content-length: 0\r\nconnection: close, te\r\n\r\n")
    );
    head.method = Method::Connect;
    head.upgrade = Some(HeaderValue::from_static("websocket"));
    assert_eq!(
        wire(&head, Framing::Empty, false),
        format!("{start}upgrade: websocket\r\nconnection: upgrade, te\r\n\r\n")
    );
}

#[tokio::test]
async fn a_body_is_never_longer_or_shorter_than_its_head_said() {
    let mut writer = Writer::new();
    writer.response(&response(200, &[]), Framing::Length(3), NEW);
    assert!(matches!(writer.data(Bytes::from_static(b"four")), Err(Error::WrongLength)));
    writer.data(Bytes::from_static(b"tw")).expect("fits");
    assert!(matches!(writer.end(None), Err(Error::WrongLength)));
    writer.response(&response(204, &[]), Framing::Empty, NEW);
    assert!(matches!(writer.data(Bytes::from_static(b"x")), Err(Error::WrongLength)));
    writer.data(Bytes::new()).expect("nothing is nothing");
    writer.end(None).expect("nothing was owed");
}

#[tokio::test]
async fn large_pieces_follow_small_ones_in_order() {
    for accepts in [1, 7, 4096, usize::MAX] {
        let mut io = Script::new("", 1);
        io.accepts = accepts;
        let mut writer = Writer::new();
        writer.response(&response(200, &[]), Framing::Chunked, NEW);
        let large = Bytes::from(vec![b'L'; 5000]);
        for piece in
            [Bytes::from_static(b"small"), large.clone(), large, Bytes::from_static(b"end")]
        {
            writer.data(piece).expect("chunked");
        }
        writer.end(None).expect("chunked");
        let waiting = writer.buffered();
        writer.flush(&mut io).await.expect("a stream");
        assert_eq!(writer.buffered(), 0);
        let wire = io.writes.concat();
        assert_eq!(wire.len(), waiting);
        if accepts == usize::MAX {
            assert_eq!(io.writes.len(), 1);
        }
        let mut io = Script::new(wire, 999);
        let mut reader = reader();
        let head = reader.response(&mut io, &Method::Get).await.expect("a response");
        let (body, _) = rest(&mut reader, &mut io, head.framing).await.expect("a body");
        assert_eq!(body, [&b"small"[..], &[b'L'; 10_000], b"end"].concat());
    }
}

#[test]
fn odd_responses() {
    let parse = |text: &str| parse_response(text.as_bytes(), &Method::Get, &Limits::default());
    let whole = |text: &str| parse(text).expect("read").expect("whole").0;
    assert_eq!(whole("HTTP/1.1 200\r\n\r\n").head.reason, None);
    assert_eq!(whole("HTTP/1.1 200 \r\n\r\n").head.reason, None);
    assert_eq!(
        whole("HTTP/1.1 200 All  fine\r\n\r\n").head.reason.as_deref(),
        Some(&b"All  fine"[..])
    );
    let kept = whole("HTTP/1.1 200 OK\r\nX_Y: z\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    assert!(
        kept.head.headers.contains("x_y") && kept.head.headers.contains("host") && kept.keep_alive
    );
    assert!(!whole("HTTP/1.1 200 OK\r\n\r\n").keep_alive);
    assert!(!whole("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keep_alive);
    for bad in [
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nX: y\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}

fn fields() -> impl Strategy<Value = Headers> {
    let name = "[a-z][a-z0-9!#$&'*+.^`|~-]{0,10}";
    let value = "[!-~\u{a1}-\u{ff}]([ -~\u{a1}-\u{ff}]{0,10}[!-~])?|";
    prop::collection::vec((name, value), 0..12).prop_map(|pairs| {
        // Names that the codec writes itself do not pass through.
        let own = ["host", "connection", "upgrade", "expect", "te"];
        let kept = pairs.into_iter().filter(|(name, _)| !own.contains(&name.as_str()));
        kept.map(|(name, value)| {
            let name = HeaderName::parse(name).expect("a name");
            (name, HeaderValue::parse(value).expect("a value"))
        })
        .collect()
    })
}

fn framings() -> impl Strategy<Value = Framing> {
    prop_oneof![
        Just(Framing::Empty),
        Just(Framing::Chunked),
        (0..=i64::MAX.unsigned_abs()).prop_map(Framing::Length)
    ]
}

/// Keeps the fields that were given, without those that the writer added.
fn without_framing(headers: &Headers) -> Headers {
    let own = ["content-length", "transfer-encoding", "connection", "upgrade"];
    headers.shared().filter(|(name, _)| !own.contains(&name.as_str())).collect()
}

proptest! {
    #[test]
    fn a_written_request_is_read_back(
        headers in fields(),
        framing in framings(),
        path in "(/[a-zA-Z0-9 %#?;.-]{0,6}){1,4}",
        query in prop::option::of("[!-~&&[^#]]{0,12}"),
        host in "[a-zA-Z][a-z0-9.-]{0,10}[a-z](:[1-9][0-9]{0,3})?",
        method in "GET|POST|PATCH|[A-Za-z-]{1,12}",
        keep_alive: bool,
        upgrade: bool,
    ) {
        let (Ok(authority), Ok(path), Ok(method)) = (
            Authority::parse(host),
            Path::parse(path.replace('%', "%25").replace(' ', "%20").replace(['#', '?'], "")),
            Method::parse(method.as_bytes()),
        ) else { return Ok(()) };
        let mut head = RequestHead::get(Scheme::Http, authority, path);
        head.method = method;
        head.query = query.map(|query| Query::parse(query).expect("a query"));
        head.headers = headers;
        head.upgrade = upgrade.then(|| HeaderValue::from_static("websocket"));
        let mut wire = bytes::BytesMut::new();
        fairway_proxy::h1::encode::request(&mut wire, &head, framing, keep_alive);
        let limits = Limits { underscores: Underscores::Keep, ..Limits::default() };
        let (found, length) = parse_request(&wire, &limits).expect("valid").expect("whole");
        prop_assert_eq!(length, wire.len());
        let usual = matches!(head.method, Method::Post | Method::Patch);
        let said = if usual && framing == Framing::Empty { Framing::Length(0) } else { framing };
        prop_assert_eq!(found.framing, said);
        prop_assert_eq!(found.keep_alive, (keep_alive || upgrade) && !found.is_odd());
        let found = RequestHead { headers: without_framing(&found.head.headers), ..found.head };
        prop_assert_eq!(found, head);
    }

    #[test]
    fn a_written_response_is_read_back(
        headers in fields(),
        framing in framings(),
        status in (200u16..=999).prop_filter("has a body", |status| !matches!(status, 204 | 304)),
        keep_alive: bool,
    ) {
        let framing = if framing == Framing::Empty { Framing::UntilClose } else { framing };
        let mut head = ResponseHead::new(Status::new(status).expect("a status"));
        head.headers = headers;
        let mut wire = bytes::BytesMut::new();
        let keep_alive = keep_alive && framing != Framing::UntilClose;
        fairway_proxy::h1::encode::response(&mut wire, &head, framing, Version::Http11, keep_alive);
        let found = parse_response(&wire, &Method::Get, &Limits::default());
        let (found, length) = found.expect("valid").expect("whole");
        prop_assert_eq!(length, wire.len());
        prop_assert_eq!((found.framing, found.keep_alive), (framing, keep_alive));
        prop_assert_eq!(found.head.status, head.status);
        prop_assert_eq!(without_framing(&found.head.headers), head.headers);
    }

    #[test]
    fn no_bytes_make_the_client_side_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let whole = [b"HTTP/1.1 200 ", &bytes[..], b"\r\n\r\n"].concat();
        for input in [bytes, whole] {
            if let Ok(Some((response, length))) = parse_response(&input, &Method::Get, &Limits::default()) {
                prop_assert!(length <= input.len());
                prop_assert!(response.head.status.code() >= 100);
            }
        }
    }
}
