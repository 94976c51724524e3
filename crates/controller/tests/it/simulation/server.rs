//! A scripted API server without a socket, on virtual time: lists, watches, writes, and what can go wrong with
//! each of them. Every write is judged by the laws as it arrives.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, stream};
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::dice::Dice;
use super::laws::{self, Write};
use super::store::{Answer, Place, Store, failure};

type Body = BoxBody<Bytes, Infallible>;

pub(super) const LEASES: &str = "/apis/coordination.k8s.io/v1/leases";
const EVENTS: &str = "/apis/events.k8s.io/v1/events";

/// What becomes of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is refused with this code.
    Refuse(u16),
    /// It is lost on its way.
    LostBefore,
    /// It is done, and the answer is lost.
    LostAfter,
    /// Its writer dies before it is done.
    CrashBefore,
    /// Its writer dies as soon as it is done.
    CrashAfter,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) dice: Dice,
    /// What becomes of a write that is as many writes ahead.
    pub(super) fault: Option<(u32, Fault)>,
    /// Writers that are alive; the others reach nothing.
    pub(super) alive: Vec<usize>,
    /// Until when a writer's questions about the Lease get no answer.
    pub(super) mute: BTreeMap<usize, Instant>,
    /// Until when the watches of a list tell nothing.
    pub(super) lag: BTreeMap<String, Instant>,
    /// Raised to end all watches.
    pub(super) cuts: u64,
    /// Whether watches tell everything twice.
    pub(super) again: bool,
    /// What was written, and what broke a law.
    pub(super) writes: Vec<Write>,
    pub(super) broken: Vec<String>,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Server {
    world: Arc<Mutex<World>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Server {
    pub(super) fn new(dice: Dice) -> Self {
        let world = World { dice, ..World::default() };
        Self { world: Arc::new(Mutex::new(world)), changed: Arc::new(watch::channel(0).0) }
    }

    /// Looks at it, or changes it; the watches hear of it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let found = look(&mut self.world.lock().expect("nobody panics with it"));
        self.changed.send_modify(|count| *count += 1);
        found
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn client(&self, who: usize) -> kube::Client {
        kube::Client::new(Door { server: self.clone(), who }, "default")
    }

    async fn answer(self, who: usize, request: Request<kube::client::Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let Some(asked) = Asked::read(who, &head, &body) else {
            return respond(failure(404, "no such path"));
        };
        let (there, back) = self.with_quietly(|world| (world.dice.upto(25), world.dice.upto(25)));
        sleep(Duration::from_millis(there)).await;
        if asked.watches {
            return self.watch(asked).await;
        }
        let answer = if asked.method == Method::GET {
            self.with_quietly(|world| world.answer(&asked))
        } else {
            self.with(|world| world.answer(&asked))
        };
        let Some(answer) = answer else { return std::future::pending().await };
        sleep(Duration::from_millis(back)).await;
        respond(answer)
    }

    async fn watch(self, asked: Asked) -> Response<Body> {
        let (expired, cuts, lives) = self.with_quietly(|world| {
            let expired = asked.since < world.store.forgotten;
            (expired, world.cuts, world.alive.contains(&asked.who))
        });
        if !lives {
            return std::future::pending().await;
        }
        if expired {
            // As API servers do: the watch begins, and ends at once.
            let (_, status) = failure(410, "too old resource version");
            return respond((200, json!({"type": "ERROR", "object": status})));
        }
        let end = Instant::now() + asked.timeout;
        let news = self.news();
        let begun = (self, asked, news);
        let lines = stream::unfold(begun, move |(server, mut asked, mut news)| async move {
            loop {
                news.mark_unchanged();
                let (lines, lag) = server.with_quietly(|world| world.lines(&mut asked, cuts));
                if let Some(lines) = lines? {
                    let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(lines)));
                    return Some((frame, (server, asked, news)));
                }
                tokio::select! {
                    _ = news.changed() => {}
                    () = sleep_until(lag.unwrap_or(end)) => {}
                    () = sleep_until(end) => return None,
                }
            }
        });
        Response::new(BodyExt::boxed(StreamBody::new(lines)))
    }

    /// Looks at it without a word to the watches.
    pub(super) fn with_quietly<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().expect("nobody panics with it"))
    }
}

