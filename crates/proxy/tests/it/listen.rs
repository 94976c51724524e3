//! Sockets: opened, refused, closed, shared, bounded, while others are served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::{GatewayId, Model};
use fairway_proxy::{Counter, Settings};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::rig::{self, Rig};

/// A listener of bytes with a route to the backend `a`.
fn served(model: &mut Model, name: &str, port: u16) {
    rig::listener(model, name, port, "*", ListenerProtocol::Tcp);
    rig::stream_route(model, name, name, ("*", 1), &[("a", 1)]);
}

async fn with_backend() -> Model {
    let mut model = rig::model();
    rig::cluster(&mut model, "a", BackendProtocol::Tcp, &[rig::echo("a").await]);
    model
}

async fn answers(address: SocketAddr) -> std::io::Result<()> {
    let mut io = TcpStream::connect(address).await?;
    io.write_all(b"hello\n").await?;
    let name = rig::line(&mut io).await?;
    let hello = rig::line(&mut io).await?;
    if name == "a" && hello == "hello" {
        Ok(())
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_listens_before_the_first_model_nor_without_an_address() {
    let port = rig::free_port();
    let mut model = with_backend().await;
    served(&mut model, "one", port);
    let gateway = GatewayId::new(rig::GATEWAY);
    Arc::make_mut(model.gateways.get_mut(&gateway).expect("it is there")).addresses.clear();
    let settings = Settings { threads: 4, ..Settings::default() };
    let mut rig = Rig::start_with(settings, model);
    let error = rig.error("one").expect("it has no address");
    assert!(error.contains("no address"), "{error}");
    let address = SocketAddr::new(rig::LOOPBACK, port);
    assert!(TcpStream::connect(address).await.is_err());
    rig.change(|model| {
        let gateway = model.gateways.get_mut(&gateway).expect("it is there");
        Arc::make_mut(gateway).addresses.push(rig::LOOPBACK);
    });
    assert_eq!(rig.error("one"), None);
    assert_eq!(rig.address("one"), address);
    answers(address).await.expect("it is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_fails_alone_and_is_bound_once_it_is_free() {
    let taken = std::net::TcpListener::bind((rig::LOOPBACK, 0)).expect("a port is free");
    let taken_address = taken.local_addr().expect("it is bound");
    let (offset, free) = (1_000, rig::free_port());
    let mut model = with_backend().await;
    served(&mut model, "taken", taken_address.port() - offset);
    served(&mut model, "free", free - offset);
    served(&mut model, "beyond", 65_000);
    let mut settings = Settings { threads: 2, port_offset: offset, ..Settings::default() };
    settings.timeouts.bind_retry = Duration::from_millis(50);
    let rig = Rig::start_with(settings, model);
    let error = rig.error("taken").expect("it is in use");
    let expected = format!("listener taken: binding tcp {taken_address}: address in use");
    assert_eq!(error, expected);
    let error = rig.error("beyond").expect("there is no such port");
    assert!(error.contains("65535"), "{error}");
    assert_eq!(rig.address("free").port(), free);
    answers(rig.address("free")).await.expect("it is served");

    let mut outcomes = rig.proxy.outcomes();
    outcomes.mark_unchanged();
    drop(taken);
    let change = tokio::time::timeout(Duration::from_secs(10), outcomes.changed()).await;
    change.expect("it is tried again").expect("the proxy runs");
    assert_eq!(rig.error("taken"), None);
    answers(taken_address).await.expect("it is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_process_would_share_counts_as_in_use() {
    let model = with_backend().await;
    let mut first = Rig::start(2, model.clone());
    first.change(|model| served(model, "one", 80));
    let port = first.address("one").port();
    let mut second = Rig::start_with(Settings { threads: 2, ..Settings::default() }, model);
    second.change(|model| served(model, "one", port));
    assert!(second.error("one").expect("it is in use").contains("address in use"));
    // Two gateways of one process with the same address: the second is told.
    let other = GatewayId::new("gateway/test/z-other");
    first.change(|model| {
        let gateway = Arc::clone(model.gateways.get(rig::GATEWAY).expect("it is there"));
        model.gateways.insert(other.clone(), gateway);
        served(model, "two", 80);
        let listener = model.listeners.get_mut("two").expect("it was put");
        Arc::make_mut(listener).gateway = other;
    });
    assert_eq!(first.error("one"), None);
    let error = first.error("two").expect("the address is taken");
    assert!(error.contains(rig::GATEWAY), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go_under_load_without_a_failure() {
    for threads in [1, 4] {
        let mut model = with_backend().await;
        served(&mut model, "kept", 80);
        let mut rig = Rig::start(threads, model);
        let address = rig.address("kept");
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let load = |_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    answers(address).await.expect("the kept one is served");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let load: Vec<_> = (0..4).map(load).collect();
        for round in 0..30 {
            rig.change(|model| {
                served(model, "guest", 81);
                // A change of the kept one itself keeps its socket too.
                let host = if round % 2 == 0 { "a.test" } else { "*" };
                rig::listener(model, "kept", 80, host, ListenerProtocol::Tcp);
            });
            let guest = rig.address("guest");
            answers(guest).await.expect("the guest is served");
            let open = TcpStream::connect(guest).await.expect("it listens");
            rig.change(|model| {
                model.listeners.remove("guest");
                model.routes.remove("guest");
            });
            assert_eq!(rig.address("kept"), address);
            assert!(TcpStream::connect(guest).await.is_err(), "it is closed");
            drop(open);
        }
        stop.store(true, Ordering::Relaxed);
        for task in load {
            task.await.expect("no connection failed");
        }
        assert!(done.load(Ordering::Relaxed) > 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_removed_listener_go_on_until_their_time_is_over() {
    let mut model = with_backend().await;
    served(&mut model, "one", 80);
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.timeouts.drain = Duration::from_millis(500);
    let mut rig = Rig::start_with(settings, model);
    let mut io = TcpStream::connect(rig.address("one")).await.expect("it listens");
    assert_eq!(rig::line(&mut io).await.expect("it answers"), "a");
    rig.change(|model| drop(model.listeners.remove("one")));
    io.write_all(b"still here\n").await.expect("it is open");
    assert_eq!(rig::line(&mut io).await.expect("it is open"), "still here");
    assert_eq!(rig::line(&mut io).await.unwrap_or_default(), "", "it is cut off");
    let aborted = || rig.proxy.metrics().counter(Counter::ConnectionsAborted);
    rig::until("it is counted", || aborted() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_clients_wait_and_are_served_when_others_leave() {
    let mut model = with_backend().await;
    served(&mut model, "one", 80);
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.limits.connections = 2;
    let rig = Rig::start_with(settings, model);
    let address = rig.address("one");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut io = TcpStream::connect(address).await.expect("it listens");
        assert_eq!(rig::line(&mut io).await.expect("it answers"), "a");
        open.push(io);
    }
    let waiting = tokio::spawn(answers(address));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    assert_eq!(rig.proxy.metrics().counter(Counter::Connections), 2);
    open.pop();
    let served = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    served.expect("there is room").expect("it does not panic").expect("it is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_take_little_memory() {
    const CONNECTIONS: usize = 2_000;
    let mut model = with_backend().await;
    served(&mut model, "bytes", 80);
    rig::listener(&mut model, "tls", 443, "*", ListenerProtocol::TlsPassthrough);
    rig::listener(&mut model, "http", 8080, "*", ListenerProtocol::Http);
    let rig = Rig::start(1, model);
    answers(rig.address("bytes")).await.expect("it is served");
    for name in ["tls", "http", "bytes"] {
        let arrived = || rig.proxy.metrics().counter(Counter::Connections);
        let (before, already) = (resident(), arrived());
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(TcpStream::connect(rig.address(name)).await.expect("it listens"));
        }
        let wanted = already + u64::try_from(CONNECTIONS).expect("it is small");
        rig::until("all have arrived", || arrived() >= wanted).await;
        let each = resident().saturating_sub(before) / CONNECTIONS;
        println!("{each} bytes for each idle connection of {name}");
        // Clients, proxy and backends are one process here, so this counts all ends; other tests
        // run besides.
        assert!(each < 64 * 1024, "{each} bytes for each connection of {name}");
        answers(rig.address("bytes")).await.expect("others are served");
    }
}

/// Bytes of memory that this process takes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = text.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
    pages.expect("the second word is a number") * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_pass_to_another_gateway_without_a_gap() {
    let port = rig::free_port();
    let mut model = with_backend().await;
    served(&mut model, "one", port);
    rig::cluster(&mut model, "b", BackendProtocol::Tcp, &[rig::echo("b").await]);
    let settings = Settings { threads: 4, ..Settings::default() };
    let mut rig = Rig::start_with(settings, model);
    let address = rig.address("one");
    let mut open = TcpStream::connect(address).await.expect("it listens");
    assert_eq!(rig::line(&mut open).await.expect("it answers"), "a");
    let other = GatewayId::new("gateway/test/other");
    rig.change(|model| {
        let gateway = Arc::clone(model.gateways.get(rig::GATEWAY).expect("it is there"));
        model.gateways.clear();
        model.gateways.insert(other.clone(), gateway);
        model.listeners.clear();
        model.routes.clear();
        rig::listener(model, "two", port, "*", ListenerProtocol::Tcp);
        Arc::make_mut(model.listeners.get_mut("two").expect("it was put")).gateway = other;
        rig::stream_route(model, "two", "two", ("*", 1), &[("b", 1)]);
    });
    assert_eq!(rig.address("two"), address);
    let mut io = TcpStream::connect(address).await.expect("it listens");
    assert_eq!(rig::line(&mut io).await.expect("it answers"), "b");
    open.write_all(b"still here\n").await.expect("it is open");
    assert_eq!(rig::line(&mut open).await.expect("it is open"), "still here");
}
