//! Configuration that changes under load: no request is lost, and each sees one configuration only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fairway_model::filter::HeaderField;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::{ListenerId, RouteId};

use super::http_h2::{call, client};
use super::http_rig::{self as http, Backend, Caller, ok};
use super::rig::{self, Rig};

/// Calls one after another until told to stop; counts those that were answered as they must be.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: tokio::task::JoinSet<()>,
}

impl Load {
    fn start(address: std::net::SocketAddr) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..4 {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tasks.spawn(async move {
                let mut caller = Caller::at(address).await;
                let mut turn = 0;
                while !stop.load(Ordering::SeqCst) {
                    turn += 1;
                    if turn % 50 == 0 {
                        caller = Caller::at(address).await;
                    }
                    let path = format!("/{number}/{turn}");
                    let got = caller.get(&path).await;
                    assert_eq!((got.status, got.text()), (200, path));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        tasks.spawn(async move {
            let io = tokio::net::TcpStream::connect(address).await.expect("it listens");
            let send = client(io).await;
            let mut turn = 0;
            while !stopped.load(Ordering::SeqCst) {
                turn += 1;
                let uri = format!("http://shop.test/h2/{turn}");
                let request = ::http::Request::builder().uri(uri).body(()).expect("a request");
                let got = call(&send, request, Vec::new(), None).await.expect("an answer");
                let expected = format!("/h2/{turn}").into_bytes();
                assert_eq!((got.status(), got.body), (200, expected));
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { stop, answered, tasks }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    async fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(done) = self.tasks.join_next().await {
            done.expect("all were answered well");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_under_load_lose_no_request() {
    let first = Backend::start(|seen| ok(seen.path())).await;
    let second = Backend::start(|seen| ok(seen.path())).await;
    let mut rig = Rig::start(4, http::forwarding(&[first.address]));
    let load = Load::start(rig.address("web"));
    rig::until("there is load", || load.answered() > 20).await;
    for turn in 0..200_u16 {
        let before = load.answered();
        rig.change(|model| match turn % 5 {
            0 => rig::endpoints(model, "backend", &[second.address]),
            1 => rig::endpoints(model, "backend", &[first.address, second.address]),
            2 => {
                let changed = http::forwarding_with(&[], |rule, _| {
                    let value = turn.to_string().into();
                    rule.response_headers.set = vec![HeaderField { name: "x-turn".into(), value }];
                });
                let id = RouteId::new("rule");
                model.routes.insert(id.clone(), Arc::clone(&changed.routes[&id]));
            }
            3 => {
                rig::listener(model, "other", 81, "*", ListenerProtocol::Http);
                http::rule(model, "more", "other", "/", http::forward(&["backend"]));
            }
            _ => {
                model.listeners.remove(&ListenerId::new("other"));
                model.routes.remove(&RouteId::new("more"));
                rig::endpoints(model, "backend", &[first.address]);
            }
        });
        rig::until("some were answered after it", || load.answered() > before + 1).await;
    }
    load.stop().await;
    assert!(!first.seen().is_empty() && !second.seen().is_empty());
    let mut caller = Caller::to(&rig).await;
    assert_eq!(caller.get("/").await.field("x-turn"), Some("197"));
}
