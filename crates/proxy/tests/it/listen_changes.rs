//! Two hundred changes of all kinds under load: no request is lost, and each change counts from the
//! moment it was applied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::ListenerProtocol;
use fairway_proxy::{Counter, Settings};
use tokio::net::TcpStream;

use super::rig::{self, Authority, Rig};

/// Asks on one connection; a connection that the proxy has closed in good order is made anew.
async fn keep_asking(address: SocketAddr, fresh: bool, stop: Arc<AtomicBool>) -> usize {
    let mut answered = 0;
    let mut io = TcpStream::connect(address).await.expect("it listens");
    while !stop.load(Ordering::Relaxed) {
        let (head, body) = rig::ask(&mut io, "a.test", "/").await.expect("it is answered");
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(body == "a" || body == "b", "{body}");
        answered += 1;
        if fresh || head.contains("connection: close") {
            io = TcpStream::connect(address).await.expect("it listens");
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_changes_lose_no_request() {
    for threads in [1, 4] {
        let (a, b) = (rig::http_backend("a").await, rig::http_backend("b").await);
        let authority = Authority::new();
        let mut model = rig::model();
        rig::cluster(&mut model, "a", BackendProtocol::Http, &[a]);
        rig::cluster(&mut model, "b", BackendProtocol::Http, &[b]);
        rig::listener(&mut model, "http", 80, "*", ListenerProtocol::Http);
        rig::http_route(&mut model, "route", "http", "*", "a");
        rig::certificate(&mut model, "secret", &authority.sign(&["a.test"]));
        let tls = rig::ends_tls(&["secret"]);
        rig::listener(&mut model, "https", 443, "*", ListenerProtocol::Https(tls));
        let settings = Settings { threads, ephemeral_ports: true, ..Settings::default() };
        let mut rig = Rig::start_with(settings, model);
        let address = rig.address("http");
        let stop = Arc::new(AtomicBool::new(false));
        let load = [false, false, true, true]
            .map(|fresh| tokio::spawn(keep_asking(address, fresh, Arc::clone(&stop))));

        for round in 0..200_u16 {
            let to = if round % 2 == 0 { "b" } else { "a" };
            rig.change(|model| {
                rig::http_route(model, "route", "http", "*", to);
                match round % 5 {
                    0 => rig::endpoints(model, "a", &[a, b]),
                    1 => rig::endpoints(model, "a", &[a]),
                    2 => rig::certificate(model, "secret", &authority.sign(&["a.test"])),
                    3 => {
                        rig::listener(model, "guest", 8080, "*", ListenerProtocol::Http);
                        rig::http_route(model, "guest", "guest", "*", "a");
                    }
                    _ => {
                        model.listeners.remove("guest");
                        model.routes.remove("guest");
                    }
                }
            });
            if to == "b" {
                let mut io = TcpStream::connect(address).await.expect("it listens");
                let (_, body) = rig::ask(&mut io, "a.test", "/").await.expect("it is answered");
                assert_eq!(body, "b", "round {round}");
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut answered = 0;
        for task in load {
            answered += task.await.expect("no request was lost");
        }
        assert!(answered > 100, "{answered}");
        assert_eq!(rig.proxy.metrics().generation, 201);
        assert_eq!(rig.proxy.metrics().counter(Counter::Panics), 0);
    }
}