/// A client's way to the server.
struct Door {
    server: Server,
    who: usize,
}

impl tower_service::Service<Request<kube::client::Body>> for Door {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        self.server.clone().answer(self.who, request).map(Ok).boxed()
    }
}

/// What is asked.
struct Asked {
    who: usize,
    method: Method,
    place: Place,
    status: bool,
    applies: bool,
    body: Value,
    watches: bool,
    since: u64,
    timeout: Duration,
    only: Option<String>,
    labels: Vec<(String, Option<String>)>,
}

impl Asked {
    fn read(who: usize, head: &http::request::Parts, body: &Bytes) -> Option<Self> {
        let parts: Vec<&str> = head.uri.path().split('/').skip(1).collect();
        let length = if parts.first() == Some(&"api") { 2 } else { 3 };
        let (root, mut rest) = parts.split_at_checked(length)?;
        let mut namespace = "";
        if rest.len() > 2 && rest[0] == "namespaces" {
            namespace = rest[1];
            rest = &rest[2..];
        }
        let list = format!("/{}/{}", root.join("/"), rest.first()?);
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let named = rest.get(1).copied();
        let name = named.or_else(|| body["metadata"]["name"].as_str()).unwrap_or_default();
        let query = head.uri.query().unwrap_or_default();
        let query: BTreeMap<String, String> = query.split('&').filter_map(pair).collect();
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
        let selector = query.get("fieldSelector");
        let labels = query.get("labelSelector").into_iter().flat_map(|text| text.split(','));
        let label = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        let media = head.headers.get("content-type").and_then(|media| media.to_str().ok());
        Some(Self {
            who,
            method: head.method.clone(),
            place: Place { list, namespace: namespace.to_owned(), name: name.to_owned() },
            status: rest.get(2) == Some(&"status"),
            applies: media.is_some_and(|media| media.contains("apply-patch")),
            body,
            watches: query.contains_key("watch"),
            since: number("resourceVersion").unwrap_or(0),
            timeout: Duration::from_secs(number("timeoutSeconds").unwrap_or(290)),
            only: selector.and_then(|text| text.strip_prefix("metadata.name=")).map(str::to_owned),
            labels: labels.map(label).collect(),
        })
    }

    fn takes(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let inside = self.place.namespace.is_empty()
            || metadata["namespace"].as_str() == Some(self.place.namespace.as_str());
        let named = self.only.as_ref().is_none_or(|only| metadata["name"] == only.as_str());
        let labelled = self.labels.iter().all(|(name, value)| {
            let found = metadata["labels"].get(name);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| found == value.as_str()))
        });
        inside && named && labelled
    }
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let mut decoded = String::new();
    let mut parts = value.split('%');
    decoded.push_str(parts.next()?);
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        decoded.push(char::from(u8::from_str_radix(code, 16).ok()?));
        decoded.push_str(rest);
    }
    Some((name.to_owned(), decoded))
}

fn respond((code, answer): Answer) -> Response<Body> {
    let response = Response::builder().status(code).header("content-type", "application/json");
    let body = Full::new(Bytes::from(answer.to_string())).boxed();
    response.body(body).expect("a response")
}

