//! Bytes: TCP listeners, and TLS that the backend ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::route::{BackendTarget, Failure, Rule};
use fairway_model::{Model, RouteId};
use fairway_proxy::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::rig::{self, Rig};

async fn with_backends(names: &[(&'static str, u32)]) -> Model {
    let mut model = rig::model();
    rig::listener(&mut model, "tcp", 9000, "*", ListenerProtocol::Tcp);
    for (name, _) in names {
        rig::cluster(&mut model, name, BackendProtocol::Tcp, &[rig::echo(name).await]);
    }
    rig::stream_route(&mut model, "route", "tcp", ("*", 2), names);
    model
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it listens")
}

/// The end of the stream, or a reset.
async fn is_closed(address: SocketAddr) -> bool {
    let mut io = connect(address).await;
    matches!(io.read(&mut [0; 16]).await, Ok(0) | Err(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    for threads in [1, 4] {
        let rig = Rig::start(threads, with_backends(&[("a", 1)]).await);
        let mut io = connect(rig.address("tcp")).await;
        assert_eq!(rig::line(&mut io).await.expect("it answers"), "a");
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        let (mut from, mut to) = io.split();
        let writing = async {
            to.write_all(&sent).await.expect("it is read");
            to.shutdown().await.expect("it is open");
        };
        let mut got = Vec::new();
        let (read, ()) = tokio::join!(from.read_to_end(&mut got), writing);
        read.expect("the backend answers after our end");
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        let id = fairway_model::ListenerId::new("tcp");
        let bytes = || rig.proxy.metrics().listeners.get(&id).map(|counts| counts.bytes_received);
        rig::until("the bytes are counted", || bytes() == Some(3_000_000)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_shared_out_by_weight() {
    for threads in [1, 4] {
        let rig = Rig::start(threads, with_backends(&[("a", 9), ("b", 1), ("none", 0)]).await);
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..100 {
            let name = rig::line(&mut connect(rig.address("tcp")).await).await;
            *shares.entry(name.expect("it answers")).or_default() += 1;
        }
        let b = shares.get("b").copied().unwrap_or_default();
        assert!((9..=11).contains(&b), "{shares:?}");
        assert_eq!(shares.len(), 2, "{shares:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_route_wins() {
    let mut model = with_backends(&[("a", 1)]).await;
    rig::cluster(&mut model, "old", BackendProtocol::Tcp, &[rig::echo("old").await]);
    rig::stream_route(&mut model, "older", "tcp", ("*", 1), &[("old", 1)]);
    let mut rig = Rig::start(1, model);
    let address = rig.address("tcp");
    assert_eq!(rig::line(&mut connect(address).await).await.expect("it answers"), "old");
    rig.change(|model| drop(model.routes.remove(&RouteId::new("older"))));
    assert_eq!(rig::line(&mut connect(address).await).await.expect("it answers"), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leads_nowhere_is_closed() {
    let mut rig = Rig::start(1, with_backends(&[("a", 1)]).await);
    let address = rig.address("tcp");
    assert!(!is_closed(address).await);
    let edit = |model: &mut Model, change: &dyn Fn(&mut fairway_model::route::StreamRule)| {
        let route = Arc::make_mut(model.routes.get_mut("route").expect("it is there"));
        match &mut route.rule {
            Rule::Stream(rule) => change(rule),
            Rule::Http(_) => unreachable!("it is a stream's"),
        }
    };
    rig.change(|model| {
        edit(model, &|rule| rule.ip_access.deny = vec!["127.0.0.0/8".parse().expect("a net")]);
    });
    assert!(is_closed(address).await, "the client is shut out");
    rig.change(|model| {
        edit(model, &|rule| {
            rule.ip_access.deny.clear();
            let failure = Failure { status: 500, reason: "not granted".into() };
            rule.backends[0].target = BackendTarget::Fail(failure);
        });
    });
    assert!(is_closed(address).await, "the reference is refused");
    rig.change(|model| edit(model, &|rule| rule.backends.clear()));
    assert!(is_closed(address).await, "there is no backend");
    rig.change(|model| {
        rig::endpoints(model, "a", &[]);
        rig::stream_route(model, "route", "tcp", ("*", 1), &[("a", 1)]);
    });
    assert!(is_closed(address).await, "there is no endpoint");
    rig.change(|model| model.routes.clear());
    assert!(is_closed(address).await, "there is no route");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_reached_is_passed_over() {
    let mut model = with_backends(&[("a", 1)]).await;
    // Bound and never listened on: connections to it are refused, and nobody else can take it.
    let dead = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let dead = dead.expect("a socket");
    dead.bind(&SocketAddr::new(rig::LOOPBACK, 0).into()).expect("a port is free");
    let dead_address = dead.local_addr().expect("it is bound").as_socket().expect("it is IP");
    rig::endpoints(&mut model, "a", &[dead_address, rig::echo("a").await]);
    let rig = Rig::start(1, model);
    for _ in 0..6 {
        let name = rig::line(&mut connect(rig.address("tcp")).await).await;
        assert_eq!(name.expect("it answers"), "a");
    }
    assert_eq!(rig.proxy.metrics().upstream_failures.get("connect"), Some(&3));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_closed_after_their_time() {
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.timeouts.stream_idle = Duration::from_millis(200);
    let rig = Rig::start_with(settings, with_backends(&[("a", 1)]).await);
    let mut io = connect(rig.address("tcp")).await;
    assert_eq!(rig::line(&mut io).await.expect("it answers"), "a");
    let ended = tokio::time::timeout(Duration::from_secs(10), io.read(&mut [0; 16])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

/// Reads all that comes before the client's end, then answers with it.
async fn recorder() -> SocketAddr {
    let socket = TcpListener::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut io, _)) = socket.accept().await {
            let mut all = Vec::new();
            if io.read_to_end(&mut all).await.is_ok() {
                drop(io.write_all(&all).await);
            }
        }
    });
    address
}

fn hello(name: &str) -> Vec<u8> {
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().expect("a name");
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).expect("TLS");
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).expect("memory takes it");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_passes_through_byte_for_byte_by_server_name() {
    for threads in [1, 4] {
        let mut model = rig::model();
        rig::listener(&mut model, "tls", 443, "*.test", ListenerProtocol::TlsPassthrough);
        rig::cluster(&mut model, "a", BackendProtocol::Tcp, &[recorder().await]);
        rig::stream_route(&mut model, "route", "tls", ("a.test", 1), &[("a", 1)]);
        let rig = Rig::start(threads, model);
        let mut io = connect(rig.address("tls")).await;
        let mut sent = hello("a.test");
        sent.extend_from_slice(b"whatever follows");
        io.write_all(&sent).await.expect("it is read");
        io.shutdown().await.expect("it is open");
        let mut got = Vec::new();
        io.read_to_end(&mut got).await.expect("the backend answers");
        assert!(got == sent, "the backend sees what the client sent");

        for unknown in [hello("b.test"), hello("other.example"), b"GET / HTTP/1.1\r\n\r\n".to_vec()]
        {
            let mut io = connect(rig.address("tls")).await;
            io.write_all(&unknown).await.expect("it is read");
            let mut got = Vec::new();
            // A reset is as good as the end; one byte of an alert is not.
            drop(io.read_to_end(&mut got).await);
            assert_eq!(got, b"");
        }
    }
}
