//! Draining: nothing new, those that there are may finish, the rest is cut off.

use std::time::{Duration, Instant};

use fairway_model::Model;
use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::ListenerProtocol;
use fairway_proxy::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rig::{self, Rig};

async fn served() -> Model {
    let mut model = rig::model();
    rig::cluster(&mut model, "a", BackendProtocol::Tcp, &[rig::echo("a").await]);
    rig::listener(&mut model, "one", 80, "*", ListenerProtocol::Tcp);
    rig::stream_route(&mut model, "one", "one", ("*", 1), &[("a", 1)]);
    model
}

async fn connect(rig: &Rig) -> TcpStream {
    let mut io = TcpStream::connect(rig.address("one")).await.expect("it listens");
    assert_eq!(rig::line(&mut io).await.expect("it answers"), "a");
    io
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_may_finish_and_new_ones_are_refused() {
    for threads in [1, 4] {
        let rig = Rig::start(threads, served().await);
        let address = rig.address("one");
        let mut open = connect(&rig).await;
        let began = Instant::now();
        let draining = std::thread::spawn(move || {
            rig.proxy.drain(Duration::from_secs(60));
            rig
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).await.is_ok() {
            assert!(Instant::now() < deadline, "it still listens");
        }
        open.write_all(b"last words\n").await.expect("it is open");
        assert_eq!(rig::line(&mut open).await.expect("it is open"), "last words");
        assert!(!draining.is_finished());
        drop(open);
        let rig = draining.join().expect("it does not panic");
        assert!(began.elapsed() < Duration::from_secs(30), "it does not wait for nothing");
        assert_eq!(rig.proxy.metrics().counter(Counter::ConnectionsAborted), 0);
        rig.proxy.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_is_cut_off() {
    let rig = Rig::start(2, served().await);
    let mut open = connect(&rig).await;
    let began = Instant::now();
    rig.proxy.drain(Duration::from_millis(300));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(rig::line(&mut open).await.unwrap_or_default(), "");
    let metrics = rig.proxy.metrics();
    assert_eq!(metrics.counter(Counter::ConnectionsAborted), 1);
    assert_eq!(metrics.counter(Counter::Connections), metrics.counter(Counter::ConnectionsEnded));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_kernel_when_a_socket_closes_is_served() {
    for threads in [1, 4] {
        let mut rig = Rig::start(threads, served().await);
        let address = rig.address("one");
        // The kernel completes connections by itself; some of these are not accepted yet when the
        // socket closes.
        let mut waiting = Vec::new();
        for _ in 0..64 {
            waiting.push(std::net::TcpStream::connect(address).expect("it listens"));
        }
        rig.proxy.drain(Duration::from_millis(1));
        let applied = rig.change(|_| {});
        assert_eq!(applied.generation, 2);
        assert_eq!(rig.proxy.metrics().counter(Counter::Connections), 64);
    }
}

async fn served_http() -> Model {
    let mut model = rig::model();
    rig::cluster(&mut model, "a", BackendProtocol::Http, &[rig::http_backend("a").await]);
    rig::listener(&mut model, "one", 80, "*", ListenerProtocol::Http);
    rig::http_route(&mut model, "one", "one", "*", "a");
    model
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_answered_and_idle_connections_closed() {
    for threads in [1, 4] {
        let rig = Rig::start(threads, served_http().await);
        let address = rig.address("one");
        let mut idle = TcpStream::connect(address).await.expect("it listens");
        let (_, body) = rig::ask(&mut idle, "a.test", "/").await.expect("it is answered");
        assert_eq!(body, "a");
        let mut busy = TcpStream::connect(address).await.expect("it listens");
        let asked = tokio::spawn(async move {
            let answer = rig::ask(&mut busy, "a.test", "/500").await.expect("it is answered");
            (answer, busy.read(&mut [0; 1]).await)
        });
        let received = || rig.proxy.metrics().counter(Counter::Connections);
        rig::until("both are there", || received() == 2).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        let draining =
            tokio::task::spawn_blocking(move || rig.proxy.drain(Duration::from_secs(60)));
        assert!(matches!(idle.read(&mut [0; 1]).await, Ok(0)), "it ends in good order");
        let ((head, body), end) = asked.await.expect("it does not panic");
        assert_eq!(body, "a");
        assert!(head.contains("connection: close"), "{head}");
        assert!(matches!(end, Ok(0)), "it ends in good order");
        draining.await.expect("it does not panic");
        assert!(began.elapsed() < Duration::from_secs(30), "it does not wait for nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_under_way_are_answered_and_new_ones_told_to_go_away() {
    let rig = Rig::start(1, served_http().await);
    let io = TcpStream::connect(rig.address("one")).await.expect("it listens");
    let (mut client, connection) = h2::client::handshake(io).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = |wait: u32| {
        let request = http::Request::get(format!("http://a.test/{wait}"));
        request.body(()).expect("it is a request")
    };
    let (slow, _) = client.send_request(request(500), true).expect("there is room");
    let (quick, _) = client.send_request(request(0), true).expect("there is room");
    assert_eq!(quick.await.expect("it is answered").status(), 200);
    let began = Instant::now();
    let draining = tokio::task::spawn_blocking(move || rig.proxy.drain(Duration::from_secs(60)));
    let mut answer = slow.await.expect("it is answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body_mut().data().await.expect("a body").expect("whole"), "a");
    drop(answer);
    // The client's side closes the connection once it was told to and nothing is under way.
    connection.await.expect("it does not panic").expect("it ends in good order");
    draining.await.expect("it does not panic");
    assert!(began.elapsed() < Duration::from_secs(30), "it does not wait for nothing");
}
