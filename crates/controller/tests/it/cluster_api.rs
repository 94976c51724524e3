//! A scripted API server on loopback: lists in pages, watches with bookmarks, and everything that can go wrong
//! with them. It knows no kinds and validates nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// Namespace (or nothing) and name.
type Key = (String, String);

pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/httproutes";
pub(crate) const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/gateways";
pub(crate) const SERVICES: &str = "/api/v1/services";
pub(crate) const SECRETS: &str = "/api/v1/secrets";

/// One line of every watch of a list.
#[derive(Clone)]
struct Event {
    version: u64,
    path: String,
    key: Key,
    line: Value,
}

#[derive(Default)]
struct World {
    version: u64,
    lists: BTreeMap<String, BTreeMap<Key, Value>>,
    events: Vec<Event>,
    /// Watches from before this version have expired.
    forgotten: u64,
    denied: BTreeSet<String>,
    /// Path and query of every request.
    asked: Vec<String>,
    /// Raised to end the watches of a path, with a last word.
    cuts: BTreeMap<String, (u64, Option<Value>)>,
    down: bool,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Api {
    /// Starts one that has the built-in kinds, and none by definition.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = Self {
            address: listener.local_addr().expect("an address"),
            world: Arc::default(),
            changed: Arc::new(watch::channel(0).0),
        };
        let built_in = [
            DEFINITIONS,
            SERVICES,
            SECRETS,
            "/api/v1/configmaps",
            "/api/v1/namespaces",
            "/apis/discovery.k8s.io/v1/endpointslices",
            "/apis/networking.k8s.io/v1/ingresses",
            "/apis/networking.k8s.io/v1/ingressclasses",
        ];
        for path in built_in {
            api.world().lists.insert(path.to_owned(), BTreeMap::new());
        }
        let serving = api.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = serving.clone();
                let service = hyper::service::service_fn(move |request| {
                    let api = api.clone();
                    async move { api.answer(&request).ok_or_else(|| std::io::Error::other("down")) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // Clients hang up when they like.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        api
    }

    pub(crate) fn client(&self) -> kube::Client {
        let url = format!("http://{}", self.address).parse().expect("a URL");
        kube::Client::try_from(kube::Config::new(url)).expect("a client")
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panics with it")
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Writes an object, and tells the watches.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let key = key(&object);
        let mut world = self.world();
        world.version += 1;
        let version = world.version;
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        metadata.insert("resourceVersion".to_owned(), json!(version.to_string()));
        metadata.insert("uid".to_owned(), json!(format!("uid-{}-{}", key.0, key.1)));
        let list = world.lists.get_mut(path).expect("the kind exists");
        let word =
            if list.insert(key.clone(), object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        let line = json!({"type": word, "object": object});
        world.events.push(Event { version, path: path.to_owned(), key, line });
        drop(world);
        self.tell();
    }

    /// Deletes an object, and tells the watches.
    pub(crate) fn delete(&self, path: &str, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut world = self.world();
        world.version += 1;
        let version = world.version;
        let list = world.lists.get_mut(path).expect("the kind exists");
        let object = list.remove(&key).expect("the object exists");
        let line = json!({"type": "DELETED", "object": object});
        world.events.push(Event { version, path: path.to_owned(), key, line });
        drop(world);
        self.tell();
    }

    /// Makes objects disappear without a word, as a restored backup does.
    pub(crate) fn lose(&self, path: &str, keep: impl Fn(&str) -> bool) {
        let mut world = self.world();
        world.lists.get_mut(path).expect("the kind exists").retain(|(_, name), _| keep(name));
    }

    /// Tells the watches of a list how far they are, and forgets all history before that.
    pub(crate) fn bookmark(&self, path: &str) {
        let mut world = self.world();
        world.version += 1;
        let version = world.version;
        world.forgotten = version;
        let metadata = json!({"resourceVersion": version.to_string()});
        let line = json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "X", "metadata": metadata}});
        let key = Key::default();
        world.events.push(Event { version, path: path.to_owned(), key, line });
        drop(world);
        self.tell();
    }

    /// Cuts the connections of the watches of a list.
    pub(crate) fn cut(&self, path: &str) {
        self.end(path, None);
    }

    /// Ends the watches of a list because their history is forgotten.
    pub(crate) fn expire(&self, path: &str) {
        self.world().forgotten = u64::MAX;
        let status = failure(410, "too old resource version: 1 (2)");
        self.end(path, Some(json!({"type": "ERROR", "object": status})));
    }

    fn end(&self, path: &str, last: Option<Value>) {
        let mut world = self.world();
        let cut = world.cuts.entry(path.to_owned()).or_default();
        *cut = (cut.0 + 1, last);
        drop(world);
        self.tell();
    }

    /// Goes away, or comes back.
    pub(crate) fn down(&self, down: bool) {
        self.world().down = down;
        self.tell();
    }

    /// Denies what is below a path, or allows it again.
    pub(crate) fn deny(&self, path: &str, deny: bool) {
        let mut world = self.world();
        if deny {
            world.denied.insert(path.to_owned());
        } else {
            world.denied.remove(path);
        }
    }

    /// Makes a kind known by its definition.
    pub(crate) fn define(&self, plural: &str, group: &str, version: &str) {
        let list = format!("/apis/{group}/{version}/{plural}");
        self.world().lists.entry(list).or_default();
        self.put(DEFINITIONS, definition(plural, group, version));
    }

    /// Marks a kind as being deleted, as a real one does before it deletes the objects.
    pub(crate) fn begin_to_undefine(&self, plural: &str, group: &str, version: &str) {
        let mut ending = definition(plural, group, version);
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.put(DEFINITIONS, ending);
    }

