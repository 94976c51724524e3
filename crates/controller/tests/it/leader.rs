//! Leader election against a scripted API server that keeps one Lease as a real one does. The rules themselves
//! are tested on a virtual clock, beside them.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fairway_controller::leader::election::Terms;
use fairway_controller::leader::{Campaign, Settings};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::scripted::client;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct World {
    lease: Option<Value>,
    version: u64,
    away: bool,
}

#[derive(Clone, Default)]
struct Api(Arc<Mutex<World>>);

impl Api {
    async fn start() -> (Self, kube::Client) {
        let api = Self::default();
        let serving = api.clone();
        (api, client(move |request| serving.clone().answer(request)).await)
    }

    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().expect("nobody panics with it"))
    }

    async fn answer(self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some((code, answer)) = self.world(|world| world.answer(&head.method, body)) else {
            return Err(io::Error::other("away"));
        };
        let answer = answer.unwrap_or_else(|| {
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                   "message": "refused by the script",
                   "reason": if code == 404 { "NotFound" } else { "Conflict" }, "metadata": {}})
        });
        let response = Response::builder().status(code).header("content-type", "application/json");
        Ok(response.body(Full::new(Bytes::from(answer.to_string()))).expect("a response"))
    }
}

impl World {
    /// `None` when the connection breaks.
    fn answer(&mut self, method: &Method, mut body: Value) -> Option<(u16, Option<Value>)> {
        if self.away {
            return None;
        }
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        if *method == Method::GET {
            return Some((if self.lease.is_some() { 200 } else { 404 }, self.lease.clone()));
        }
        let fits = match &self.lease {
            Some(lease) => *method == Method::PUT && version(lease) == version(&body),
            None => *method == Method::POST,
        };
        if !fits {
            return Some((409, None));
        }
        self.version += 1;
        body["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(body.clone());
        Some((200, Some(body)))
    }
}

fn candidate(client: &kube::Client, name: &str) -> Campaign {
    let terms = Terms {
        lease: Duration::from_millis(1500),
        renew: Duration::from_millis(1000),
        retry: Duration::from_millis(50),
    };
    let settings = Settings {
        namespace: "fairway-system".to_owned(),
        name: "fairway-controller".to_owned(),
        identity: name.to_owned(),
        terms,
    };
    Campaign::start(client.clone(), settings)
}

/// Waits; at no moment may both lead.
async fn until(what: &str, all: &[&Campaign], mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !there() {
        assert!(all.iter().filter(|one| one.leads()).count() < 2, "two lead");
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn one_leads_and_gives_it_on() {
    let (api, client) = Api::start().await;
    let first = candidate(&client, "first");
    until("the first one", &[&first], || first.leads()).await;
    let second = candidate(&client, "second");
    // Through several renewals, and past the time of one.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(first.leads() && !second.leads());
    let began = Instant::now();
    first.release().await;
    until("the second one", &[&second], || second.leads()).await;
    assert!(began.elapsed() < Duration::from_millis(1400), "it waited for what was given back");
    let holder = api.world(|world| world.lease.clone().expect("a Lease"));
    assert_eq!(holder["spec"]["holderIdentity"], "second");
}

#[tokio::test]
async fn without_an_api_server_nobody_leads_and_then_one_again() {
    let (api, client) = Api::start().await;
    let (first, second) = (candidate(&client, "first"), candidate(&client, "second"));
    let all = [&first, &second];
    until("a leader", &all, || first.leads() || second.leads()).await;
    api.world(|world| world.away = true);
    until("the end of it", &all, || !first.leads() && !second.leads()).await;
    api.world(|world| world.away = false);
    until("a leader again", &all, || first.leads() || second.leads()).await;
    // Somebody deletes the Lease.
    let before = api.world(|world| {
        world.lease = None;
        world.version
    });
    let renewed = || api.world(|world| world.lease.is_some() && world.version > before);
    until("a new Lease", &all, renewed).await;
    until("a leader of it", &all, || first.leads() || second.leads()).await;
}
