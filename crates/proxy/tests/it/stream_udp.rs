//! Datagrams: sessions, their shares, their ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use fairway_model::Model;
use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::ListenerProtocol;
use fairway_proxy::{Counter, Settings};
use tokio::net::UdpSocket;

use super::rig::{self, Rig};

/// Answers each datagram with its own name, what came, and who it came from.
async fn echo(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let answer = format!("{name} {text} {from}");
            drop(socket.send_to(answer.as_bytes(), from).await);
        }
    });
    address
}

async fn with_backends(names: &[(&'static str, u32)]) -> Model {
    let mut model = rig::model();
    rig::listener(&mut model, "udp", 5300, "*", ListenerProtocol::Udp);
    for (name, _) in names {
        rig::cluster(&mut model, name, BackendProtocol::Udp, &[echo(name).await]);
    }
    rig::stream_route(&mut model, "route", "udp", ("*", 1), names);
    model
}

async fn client(rig: &Rig) -> UdpSocket {
    let socket = UdpSocket::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    // Connected: an answer from another address than the one asked would not arrive.
    socket.connect(rig.address("udp")).await.expect("it is an address");
    socket
}

async fn ask(socket: &UdpSocket, text: &str) -> Option<(String, String)> {
    socket.send(text.as_bytes()).await.ok()?;
    let mut buffer = [0; 1024];
    let answer = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await;
    let length = answer.ok()?.ok()?;
    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let mut words = answer.split(' ');
    let name = words.next()?.to_owned();
    assert_eq!(words.next(), Some(text));
    Some((name, words.next()?.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_keeps_its_session_and_sessions_follow_the_weights() {
    for threads in [1, 4] {
        let rig = Rig::start(threads, with_backends(&[("a", 9), ("b", 1)]).await);
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        let mut sources = BTreeSet::new();
        // Kept open, so that no two have the same address.
        let mut clients = Vec::new();
        for _ in 0..100 {
            let socket = client(&rig).await;
            let first = ask(&socket, "1").await.expect("it is answered");
            let second = ask(&socket, "2").await.expect("it is answered");
            assert_eq!(first, second, "the same endpoint, from the same socket");
            *shares.entry(first.0).or_default() += 1;
            sources.insert(first.1);
            clients.push(socket);
        }
        assert_eq!(sources.len(), 100, "each session has a socket of its own");
        let b = shares.get("b").copied().unwrap_or_default();
        assert!((9..=11).contains(&b), "{shares:?}");
        assert_eq!(rig.proxy.metrics().counter(Counter::UdpSessions), 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sessions_end_and_there_are_never_too_many() {
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.limits.udp_sessions = 2;
    settings.timeouts.udp_idle = Duration::from_millis(500);
    let rig = Rig::start_with(settings, with_backends(&[("a", 1)]).await);
    let (one, other, third) = (client(&rig).await, client(&rig).await, client(&rig).await);
    assert!(ask(&one, "1").await.is_some());
    assert!(ask(&other, "1").await.is_some());
    third.send(b"1").await.expect("it is sent");
    let count = |counter| rig.proxy.metrics().counter(counter);
    rig::until("it is dropped", || count(Counter::UdpDropped) == 1).await;
    rig::until("both have ended", || count(Counter::UdpSessionsEnded) == 2).await;
    assert!(ask(&third, "2").await.is_some(), "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_moves_when_its_endpoint_or_its_share_goes() {
    let mut rig = Rig::start(1, with_backends(&[("a", 1), ("b", 0)]).await);
    let socket = client(&rig).await;
    assert_eq!(ask(&socket, "1").await.expect("it is answered").0, "a");
    rig.change(|model| {
        rig::stream_route(model, "route", "udp", ("*", 1), &[("a", 0), ("b", 1)]);
    });
    assert_eq!(ask(&socket, "2").await.expect("it is answered").0, "b");
    let c = echo("c").await;
    rig.change(|model| rig::endpoints(model, "b", &[c]));
    assert_eq!(ask(&socket, "3").await.expect("it is answered").0, "c");
    rig.change(|model| model.routes.clear());
    socket.send(b"4").await.expect("it is sent");
    let dropped = || rig.proxy.metrics().counter(Counter::UdpDropped);
    rig::until("it is dropped", || dropped() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_goes_still_answers_and_may_come_back_at_once() {
    let port = rig::free_port();
    let mut model = with_backends(&[("a", 1)]).await;
    rig::listener(&mut model, "udp", port, "*", ListenerProtocol::Udp);
    let settings = Settings { threads: 4, ..Settings::default() };
    let mut rig = Rig::start_with(settings, model);
    let socket = client(&rig).await;
    for _ in 0..10 {
        assert_eq!(ask(&socket, "1").await.expect("it is answered").0, "a");
        socket.send(b"2").await.expect("it is sent");
        rig.change(|model| drop(model.listeners.remove("udp")));
        let mut buffer = [0; 64];
        let answer = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await;
        answer.expect("in time").expect("what was sent before is answered");
        rig.change(|model| rig::listener(model, "udp", port, "*", ListenerProtocol::Udp));
        assert_eq!(rig.error("udp"), None);
    }
    assert_eq!(ask(&socket, "3").await.expect("it is answered").0, "a");
}
