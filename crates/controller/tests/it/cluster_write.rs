//! What is written to a cluster, against a scripted API server: statuses and events.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fairway_api::kind::decode;
use fairway_api::reference::ParentReference;
use fairway_api::status::{RouteParentStatus, RouteStatus};
use fairway_controller::events::Reporter;
use fairway_controller::status::cluster::Writer;
use fairway_translate::status::{Change, Status, Statuses, current};
use fairway_translate::{Kind, Name, ObjectKey, Snapshot};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::scripted::client;

const OURS: &str = "fairway.dev/controller";
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes writes: a status only with the version that the object has.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    /// Version and status by path of the object.
    objects: BTreeMap<String, (u64, Value)>,
    /// Status code to answer instead, so many times.
    refuse: BTreeMap<String, (u16, u32)>,
    slow: Duration,
    writes: BTreeMap<String, u32>,
    /// Path and status code of every write of a status.
    answers: Vec<(String, u16)>,
    events: Vec<(String, Value)>,
}

impl Api {
    async fn start() -> (Self, kube::Client) {
        let api = Self::default();
        let serving = api.clone();
        (api, client(move |request| serving.clone().answer(request)).await)
    }

    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().expect("nobody panics with it"))
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let slow = self.world(|world| world.slow);
        tokio::time::sleep(slow).await;
        let path = head.uri.path().to_owned();
        let (code, answer) = self.world(|world| match head.method {
            Method::PUT => world.put(&path, &body),
            _ => {
                world.events.push((path.clone(), body.clone()));
                (201, body)
            }
        });
        let answer = if code < 300 {
            answer
        } else {
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                   "message": "refused by the script", "reason": "Script", "metadata": {}})
        };
        let response = Response::builder().status(code).header("content-type", "application/json");
        Ok(response.body(Full::new(Bytes::from(answer.to_string()))).expect("a response"))
    }
}

impl World {
    fn put(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let path =
            path.strip_suffix("/status").expect("nothing but statuses is written").to_owned();
        *self.writes.entry(path.clone()).or_default() += 1;
        let code = self.code(&path, body);
        self.answers.push((path.clone(), code));
        if code != 200 {
            return (code, Value::Null);
        }
        let (version, status) = self.objects.get_mut(&path).expect("it was found");
        *version += 1;
        *status = body["status"].clone();
        let mut answer = body.clone();
        answer["metadata"]["resourceVersion"] = json!(version.to_string());
        (200, answer)
    }

    fn code(&mut self, path: &str, body: &Value) -> u16 {
        if let Some((code, times)) = self.refuse.get_mut(path).filter(|(_, times)| *times > 0) {
            *times -= 1;
            return *code;
        }
        match self.objects.get(path) {
            None => 404,
            Some((version, _))
                if body["metadata"]["resourceVersion"] != json!(version.to_string()) =>
            {
                409
            }
            Some(_) => 200,
        }
    }
}

fn path(name: &str) -> String {
    format!("/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/{name}")
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::HttpRoute, name: Name::new("shop", name) }
}

fn snapshot(routes: impl IntoIterator<Item = (impl Display, u64)>) -> Snapshot {
    let mut all = Vec::new();
    for (name, version) in routes {
        let route = decode(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"namespace": "shop", "name": name.to_string(), "resourceVersion": version.to_string(),
                         "uid": format!("uid-{name}"), "generation": 1},
            "spec": {},
        }));
        all.push(route.expect("a route"));
    }
    Snapshot::new(all)
}

