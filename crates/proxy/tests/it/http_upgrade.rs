//! A change of protocols: WebSocket to its end, and what must not become a tunnel.

use std::net::SocketAddr;
use std::time::Duration;

use fairway_model::policy::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::http_rig::{self as http, Backend, Caller, ok};
use super::rig::{self, Rig};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-version: 13\r\n\r\n";

/// A backend that switches protocols, says hello behind its head, and then echoes.
async fn switching() -> SocketAddr {
    let socket = TcpListener::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut io, _)) = socket.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(io.read_u8().await?);
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
                assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
                assert!(head.contains("\r\nsec-websocket-key: "), "{head}");
                io.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                      connection: upgrade\r\nsec-websocket-accept: x\r\n\r\nhello",
                )
                .await?;
                let (mut from, mut to) = io.split();
                tokio::io::copy(&mut from, &mut to).await?;
                to.write_all(b"bye").await?;
                to.shutdown().await
            });
        }
    });
    address
}

async fn text(caller: &mut Caller, length: usize) -> String {
    let mut got = vec![0; length];
    let read = tokio::time::timeout(http::SOON, caller.io.read_exact(&mut got)).await;
    read.expect("in time").expect("it is open");
    String::from_utf8(got).expect("it is text")
}

/// Reads a head and nothing else.
async fn head(caller: &mut Caller) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head += &text(caller, 1).await;
    }
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_passes_both_ways_with_half_closed_ends() {
    let address = switching().await;
    for threads in [1, 4] {
        let rig = Rig::start(threads, http::forwarding(&[address]));
        let mut caller = Caller::to(&rig).await;
        // Bytes behind the head wait for the endpoint's 101.
        caller.send(UPGRADE.to_owned() + "early").await;
        let head = head(&mut caller).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(
            head.contains("upgrade: websocket") && head.contains("connection: upgrade"),
            "{head}"
        );
        assert!(head.contains("sec-websocket-accept: x"), "{head}");
        assert_eq!(text(&mut caller, 10).await, "helloearly");
        for turn in 0..100 {
            let message = format!("message {turn}");
            caller.send(&message).await;
            assert_eq!(text(&mut caller, message.len()).await, message);
        }
        caller.io.shutdown().await.expect("it is open");
        assert_eq!(caller.rest().await, b"bye");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_times_out_no_tunnel_but_silence_does() {
    let model = http::forwarding_with(&[switching().await], |_, forward| {
        forward.timeouts.request = Millis::new(100);
        forward.timeouts.idle = Millis::new(400);
    });
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    caller.send(UPGRADE).await;
    head(&mut caller).await;
    assert_eq!(text(&mut caller, 5).await, "hello");
    tokio::time::sleep(Duration::from_millis(200)).await;
    caller.send("still").await;
    assert_eq!(text(&mut caller, 5).await, "still");
    assert_eq!(caller.rest().await, b"", "closed after a time of silence");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_endpoints_101_opens_a_tunnel() {
    let backend = Backend::start(|_| ok("no")).await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut caller = Caller::to(&rig).await;
    caller.send(UPGRADE.to_owned() + "GET /second HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(caller.answer().await.text(), "no");
    assert_eq!(caller.answer().await.text(), "no");
    let paths: Vec<_> = backend.seen().iter().map(|seen| seen.path().to_owned()).collect();
    assert_eq!(paths, ["/chat", "/second"]);
    // HTTP/2 in clear text is not offered by way of HTTP/1.1 (attack A13).
    caller
        .send(
            "GET /h2c HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\n\
             upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        )
        .await;
    assert_eq!(caller.answer().await.status, 200);
    let seen = backend.last();
    assert_eq!((seen.field("upgrade"), seen.field("http2-settings")), (None, None));
    // An endpoint that switches unasked is broken.
    let bad = Backend::start(|_| {
        http::Act::Send(b"HTTP/1.1 101 X\r\nupgrade: y\r\nconnection: upgrade\r\n\r\n".to_vec())
    })
    .await;
    let rig = Rig::start(1, http::forwarding(&[bad.address]));
    assert_eq!(Caller::to(&rig).await.get("/").await.status, 502);
}