impl World {
    /// `None` when there never is an answer.
    fn answer(&mut self, asked: &Asked) -> Option<Answer> {
        if !self.alive.contains(&asked.who) {
            return None;
        }
        let lease = asked.place.list == LEASES;
        let muted = self.mute.get(&asked.who).is_some_and(|until| *until > Instant::now());
        if lease && muted {
            return None;
        }
        if asked.method == Method::GET {
            return Some(self.read(asked));
        }
        if asked.place.list == EVENTS {
            return Some((201, asked.body.clone()));
        }
        if lease {
            return Some(self.write(asked));
        }
        let fault = match &mut self.fault {
            Some((0, fault)) => Some(*fault),
            Some((ahead, _)) => {
                *ahead -= 1;
                None
            }
            None => None,
        };
        let Some(fault) = fault else { return Some(self.write(asked)) };
        self.fault = None;
        if matches!(fault, Fault::LostAfter | Fault::CrashAfter) {
            self.write(asked);
        }
        match fault {
            // Only a version that was not the last one is a conflict here.
            Fault::Refuse(409) if asked.method == Method::PUT => return Some(self.write(asked)),
            Fault::Refuse(code) => return Some(failure(code, "refused by the script")),
            Fault::LostBefore | Fault::LostAfter => {}
            Fault::CrashBefore | Fault::CrashAfter => self.alive.retain(|who| *who != asked.who),
        }
        None
    }

    fn read(&self, asked: &Asked) -> Answer {
        if !asked.place.name.is_empty() {
            let found = self.store.objects.get(&asked.place);
            return found.map_or_else(|| failure(404, "not found"), |found| (200, found.clone()));
        }
        let all = self
            .store
            .objects
            .iter()
            .filter(|(place, object)| place.list == asked.place.list && asked.takes(object));
        let items: Vec<&Value> = all.map(|(_, object)| object).collect();
        let metadata = json!({"resourceVersion": self.store.version.to_string()});
        (200, json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}))
    }

    fn write(&mut self, asked: &Asked) -> Answer {
        let Asked { place, body, status, .. } = asked;
        let before = self.store.objects.get(place).cloned();
        let version = self.store.version;
        let answer = match (&asked.method, asked.applies) {
            (&Method::POST, _) => self.store.create(place, body.clone()),
            (&Method::PUT, _) => self.store.replace(place, body, *status),
            (&Method::PATCH, true) => self.store.apply(place, body.clone()),
            (&Method::PATCH, false) => self.store.merge(place, body, *status),
            (&Method::DELETE, _) => self.store.delete(place, body),
            _ => failure(405, "no such verb"),
        };
        if place.list != LEASES {
            let news = self.store.version != version;
            let write = Write {
                who: asked.who,
                what: format!("{} {place:?} ({})", asked.method, answer.0),
                place: place.clone(),
                // Fleets are applied again and again, against changes by others.
                idle: asked.method == Method::PATCH && !news,
            };
            if answer.0 < 300 {
                self.broken.extend(laws::broken(&self.store, &write, before.as_ref()));
            }
            self.writes.push(write);
        }
        answer
    }

    /// Gives what a watch has not told yet, or `None` when it ends; and until when it says nothing.
    fn lines(&self, asked: &mut Asked, cuts: u64) -> (Option<Option<String>>, Option<Instant>) {
        if self.cuts > cuts {
            return (None, None);
        }
        let lag = self.lag.get(&asked.place.list).filter(|lag| **lag > Instant::now());
        if lag.is_some() || !self.alive.contains(&asked.who) {
            return (Some(None), lag.copied());
        }
        let since = asked.since;
        let from = self.store.events.partition_point(|event| event.version <= since);
        let new = self.store.events[from..].iter();
        let mine = new.filter(|event| event.list == asked.place.list && asked.takes(&event.object));
        let (mut text, mut last) = (String::new(), since);
        for event in mine {
            last = event.version;
            let line = json!({"type": event.word, "object": event.object});
            // Told twice: whoever hears it knows the version already.
            let times = if self.again { 2 } else { 1 };
            (0..times).for_each(|_| text.push_str(&format!("{line}\n")));
        }
        let told = last != since;
        asked.since = last;
        if !told && self.store.version > since + 20 {
            asked.since = self.store.version;
            let metadata = json!({"resourceVersion": self.store.version.to_string()});
            let mark = json!({"apiVersion": "v1", "kind": "X", "metadata": metadata});
            return (
                Some(Some(format!("{}\n", json!({"type": "BOOKMARK", "object": mark})))),
                None,
            );
        }
        (Some(told.then_some(text)), None)
    }
}
