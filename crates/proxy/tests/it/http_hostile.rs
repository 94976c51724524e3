//! Input that is meant to harm, over sockets: refused or bounded, while others are served.

use std::time::Duration;

use fairway_proxy::Settings;
use tokio::io::AsyncWriteExt;

use super::http_rig::{self as http, Backend, Caller};
use super::rig::{self, Rig};

/// What must be refused with a status, on a connection that is closed then.
const REFUSED: [(&str, &str); 30] = [
    ("400", "GET / HTTP/1.1\nHost: a\n\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a\n\r\n"),
    ("400", "GET / HTTP/1.1\r\n\r\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ("400", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n Y: 2\r\n\r\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    ("400", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n"),
    ("400", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("400", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("400", "GET /%5c HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("400", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("400", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("400", "GET /..%2f HTTP/1.1\r\nHost: a\r\n\r\n"),
    (
        "400",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("400", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"),
    ("400", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n"),
    ("400", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n"),
    ("400", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("400", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"),
    ("400", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\n"),
    ("400", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    ("400", "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\n"),
    ("501", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    ("501", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"),
    ("505", "GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
    ("417", "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_read_in_two_ways_is_refused_and_never_forwarded() {
    let backend = Backend::named("a").await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let address = rig.address("web");
    for (status, bytes) in REFUSED {
        let got =
            http::raw(address, bytes.to_owned() + "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
                .await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes:?}: {got}");
        assert_eq!(got.matches("HTTP/1.1").count(), 1, "{bytes:?}: {got}");
        assert!(got.contains("connection: close"), "{bytes:?}: {got}");
    }
    assert!(backend.seen().is_empty(), "{:?}", backend.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_chunks_end_the_request_on_both_sides() {
    let backend = Backend::named("a").await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let address = rig.address("web");
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5;\x01=\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX : 1\r\n\r\n",
    ] {
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let got =
            http::raw(address, format!("{head}{chunks}GET / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(got.starts_with("HTTP/1.1 400 "), "{chunks:?}: {got}");
        assert_eq!(got.matches("HTTP/1.1").count(), 1, "{chunks:?}: {got}");
    }
    assert!(backend.seen().is_empty(), "{:?}", backend.seen());
    rig::until("no endpoint waits for more", || backend.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_bounded_and_others_are_served_meanwhile() {
    let backend = Backend::named("a").await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let address = rig.address("web");
    let million = "x".repeat(1 << 20);
    let many = "x: 1\r\n".repeat(100_000);
    for (statuses, request) in [
        (&["414"][..], format!("GET /{million} HTTP/1.1\r\nhost: a\r\n\r\n")),
        (&["431"], format!("GET / HTTP/1.1\r\nhost: a\r\nx: {million}\r\n\r\n")),
        (&["431"], format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n")),
        (&["400", "414"], million.clone()),
    ] {
        let got = http::raw(address, request).await;
        let fits = statuses.iter().any(|status| got.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(fits, "{statuses:?}: {got}");
        assert_eq!(Caller::at(address).await.get("/").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_drip_are_cut_off_and_slow_endpoints_are_not_blamed_on_clients() {
    let backend = Backend::named("a").await;
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.timeouts.body = Duration::from_millis(300);
    let rig = Rig::start_with(settings, http::forwarding(&[backend.address]));
    let began = std::time::Instant::now();
    let mut caller = Caller::to(&rig).await;
    caller.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n").await;
    while caller.io.write_all(b"x").await.is_ok() && began.elapsed() < http::SOON {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(8), "bytes do not put the deadline off");
    rig::until("the endpoint is told", || backend.open() == 0).await;
    // Faster ones may take as long as they like, and so may endpoints.
    let mut caller = Caller::to(&rig).await;
    caller.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n").await;
    for _ in 0..10 {
        caller.send(vec![b'x'; 10_000]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(caller.answer().await.status, 200);
    let may = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let when = http::Act::When(std::sync::Arc::clone(&may), http::response(200, "late"));
    let late = Backend::start(move |_| when.clone()).await;
    let mut rig = rig;
    rig.change(|model| rig::endpoints(model, "backend", &[late.address]));
    caller.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    may.add_permits(1);
    assert_eq!(caller.answer().await.text(), "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_idle_connections_leave_room_for_others() {
    let backend = Backend::named("a").await;
    let settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    let rig = Rig::start_with(settings, http::forwarding(&[backend.address]));
    let address = rig.address("web");
    let mut idle = Vec::new();
    for turn in 0..400 {
        let mut caller = Caller::at(address).await;
        match turn % 3 {
            0 => {}
            1 => caller.io.write_all(b"GET / HT").await.expect("it is open"),
            _ => assert_eq!(caller.get("/").await.status, 200),
        }
        idle.push(caller);
    }
    let began = std::time::Instant::now();
    for _ in 0..50 {
        assert_eq!(Caller::at(address).await.get("/").await.status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    for caller in idle.iter_mut().skip(2).step_by(3) {
        assert_eq!(caller.get("/").await.status, 200, "they live on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_could_be_read_in_two_ways_are_not_passed_on() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\nx: 1\n\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ] {
        let backend = Backend::start(move |_| http::Act::Last(answer.into())).await;
        let rig = Rig::start(1, http::forwarding(&[backend.address]));
        assert_eq!(Caller::to(&rig).await.get("/").await.status, 502, "{answer:?}");
    }
    // More than was asked for: the rest must not become the answer to the next request.
    let double = [http::response(200, "one"), http::response(200, "evil")].concat();
    let backend = Backend::start(move |seen| match seen.path() {
        "/double" => http::Act::Send(double.clone()),
        _ => http::ok("two"),
    })
    .await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut caller = Caller::to(&rig).await;
    assert_eq!(caller.get("/double").await.text(), "one");
    assert_eq!(caller.get("/").await.text(), "two");
}
