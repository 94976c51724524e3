//! HTTP/1.1 with clients: connections that live on, bodies both ways, what is expected, what is cut
//! short.

use std::time::Duration;

use fairway_model::filter::DirectResponse;
use fairway_model::route::HttpAction;
use fairway_proxy::{Counter, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::http_rig::{self as http, Act, Backend, Caller, ok};
use super::rig::{self, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_forwarded_and_connections_live_on_both_sides() {
    let backend = Backend::start(|seen| ok(&format!("you asked for {}", seen.path()))).await;
    for threads in [1, 4] {
        let rig = Rig::start(threads, http::forwarding(&[backend.address]));
        let before = backend.connections();
        let mut caller = Caller::to(&rig).await;
        for turn in 0..20 {
            let got = caller.get(&format!("/a/{turn}?b=c")).await;
            assert_eq!((got.status, got.text()), (200, format!("you asked for /a/{turn}?b=c")));
            assert_eq!(got.field("connection"), None);
            assert!(got.field("date").is_some_and(|date| date.ends_with(" GMT")));
        }
        assert_eq!(backend.connections() - before, 1, "{threads} threads");
        assert_eq!(rig.proxy.metrics().counter(Counter::UpstreamReuses), 19);
        let seen = backend.last();
        assert_eq!(seen.connection, before);
        assert_eq!(seen.field("host"), Some("shop.test"));
        assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
        assert_eq!(seen.field("x-forwarded-port"), Some("80"));
        assert_eq!(seen.field("connection"), None);
        // A request is counted when its answer has been sent.
        rig::until("all are counted", || {
            let counts = rig.proxy.metrics();
            let counts = counts.listeners.get("web");
            counts.is_some_and(|counts| (counts.connections, counts.requests[2]) == (1, 20))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_at_once_are_answered_in_order() {
    let backend = Backend::start(|seen| ok(seen.path())).await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut caller = Caller::to(&rig).await;
    let mut all = String::new();
    for turn in 0..50 {
        let body = "x".repeat(turn);
        all += &format!("POST /{turn} HTTP/1.1\r\nhost: a\r\ncontent-length: {turn}\r\n\r\n{body}");
    }
    caller.send(all).await;
    for turn in 0..50 {
        assert_eq!(caller.answer().await.text(), format!("/{turn}"));
    }
    assert!(backend.seen().iter().enumerate().all(|(turn, seen)| seen.body.len() == turn));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_and_those_that_ask_are_closed_and_head_has_no_body() {
    let backend = Backend::start(|seen| match seen.head.starts_with("HEAD") {
        true => Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec()),
        false => Act::Send(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_vec(),
        ),
    })
    .await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let address = rig.address("web");
    let old = http::raw(address, "GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200"), "{old}");
    assert!(old.ends_with("\r\n\r\nhi") && !old.contains("chunked"), "{old}");
    let hostless = http::raw(address, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(hostless.starts_with("HTTP/1.1 200"), "{hostless}");
    let asked = http::raw(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(asked.contains("connection: close"), "{asked}");
    let mut caller = Caller::to(&rig).await;
    for _ in 0..2 {
        caller.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let got = caller.answer_to_head().await;
        assert_eq!((got.status, got.field("content-length")), (200, Some("5")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_stream_both_ways_with_their_trailers() {
    const SIZE: usize = 8 << 20;
    let backend = Backend::start(|seen| {
        let length = seen.body.len();
        let mut bytes =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n".to_vec();
        for chunk in seen.body.chunks(100_000) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend(format!("0\r\nx-sum: {length}\r\n\r\n").into_bytes());
        Act::Send(bytes)
    })
    .await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let data: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at % 251).expect("it fits")).collect();
    let address = rig.address("web");
    for framing in ["content-length: 8388608", "transfer-encoding: chunked"] {
        let mut caller = Caller::at(address).await;
        caller.send(format!("PUT / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n")).await;
        if framing.starts_with('t') {
            for chunk in data.chunks(70_000) {
                caller.send(format!("{:x}\r\n", chunk.len())).await;
                caller.send(chunk).await;
                caller.send("\r\n").await;
            }
            caller.send("0\r\nx-from: client\r\n\r\n").await;
        } else {
            caller.send(&data).await;
        }
        let got = caller.answer().await;
        let sent = backend.last().body;
        let trailer = if framing.starts_with('t') { &b"x-from: client"[..] } else { b"" };
        assert!(sent.starts_with(&data) && sent[data.len()..] == *trailer, "{framing}");
        assert!(got.body.starts_with(&data), "{framing}");
        let trailer = format!("x-sum: {}", sent.len());
        assert!(got.body.ends_with(trailer.as_bytes()), "{framing}");
        assert_eq!(caller.get("/").await.status, 200, "the connection lives on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_expects_100_gets_it_when_the_body_is_wanted() {
    let backend = Backend::start(|seen| ok(&String::from_utf8_lossy(&seen.body))).await;
    let mut model = http::forwarding(&[backend.address]);
    let teapot = DirectResponse { status: 418, content_type: None, body: "no".into() };
    http::rule(&mut model, "teapot", "web", "/tea", HttpAction::Respond(teapot));
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    let head = |path: &str, expect: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\nexpect: {expect}\r\ncontent-length: 5\r\n\r\n")
    };
    caller.send(head("/", "100-continue")).await;
    assert_eq!(caller.answer().await.status, 100);
    caller.send("hello").await;
    let got = caller.answer().await;
    assert_eq!((got.status, got.text()), (200, "hello".to_owned()));
    assert_eq!(backend.last().field("expect"), None);
    let refused = http::raw(rig.address("web"), head("/", "tea")).await;
    assert!(refused.starts_with("HTTP/1.1 417"), "{refused}");
    // Nobody wants the body: no 100, and the connection cannot be used any more.
    let refused = http::raw(rig.address("web"), head("/tea", "100-continue")).await;
    assert!(refused.starts_with("HTTP/1.1 418"), "{refused}");
    assert!(refused.contains("connection: close") && refused.ends_with("no"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwanted_body_is_read_when_short_and_ends_the_connection_when_long() {
    let backend = Backend::named("a").await;
    let mut model = http::forwarding(&[backend.address]);
    let teapot = DirectResponse { status: 418, content_type: None, body: "no".into() };
    http::rule(&mut model, "teapot", "web", "/tea", HttpAction::Respond(teapot));
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    caller.send("POST /tea HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await;
    assert_eq!(caller.answer().await.status, 418);
    assert_eq!(caller.get("/").await.text(), "a");
    let long = 10 << 20;
    caller.send(format!("POST /tea HTTP/1.1\r\nhost: a\r\ncontent-length: {long}\r\n\r\n")).await;
    caller.send(vec![b'x'; 300_000]).await;
    assert_eq!(caller.answer().await.status, 418);
    assert_eq!(caller.rest().await, b"", "closed, not reset before the answer was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_passes_and_the_endpoints_connection_is_not_used_again() {
    let socket = tokio::net::TcpListener::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut io, _)) = socket.accept().await {
            tokio::spawn(async move {
                let mut space = [0; 1024];
                assert!(io.read(&mut space).await? > 0);
                io.write_all(&http::response(413, "too long")).await?;
                while io.read(&mut space).await? > 0 {}
                Ok::<_, std::io::Error>(())
            });
        }
    });
    let rig = Rig::start(1, http::forwarding(&[address]));
    for turn in 1..=3 {
        let mut caller = Caller::to(&rig).await;
        caller.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\nbegin").await;
        let got = caller.answer().await;
        assert_eq!((got.status, got.text()), (413, "too long".to_owned()));
        caller.io.shutdown().await.expect("it is open");
        caller.rest().await;
        let metrics = rig.proxy.metrics();
        assert_eq!(metrics.counter(Counter::UpstreamConnections), turn);
        assert_eq!(metrics.counter(Counter::UpstreamReuses), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_in_its_body_ends_the_endpoints_request_too() {
    let backend = Backend::named("never").await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut caller = Caller::to(&rig).await;
    caller.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello").await;
    rig::until("the request has arrived", || backend.open() == 1).await;
    drop(caller);
    rig::until("the endpoint is told", || backend.open() == 0).await;
    assert!(backend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_in_the_answer_ends_the_endpoints_too() {
    let long = vec![b'x'; 64 << 20];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
    let answer = [head.into_bytes(), long].concat();
    let backend = Backend::start(move |_| Act::Send(answer.clone())).await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut caller = Caller::to(&rig).await;
    caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    caller.io.read_u8().await.expect("it begins");
    assert_eq!(backend.open(), 1);
    drop(caller);
    rig::until("the endpoint is told", || backend.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_while_it_waits_is_answered_soon_or_given_up() {
    let may = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let when = Act::When(std::sync::Arc::clone(&may), http::response(200, "late"));
    let backend = Backend::start(move |_| when.clone()).await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut half_closed = Caller::to(&rig).await;
    half_closed.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    half_closed.io.shutdown().await.expect("it is open");
    rig::until("the request has arrived", || backend.open() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    may.add_permits(1);
    assert_eq!(half_closed.answer().await.text(), "late");
    let requests = |class: usize| {
        rig.proxy.metrics().listeners.get("web").map_or(0, |counts| counts.requests[class])
    };
    rig::until("it is counted", || requests(2) == 1).await;
    let mut gone = Caller::to(&rig).await;
    gone.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    rig::until("the request has arrived", || backend.seen().len() == 2).await;
    drop(gone);
    rig::until("it is given up", || requests(4) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_bounded_for_heads_and_idle_connections() {
    let backend = Backend::named("a").await;
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.timeouts.header = Duration::from_millis(300);
    settings.timeouts.keep_alive = Duration::from_millis(600);
    let rig = Rig::start_with(settings, http::forwarding(&[backend.address]));
    let began = std::time::Instant::now();
    let mut slow = Caller::to(&rig).await;
    let mut writing = slow.io;
    let (mut from, mut to) = writing.split();
    let drip = async {
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
            if to.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut got = Vec::new();
    tokio::select! {
        () = drip => {}
        read = from.read_to_end(&mut got) => drop(read),
    }
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(got.is_empty() || got.starts_with("HTTP/1.1 408"), "{got}");
    assert!(began.elapsed() < Duration::from_secs(5), "bytes do not put the deadline off");
    slow = Caller::to(&rig).await;
    assert_eq!(slow.get("/").await.status, 200);
    let began = std::time::Instant::now();
    assert_eq!(slow.rest().await, b"", "an idle connection is closed in silence");
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_closes_idle_connections_and_lets_answers_end() {
    let may = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let when = Act::When(std::sync::Arc::clone(&may), http::response(200, "late"));
    let backend = Backend::start(move |_| when.clone()).await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut idle = Caller::to(&rig).await;
    let mut busy = Caller::to(&rig).await;
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    rig::until("the request has arrived", || backend.open() == 1).await;
    let proxy = std::sync::Arc::new(rig.proxy);
    let draining = std::sync::Arc::clone(&proxy);
    let drained = tokio::task::spawn_blocking(move || draining.drain(http::SOON));
    assert_eq!(idle.rest().await, b"");
    may.add_permits(1);
    let got = busy.answer().await;
    assert_eq!((got.text(), got.field("connection")), ("late".to_owned(), Some("close")));
    assert_eq!(busy.rest().await, b"");
    drained.await.expect("it ends");
    assert_eq!(proxy.metrics().counter(Counter::ConnectionsAborted), 0);
}
