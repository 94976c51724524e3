//! HTTP/2 with clients and endpoints: streams side by side, trailers, flow control, resets, the end of
//! a connection, and gRPC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fairway_model::cluster::BackendProtocol;
use fairway_model::policy::Millis;
use fairway_model::route::{HttpAction, HttpDialect};
use fairway_proxy::Counter;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::http_rig::{self as rigged, Act, Backend, Caller, ok};
use super::rig::{self, Rig};

/// A client on one connection.
pub(crate) async fn client(
    io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) -> SendRequest<Bytes> {
    let (send, connection) = h2::client::handshake(io).await.expect("it speaks HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    send
}

async fn plain(rig: &Rig) -> SendRequest<Bytes> {
    let io = TcpStream::connect(rig.address("web")).await.expect("it listens");
    client(io).await
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://shop.test{path}"))
}

/// Everything of an answer.
pub(crate) struct Got {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Got {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

async fn read(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok((all, body.trailers().await?))
}

/// Sends a request whole and reads the answer whole.
pub(crate) async fn call(
    send: &SendRequest<Bytes>,
    request: Request<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
) -> Result<Got, h2::Error> {
    let mut send = send.clone().ready().await?;
    let ended = body.is_empty() && trailers.is_none();
    let (response, mut stream) = send.send_request(request, ended)?;
    let upload = async move {
        let mut left = Bytes::from(body);
        while !left.is_empty() {
            stream.reserve_capacity(left.len());
            while stream.capacity() == 0 {
                match std::future::poll_fn(|task| stream.poll_capacity(task)).await {
                    Some(granted) => granted?,
                    None => return Ok(()),
                };
            }
            let part = left.split_to(stream.capacity().min(left.len()));
            stream.send_data(part, left.is_empty() && trailers.is_none())?;
        }
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers)?;
        }
        Ok::<_, h2::Error>(())
    };
    let download = async {
        let (head, body) = response.await?.into_parts();
        let (body, trailers) = read(body).await?;
        Ok(Got { head, body, trailers })
    };
    let both = async { tokio::join!(upload, download) };
    let (_, got) = tokio::time::timeout(rigged::SOON, both).await.expect("in time");
    got
}

async fn get(send: &SendRequest<Bytes>, path: &str) -> Got {
    let request = request("GET", path).body(()).expect("a request");
    call(send, request, Vec::new(), None).await.expect("an answer")
}

/// A backend of HTTP/2 in clear text that sends back bodies and trailers. `x-act` asks for more.
async fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = TcpListener::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((io, _)) = socket.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(io).await.expect("it speaks HTTP/2");
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond));
                }
            });
        }
    });
    (address, connections)
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let act = head.headers.get("x-act").and_then(|act| act.to_str().ok()).unwrap_or_default();
    if act == "refuse" {
        respond.send_reset(Reason::REFUSED_STREAM);
        return Ok(());
    }
    let response = Response::builder()
        .header("x-path", head.uri.path())
        .header(
            "x-te",
            head.headers.get("te").cloned().unwrap_or(http::HeaderValue::from_static("")),
        )
        .header("content-type", "application/grpc");
    if act == "only-trailers" {
        let response = response.header("grpc-status", "5").body(()).expect("a response");
        respond.send_response(response, true)?;
        return Ok(());
    }
    let mut stream = respond.send_response(response.body(()).expect("a response"), false)?;
    while let Some(data) = body.data().await {
        let data = data?;
        let length = data.len();
        let mut left = data;
        while !left.is_empty() {
            stream.reserve_capacity(left.len());
            while stream.capacity() == 0 {
                let granted = std::future::poll_fn(|task| stream.poll_capacity(task)).await;
                granted.ok_or_else(|| h2::Error::from(Reason::CANCEL))??;
            }
            stream.send_data(left.split_to(stream.capacity().min(left.len())), false)?;
        }
        body.flow_control().release_capacity(length)?;
        if act == "reset" {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
    }
    let mut trailers = body.trailers().await?.unwrap_or_default();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    stream.send_trailers(trailers)
}