fn parent(controller: &str, gateway: &str) -> RouteParentStatus {
    let condition = json!([{"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound",
        "message": "Service shop/cart does not exist", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    RouteParentStatus {
        parent_ref: ParentReference { name: gateway.to_owned(), ..ParentReference::default() },
        controller_name: controller.to_owned(),
        conditions: serde_json::from_value(condition).expect("conditions"),
    }
}

fn statuses(names: impl IntoIterator<Item = impl AsRef<str>>, gateways: &[&str]) -> Statuses {
    let parents: Vec<_> = gateways.iter().map(|gateway| parent(OURS, gateway)).collect();
    let route = Arc::new(Status::Route(RouteStatus { parents }));
    names.into_iter().map(|name| (key(name.as_ref()), Arc::clone(&route))).collect()
}

/// Pairs what statuses are, were to be, and shall be, of every object in any of them.
fn changes(shown: &Statuses, earlier: &Statuses, wanted: &Statuses) -> Vec<Change> {
    let keys: BTreeSet<&ObjectKey> =
        [shown, earlier, wanted].into_iter().flat_map(BTreeMap::keys).collect();
    let change = |key: &ObjectKey| Change {
        key: key.clone(),
        shown: shown.get(key).cloned(),
        earlier: earlier.get(key).cloned(),
        wanted: wanted.get(key).cloned(),
    };
    keys.into_iter().map(change).collect()
}

/// A writer, and what the loop keeps beside it.
struct Settling {
    writer: Writer,
    written: Statuses,
}

impl Settling {
    fn start(client: kube::Client) -> Self {
        Self { writer: Writer::start(client), written: Statuses::new() }
    }

    /// What the loop does at each change.
    fn settle(&mut self, wanted: &Statuses, snapshot: &Snapshot) {
        for (key, status) in self.writer.news(snapshot) {
            match status {
                Some(status) => self.written.insert(key, status),
                None => self.written.remove(&key),
            };
        }
        let mut shown = current(snapshot);
        shown.extend(self.written.clone());
        self.writer.write(&changes(&shown, &Statuses::new(), wanted), snapshot);
    }
}

impl std::ops::Deref for Settling {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.writer
    }
}

async fn until(what: &str, mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_is_written_by_who_does_not_lead() {
    let (api, client) = Api::start().await;
    api.world(|world| world.objects.insert(path("cart"), (7, Value::Null)));
    let mut writer = Settling::start(client);
    let snapshot = snapshot([("cart", 7)]);
    writer.settle(&statuses(["cart"], &["web"]), &snapshot);
    assert_eq!(writer.counts().queued, 0);
    writer.set_leading(true);
    writer.settle(&statuses(["cart"], &["web"]), &snapshot);
    until("the write", || writer.counts().written == 1).await;
    assert_eq!(api.world(|world| world.answers.clone()), [(path("cart"), 200)]);
}

#[tokio::test]
async fn what_somebody_else_wrote_meanwhile_is_not_written_over() {
    let (api, client) = Api::start().await;
    let theirs = json!({"parents": [parent("example.com/other", "other")]});
    // The watch has not brought version 8 yet.
    api.world(|world| world.objects.insert(path("cart"), (8, theirs.clone())));
    let mut writer = Settling::start(client);
    writer.set_leading(true);
    writer.settle(&statuses(["cart"], &["web"]), &snapshot([("cart", 7)]));
    until("the conflict", || writer.counts().conflicts == 1).await;
    assert_eq!(api.world(|world| world.objects[&path("cart")].clone()), (8, theirs));
    // The same snapshot again: it would be refused again.
    writer.settle(&statuses(["cart"], &["web"]), &snapshot([("cart", 7)]));
    assert_eq!(writer.counts().queued, 0);
    let both =
        RouteStatus { parents: vec![parent("example.com/other", "other"), parent(OURS, "web")] };
    let wanted = Statuses::from([(key("cart"), Arc::new(Status::Route(both)))]);
    writer.settle(&wanted, &snapshot([("cart", 8)]));
    until("the write", || writer.counts().written == 1).await;
    let parents = api.world(|world| world.objects[&path("cart")].1["parents"].clone());
    assert_eq!(parents.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn who_is_gone_or_refused_does_not_hold_the_others() {
    let (api, client) = Api::start().await;
    api.world(|world| {
        for name in ["good", "denied", "broken"] {
            world.objects.insert(path(name), (7, Value::Null));
        }
        world.refuse.insert(path("denied"), (403, u32::MAX));
        world.refuse.insert(path("broken"), (500, 1));
    });
    let mut writer = Settling::start(client);
    writer.set_leading(true);
    let all = ["broken", "denied", "gone", "good"];
    writer.settle(&statuses(all, &["web"]), &snapshot(all.map(|name| (name, 7))));
    let written = |name: &str| api.world(|world| world.answers.contains(&(path(name), 200)));
    until("the good one", || written("good")).await;
    until("the second try of the broken one", || written("broken")).await;
    until("a second try of the denied one", || {
        api.world(|world| world.writes[&path("denied")] >= 2)
    })
    .await;
    assert_eq!(api.world(|world| world.writes[&path("gone")]), 1, "404 is an answer");
}

#[tokio::test]
async fn a_thousand_objects_are_written_twice_at_most_though_everything_is_slow() {
    let (api, client) = Api::start().await;
    let names: Vec<String> = (0..1000).map(|nth| format!("route-{nth}")).collect();
    api.world(|world| {
        world.slow = Duration::from_millis(5);
        world.objects.extend(names.iter().map(|name| (path(name), (7, Value::Null))));
    });
    let mut writer = Settling::start(client);
    writer.set_leading(true);
    let names = || names.iter().map(String::as_str);
    // The watch shows none of our writes, while what is wanted changes again and again.
    let snapshot = snapshot(names().map(|name| (name, 7)));
    let gateways = ["a", "b", "c", "d", "e"];
    for nth in 1..=gateways.len() {
        let some: Vec<&str> = gateways.into_iter().take(nth).collect();
        writer.settle(&statuses(names(), &some), &snapshot);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("an empty queue", || writer.counts().queued == 0).await;
    let most = api.world(|world| world.writes.values().copied().max());
    assert!(most <= Some(2), "{most:?} writes of one object");
    api.world(|world| {
        for (path, (_, status)) in &world.objects {
            let parents = status["parents"].as_array().map(Vec::len);
            assert_eq!(parents, Some(5), "{path} was left with an older status");
        }
    });
}

#[tokio::test]
async fn events_are_told_once_by_the_leader_alone() {
    let (api, client) = Api::start().await;
    let mut reporter = Reporter::start(client, OURS, "fairway-controller-1");
    let snapshot = snapshot([("cart", 7)]);
    let (shown, none) = (current(&snapshot), Statuses::new());
    let wanted = statuses(["cart"], &["web"]);
    let mut follow = |earlier: &Statuses, wanted: &Statuses| {
        reporter.follow(&changes(&shown, earlier, wanted), &snapshot);
    };
    follow(&none, &wanted);
    reporter.set_leading(true);
    let mut follow = |earlier: &Statuses, wanted: &Statuses| {
        reporter.follow(&changes(&shown, earlier, wanted), &snapshot);
    };
    follow(&none, &wanted);
    follow(&wanted, &wanted);
    // Mended and broken again: told once more only after a while.
    follow(&wanted, &none);
    follow(&none, &wanted);
    follow(&wanted, &statuses(["cart"], &["web", "edge"]));
    until("two events", || api.world(|world| world.events.len() >= 2)).await;
    let events = api.world(|world| world.events.clone());
    assert_eq!(events.len(), 2, "{events:?}");
    let (path, event) = &events[0];
    assert_eq!(path, "/apis/events.k8s.io/v1/namespaces/shop/events");
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["reason"], "BackendNotFound");
    assert_eq!(
        event["note"],
        "for Gateway web: ResolvedRefs False: Service shop/cart does not exist"
    );
    assert_eq!(event["regarding"]["uid"], "uid-cart");
    assert_eq!(event["regarding"]["kind"], "HTTPRoute");
    assert!(events[1].1["note"].as_str().is_some_and(|note| note.contains("Gateway edge")));
    assert_ne!(event["metadata"]["name"], events[1].1["metadata"]["name"]);
}