    /// Deletes a kind with all its objects, each with a word.
    pub(crate) fn undefine(&self, plural: &str, group: &str, version: &str) {
        let list = format!("/apis/{group}/{version}/{plural}");
        let keys: Vec<Key> = self.world().lists[&list].keys().cloned().collect();
        for (namespace, name) in keys {
            self.delete(&list, &namespace, &name);
        }
        self.delete(DEFINITIONS, "", &format!("{plural}.{group}"));
        self.world().lists.remove(&list);
        self.cut(&list);
    }

    /// Gives the requests for a path so far, watches or not.
    pub(crate) fn asked(&self, path: &str, watches: bool) -> Vec<String> {
        let world = self.world();
        let is = |asked: &&String| {
            asked.split('?').next() == Some(path) && asked.contains("watch=true") == watches
        };
        world.asked.iter().filter(is).cloned().collect()
    }

    fn answer(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let uri = request.uri();
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let query: BTreeMap<&str, String> = query.split('&').filter_map(pair).collect();
        let mut world = self.world();
        if world.down {
            return None;
        }
        world.asked.push(uri.to_string());
        if world.denied.contains(path) {
            return Some(json_answer(&failure(403, "forbidden"), StatusCode::FORBIDDEN));
        }
        let (list, namespace) = place(path);
        let Some(objects) = world.lists.get(&list) else {
            return Some(single(&world, path));
        };
        let name = query.get("fieldSelector").and_then(|text| text.strip_prefix("metadata.name="));
        let filter = Filter { namespace, name: name.map(ToOwned::to_owned) };
        if query.contains_key("watch") {
            let since =
                query.get("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
            if since < world.forgotten {
                let status = failure(410, "too old resource version");
                return Some(json_answer(&status, StatusCode::GONE));
            }
            let cuts = world.cuts.get(&list).map_or(0, |cut| cut.0);
            return Some(self.watch(list, filter, since, cuts));
        }
        let limit = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
        let start = query.get("continue").and_then(|text| text.parse().ok()).unwrap_or(0);
        let all: Vec<&Value> =
            objects.iter().filter(|(key, _)| filter.takes(key)).map(|(_, o)| o).collect();
        let page: Vec<&Value> = all.iter().copied().skip(start).take(limit).collect();
        let end = start + page.len();
        let next = if end < all.len() { end.to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": world.version.to_string(), "continue": next});
        let answer =
            json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": page});
        // What is listed now is fresh.
        if world.forgotten == u64::MAX {
            world.forgotten = world.version;
        }
        Some(json_answer(&answer, StatusCode::OK))
    }

    fn watch(&self, list: String, filter: Filter, mut since: u64, cuts: u64) -> Response<Body> {
        let (sender, receiver) = mpsc::channel::<Bytes>(16);
        let api = self.clone();
        let mut changed = self.changed.subscribe();
        tokio::spawn(async move {
            loop {
                let (lines, last) = api.lines(&list, &filter, &mut since, cuts);
                for line in lines {
                    if sender.send(Bytes::from(format!("{line}\n"))).await.is_err() {
                        return;
                    }
                }
                if last {
                    return;
                }
                tokio::select! {
                    result = changed.changed() => if result.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        });
        let frames = stream::unfold(receiver, |mut receiver| async move {
            let bytes = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(bytes)), receiver))
        });
        Response::new(BodyExt::boxed(StreamBody::new(frames)))
    }

    /// Gives what a watch has not told yet, and whether it ends with that.
    fn lines(&self, list: &str, filter: &Filter, since: &mut u64, cuts: u64) -> (Vec<Value>, bool) {
        let world = self.world();
        let is_new = |event: &&Event| event.version > *since && event.path == list;
        let mine = |event: &&Event| event.key == Key::default() || filter.takes(&event.key);
        let new = world.events.iter().filter(is_new).filter(mine);
        let mut lines: Vec<Value> = new.map(|event| event.line.clone()).collect();
        *since = world.version;
        if world.down {
            return (Vec::new(), true);
        }
        match world.cuts.get(list).filter(|cut| cut.0 > cuts) {
            Some((_, last)) => {
                lines.extend(last.clone());
                (lines, true)
            }
            None => (lines, false),
        }
    }
}

struct Filter {
    namespace: Option<String>,
    name: Option<String>,
}

impl Filter {
    fn takes(&self, (namespace, name): &Key) -> bool {
        self.namespace.as_ref().is_none_or(|only| only == namespace)
            && self.name.as_ref().is_none_or(|only| only == name)
    }
}

/// A single object, of those that nobody asks for in namespaces.
fn single(world: &World, path: &str) -> Response<Body> {
    let found = path
        .rsplit_once('/')
        .and_then(|(list, name)| world.lists.get(list)?.get(&(String::new(), name.to_owned())));
    match found {
        Some(object) => json_answer(object, StatusCode::OK),
        None => json_answer(&failure(404, "not found"), StatusCode::NOT_FOUND),
    }
}

/// Takes the namespace out of a path.
fn place(path: &str) -> (String, Option<String>) {
    let Some((root, rest)) = path.split_once("/namespaces/") else {
        return (path.to_owned(), None);
    };
    match rest.split_once('/') {
        Some((namespace, plural)) => (format!("{root}/{plural}"), Some(namespace.to_owned())),
        None => (path.to_owned(), None),
    }
}

fn pair(text: &str) -> Option<(&str, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name, value.replace("%3D", "=")))
}

fn key(object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn failure(code: u16, message: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "code": code})
}

fn json_answer(value: &Value, status: StatusCode) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(body).expect("it is sound")
}

fn definition(plural: &str, group: &str, version: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"gateway.networking.k8s.io/bundle-version": "v1.6.3"},
        },
        "spec": {"versions": [{"name": version, "served": true}]},
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    })
}