async fn to_h2c() -> (Rig, Arc<AtomicUsize>) {
    let (address, connections) = echo().await;
    let mut model = rigged::forwarding(&[]);
    rig::cluster(&mut model, "backend", BackendProtocol::H2c, &[address]);
    (Rig::start(1, model), connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_go_side_by_side_to_endpoints_of_http1() {
    let backend = Backend::start(|seen| ok(&format!("{} {}", seen.path(), seen.body.len()))).await;
    for threads in [1, 4] {
        let rig = Rig::start(threads, rigged::forwarding(&[backend.address]));
        let send = plain(&rig).await;
        let mut calls = tokio::task::JoinSet::new();
        for turn in 0..100_usize {
            let send = send.clone();
            calls.spawn(async move {
                let with_body = request("POST", &format!("/{turn}")).body(()).expect("a request");
                let got =
                    call(&send, with_body, vec![b'x'; turn * 1000], None).await.expect("whole");
                assert_eq!(got.status(), 200);
                assert_eq!(got.body, format!("/{turn} {}", turn * 1000).into_bytes());
                assert!(got.trailers.is_none());
            });
        }
        while let Some(done) = calls.join_next().await {
            done.expect("it is answered");
        }
        let seen = backend.last();
        assert_eq!(seen.field("host"), Some("shop.test"));
    }
    let encodings = backend.seen();
    assert!(
        encodings
            .iter()
            .all(|seen| seen.path() == "/0" || seen.field("transfer-encoding").is_some())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_passes_with_its_trailers_on_few_connections() {
    let (rig, connections) = to_h2c().await;
    let send = plain(&rig).await;
    let mut calls = tokio::task::JoinSet::new();
    for turn in 0..50_usize {
        let send = send.clone();
        calls.spawn(async move {
            let request = request("POST", "/pkg.Service/Method")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())
                .expect("a request");
            let mut trailers = HeaderMap::new();
            trailers.insert("x-turn", turn.to_string().parse().expect("a value"));
            let data = vec![7; 1000 * turn + 1];
            let got = call(&send, request, data.clone(), Some(trailers)).await.expect("whole");
            assert_eq!((got.status(), got.body == data), (200, true));
            assert_eq!(got.field("x-te"), Some("trailers"));
            let trailers = got.trailers.expect("there are some");
            assert_eq!(trailers.get("grpc-status").map(|code| code.as_bytes()), Some(&b"0"[..]));
            assert_eq!(trailers.get("x-turn").expect("it came back"), &turn.to_string());
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("it is answered");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let request =
        request("POST", "/x").header("x-act", "only-trailers").body(()).expect("a request");
    let got = call(&send, request, Vec::new(), None).await.expect("whole");
    assert_eq!((got.status(), got.field("grpc-status")), (200, Some("5")));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_stream_pass_one_by_one_both_ways() {
    let (rig, _) = to_h2c().await;
    let mut send = plain(&rig).await.ready().await.expect("it is open");
    let request = request("POST", "/chat").body(()).expect("a request");
    let (response, mut stream) = send.send_request(request, false).expect("it is open");
    let response = tokio::time::timeout(rigged::SOON, response).await;
    let mut body = response.expect("before the body").expect("an answer").into_body();
    for turn in 0..20_u8 {
        stream.send_data(Bytes::from(vec![turn; 5]), false).expect("it is open");
        let mut got = Vec::new();
        while got.len() < 5 {
            let data = tokio::time::timeout(rigged::SOON, body.data()).await.expect("in time");
            let data = data.expect("it is open").expect("it is open");
            body.flow_control().release_capacity(data.len()).expect("it is open");
            got.extend_from_slice(&data);
        }
        assert_eq!(got, [turn; 5]);
    }
    stream.send_data(Bytes::new(), true).expect("it is open");
    assert!(body.data().await.is_none());
    assert!(body.trailers().await.expect("whole").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_both_ways_and_a_slow_reader_holds_the_endpoint_back() {
    const SIZE: usize = 8 << 20;
    let (rig, _) = to_h2c().await;
    let send = plain(&rig).await;
    let data: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at % 251).expect("it fits")).collect();
    let whole = request("PUT", "/").body(()).expect("a request");
    let got = call(&send, whole, data.clone(), None).await.expect("whole");
    assert!(got.body == data);
    // HTTP/1.1 in front, HTTP/2 behind.
    let mut caller = Caller::to(&rig).await;
    caller.send(format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n")).await;
    let (mut from, mut to) = caller.io.split();
    let upload = async { to.write_all(&data).await };
    let download = async {
        let mut got = Vec::new();
        let mut space = vec![0; 65536];
        while !got.ends_with(b"grpc-status: 0\r\n\r\n") {
            let count = from.read(&mut space).await.expect("it is open");
            assert!(count > 0, "it breaks off after {}", got.len());
            got.extend_from_slice(&space[..count]);
        }
        got.len()
    };
    let both = async { tokio::join!(upload, download) };
    let (sent, got) = tokio::time::timeout(rigged::SOON, both).await.expect("in time");
    sent.expect("it is taken");
    assert!(got > SIZE);
    // Nobody reads: not more is taken from the client than the windows on the way hold.
    let mut ready = send.clone().ready().await.expect("it is open");
    let request = request("PUT", "/").body(()).expect("a request");
    let (response, mut stream) = ready.send_request(request, false).expect("it is open");
    let _unread = response.await.expect("an answer");
    let mut taken = 0;
    loop {
        stream.reserve_capacity(65536);
        let granted = std::future::poll_fn(|task| stream.poll_capacity(task));
        match tokio::time::timeout(Duration::from_millis(500), granted).await {
            Ok(Some(Ok(granted))) if granted > 0 => {
                stream.send_data(Bytes::from(vec![0; granted]), false).expect("it is open");
                taken += granted;
            }
            Ok(_) => {}
            Err(_) => break,
        }
        assert!(taken < 32 << 20, "there is no back pressure");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_rules_for_grpc_are_told_in_its_way() {
    let (address, _) = echo().await;
    let mut model = rigged::forwarding(&[]);
    rig::cluster(&mut model, "backend", BackendProtocol::H2c, &[address]);
    rig::cluster(&mut model, "empty", BackendProtocol::H2c, &[]);
    let mut rule = rigged::plain_rule("/grpc", rigged::forward(&["empty"]));
    rule.dialect = HttpDialect::Grpc;
    rigged::put(&mut model, "grpc", "web", "*", rule);
    let hung = Backend::start(|_| Act::Hang).await;
    rig::cluster(&mut model, "hung", BackendProtocol::Http, &[hung.address]);
    let mut forward = rigged::plain_forward(&["hung"]);
    forward.timeouts.request = Millis::new(100);
    let mut rule = rigged::plain_rule("/late", HttpAction::Forward(Box::new(forward)));
    rule.dialect = HttpDialect::Grpc;
    rigged::put(&mut model, "late", "web", "*", rule);
    let rig = Rig::start(1, model);
    let send = plain(&rig).await;
    for (path, kind, status, code) in [
        ("/grpc", "application/grpc", 200, Some("14")),
        ("/grpc", "application/grpc+proto", 200, Some("14")),
        ("/grpc", "text/plain", 503, None),
        ("/late", "application/grpc", 200, Some("4")),
    ] {
        let request =
            request("POST", path).header("content-type", kind).body(()).expect("a request");
        let got = call(&send, request, Vec::new(), None).await.expect("whole");
        assert_eq!((got.status(), got.field("grpc-status")), (status, code), "{path} {kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_pass_both_ways_and_leave_the_neighbours_alone() {
    let backend = Backend::start(|_| Act::Hang).await;
    let (address, _) = echo().await;
    let mut model = rigged::forwarding(&[backend.address]);
    rig::cluster(&mut model, "echo", BackendProtocol::H2c, &[address]);
    rigged::rule(&mut model, "echo", "web", "/echo", rigged::forward(&["echo"]));
    let rig = Rig::start(1, model);
    let send = plain(&rig).await;
    let mut ready = send.clone().ready().await.expect("it is open");
    let hung = request("GET", "/").body(()).expect("a request");
    let (response, mut stream) = ready.send_request(hung, true).expect("it is open");
    rig::until("the request has arrived", || backend.open() == 1).await;
    stream.send_reset(Reason::CANCEL);
    rig::until("the endpoint is told", || backend.open() == 0).await;
    drop(response);
    let cut = request("POST", "/echo").header("x-act", "reset").body(()).expect("a request");
    let got = call(&send, cut, b"hello".to_vec(), None).await;
    // Whether the endpoint's head came before its reset is the endpoint's luck.
    match got {
        Ok(got) => assert_eq!(got.status(), 502),
        Err(error) => assert!(error.is_reset(), "the client sees that it is not whole"),
    }
    let refused = request("GET", "/echo").header("x-act", "refuse").body(()).expect("a request");
    let got = call(&send, refused, Vec::new(), None).await.expect("an answer");
    assert_eq!(got.status(), 502);
    assert_eq!(rig.proxy.metrics().counter(Counter::Retries), 1, "refused unseen, tried once more");
    assert_eq!(get(&send, "/echo").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_alone() {
    let backend = Backend::named("a").await;
    let rig = Rig::start(1, rigged::forwarding(&[backend.address]));
    let send = plain(&rig).await;
    for (path, field, status) in [
        ("/a%5cb", ("x", "1"), 400),
        ("/a%00", ("x", "1"), 400),
        ("/", ("host", "evil.test"), 400),
        ("/", ("x_y", "1"), 400),
        ("/", ("x", "1"), 200),
    ] {
        let request = request("GET", path).header(field.0, field.1).body(()).expect("a request");
        let got = call(&send, request, Vec::new(), None).await.expect("an answer");
        assert_eq!(got.status(), status, "{path} {field:?}");
    }
    let mut many = request("GET", "/");
    for number in 0..200 {
        many = many.header(format!("x-{number}"), "1");
    }
    let got = call(&send, many.body(()).expect("a request"), Vec::new(), None).await;
    assert_eq!(got.expect("an answer").status(), 431);
    // The length that the head promised does not come.
    let short = request("POST", "/").header("content-length", "10").body(()).expect("a request");
    let got = call(&send, short, b"hello".to_vec(), None).await;
    assert!(got.is_err_and(|error| error.is_reset()));
    assert_eq!(get(&send, "/").await.status(), 200);
    assert_eq!(backend.seen().len(), 2);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET http://a/` in HPACK, the whole head and the whole request.
fn get_frame(stream: u32) -> Vec<u8> {
    frame(1, 0x5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a'])
}

async fn raw_connection(rig: &Rig) -> TcpStream {
    let mut io = TcpStream::connect(rig.address("web")).await.expect("it listens");
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it is open");
    io.write_all(&frame(4, 0, 0, &[])).await.expect("it is open");
    io
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_without_end_close_the_connection_and_start_little_work() {
    for pause in [Duration::ZERO, Duration::from_millis(1)] {
        let backend = Backend::start(|_| Act::Hang).await;
        let rig = Rig::start(1, rigged::forwarding(&[backend.address]));
        let (mut from, mut to) = raw_connection(&rig).await.into_split();
        let flood = async {
            for number in 0..2_000 {
                let stream = number * 2 + 1;
                to.write_all(&get_frame(stream)).await?;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                to.write_all(&frame(3, 0, stream, &8_u32.to_be_bytes())).await?;
            }
            std::future::pending::<std::io::Result<()>>().await
        };
        let mut got = Vec::new();
        let closed = async { from.read_to_end(&mut got).await };
        let both = async {
            tokio::select! {
                flooded = flood => drop(flooded),
                read = closed => drop(read),
            }
        };
        tokio::time::timeout(rigged::SOON, both).await.expect("the connection is closed");
        rig::until("nothing is left at the endpoint", || backend.open() == 0).await;
        assert!(backend.connections() <= 400, "{}", backend.connections());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_end_are_bounded() {
    let backend = Backend::named("a").await;
    let rig = Rig::start(1, rigged::forwarding(&[backend.address]));
    // CONTINUATION without end (attack A7), and one block with very many indexed fields (A9).
    let continued = {
        let mut bytes = frame(1, 0x1, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'a']);
        for _ in 0..20_000 {
            bytes.extend(frame(9, 0, 1, &[0x40, 1, b'x', 1, b'y']));
        }
        bytes
    };
    let indexed =
        frame(1, 0x5, 1, &[&[0x82, 0x86, 0x84, 0x41, 1, b'a'][..], &[0x90; 15_000]].concat());
    for (name, flood) in [("continued", continued), ("indexed", indexed)] {
        let (mut from, mut to) = raw_connection(&rig).await.into_split();
        let sent = async { to.write_all(&flood).await };
        let mut got = vec![0; 65536];
        let answered = async {
            let mut all = Vec::new();
            loop {
                let count = from.read(&mut got).await.unwrap_or(0);
                all.extend_from_slice(&got[..count]);
                // GOAWAY, RST_STREAM or an answer.
                let ended = all.windows(9).any(|head| matches!(head[3], 1 | 3 | 7) && head[0] == 0);
                if count == 0 || ended {
                    return;
                }
            }
        };
        let both = async { tokio::join!(sent, answered) };
        drop(tokio::time::timeout(rigged::SOON, both).await.expect("it is refused"));
        assert!(backend.seen().is_empty(), "{name}");
    }
    assert_eq!(get(&plain(&rig).await, "/").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_lets_streams_end_and_takes_no_new_ones() {
    let (rig, _) = to_h2c().await;
    let send = plain(&rig).await;
    let mut ready = send.clone().ready().await.expect("it is open");
    let held = request("POST", "/held").body(()).expect("a request");
    let (response, mut stream) = ready.send_request(held, false).expect("it is open");
    let response = response.await.expect("an answer");
    let proxy = Arc::new(rig.proxy);
    let draining = Arc::clone(&proxy);
    let drained = tokio::task::spawn_blocking(move || draining.drain(rigged::SOON));
    let refused = async {
        loop {
            let Ok(mut ready) = send.clone().ready().await else { break };
            let late = request("GET", "/late").body(()).expect("a request");
            let Ok((response, _)) = ready.send_request(late, true) else { break };
            if response.await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(rigged::SOON, refused).await.expect("no new streams");
    stream.send_data(Bytes::from_static(b"bye"), true).expect("it is open");
    let (body, trailers) = read(response.into_body()).await.expect("whole");
    assert!(body == b"bye" && trailers.is_some());
    drained.await.expect("it ends");
    assert_eq!(proxy.metrics().counter(Counter::ConnectionsAborted), 0);
}
