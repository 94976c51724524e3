//! Rules over requests, backends that do as they are told, and clients that send what they are given.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairway_model::cluster::BackendProtocol;
use fairway_model::filter::HeaderModifier;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::host::HostPattern;
use fairway_model::matching::{HttpMatch, PathMatch, Rank};
use fairway_model::policy::{IpAccess, LoadBalancing, Timeouts};
use fairway_model::route::{
    AttachedHost, Attachment, BackendTarget, Forward, HttpAction, HttpDialect, HttpRule, Origin,
    Rule, WeightedBackend,
};
use fairway_model::{ClusterId, ListenerId, Model, Route, RouteId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::rig::{self, Rig};

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A model with one listener `web` of HTTP and a rule `rule` that sends everything to `backend`.
pub(crate) fn forwarding(addresses: &[SocketAddr]) -> Model {
    let mut model = rig::model();
    rig::listener(&mut model, "web", 80, "*", ListenerProtocol::Http);
    rig::cluster(&mut model, "backend", BackendProtocol::Http, addresses);
    rule(&mut model, "rule", "web", "/", forward(&["backend"]));
    model
}

/// The same, changed.
pub(crate) fn forwarding_with(
    addresses: &[SocketAddr],
    change: impl FnOnce(&mut HttpRule, &mut Forward),
) -> Model {
    let mut model = forwarding(addresses);
    let mut forward = plain_forward(&["backend"]);
    let mut rule = plain_rule("/", HttpAction::Forward(Box::new(forward.clone())));
    change(&mut rule, &mut forward);
    rule.action = HttpAction::Forward(Box::new(forward));
    put(&mut model, "rule", "web", "*", rule);
    model
}

/// Puts a rule on a listener, for all hosts, for a prefix of paths.
pub(crate) fn rule(model: &mut Model, name: &str, on: &str, prefix: &str, action: HttpAction) {
    put(model, name, on, "*", plain_rule(prefix, action));
}

pub(crate) fn plain_rule(prefix: &str, action: HttpAction) -> HttpRule {
    let length = u32::try_from(prefix.len()).expect("it is short");
    let rank = Rank {
        class: 0,
        specificity: [0, u32::MAX - length, 0, 0, 0],
        created: 0,
        object: prefix.into(),
        rule: 0,
        position: 0,
    };
    let wanted = HttpMatch {
        path: PathMatch::Prefix(prefix.into()),
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        cookies: Vec::new(),
        clients: Vec::new(),
        rank,
    };
    HttpRule {
        matches: vec![wanted],
        dialect: HttpDialect::Plain,
        ip_access: IpAccess::default(),
        rate_limits: Vec::new(),
        cors: None,
        action,
        response_headers: HeaderModifier::default(),
    }
}

/// Puts a rule on a listener for some host.
pub(crate) fn put(model: &mut Model, name: &str, on: &str, host: &str, rule: HttpRule) {
    let pattern = HostPattern::parse(host).expect("a hostname");
    let route = Route {
        origin: Origin {
            kind: "HTTPRoute".into(),
            namespace: "test".into(),
            name: name.into(),
            rule: 0,
            rule_name: None,
            generation: 1,
        },
        attachments: vec![Attachment {
            listener: ListenerId::new(on),
            hosts: vec![AttachedHost { rank: pattern.rank(), pattern }],
        }],
        rule: Rule::Http(Box::new(rule)),
    };
    model.routes.insert(RouteId::new(name), Arc::new(route));
}

pub(crate) fn forward(clusters: &[&str]) -> HttpAction {
    HttpAction::Forward(Box::new(plain_forward(clusters)))
}

pub(crate) fn plain_forward(clusters: &[&str]) -> Forward {
    Forward {
        backends: clusters.iter().map(|name| weighted(name, 1)).collect(),
        request_headers: HeaderModifier::default(),
        rewrite: None,
        mirrors: Vec::new(),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
        load_balancing: LoadBalancing::default(),
        passive_health: None,
    }
}

pub(crate) fn weighted(cluster: &str, weight: u32) -> WeightedBackend {
    WeightedBackend {
        weight,
        target: BackendTarget::Cluster(ClusterId::new(cluster)),
        request_headers: HeaderModifier::default(),
        response_headers: HeaderModifier::default(),
        rewrite: None,
        mirrors: Vec::new(),
    }
}

/// A request as a backend has got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// On which of its connections, from 0.
    pub(crate) connection: usize,
    /// Up to and with the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// Gives a field's value, if it is there once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).expect("a request line")
    }
}

/// Gives a field's value of a head.
pub(crate) fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// What a backend does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends these bytes and goes on.
    Send(Vec<u8>),
    /// Sends these bytes and closes.
    Last(Vec<u8>),
    /// Sends these bytes once it may.
    When(Arc<tokio::sync::Semaphore>, Vec<u8>),
    /// Never answers.
    Hang,
}

/// 200 with a body.
pub(crate) fn ok(body: &str) -> Act {
    Act::Send(response(200, body))
}

pub(crate) fn response(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A backend of HTTP/1.1.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    /// Connections that are open now.
    open: Arc<AtomicUsize>,
}

impl Backend {
    /// Starts one that answers as `act` says, once it has read a request whole.
    pub(crate) async fn start(act: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
        let address = socket.local_addr().expect("it is bound");
        let backend = Self {
            address,
            seen: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
        };
        let (shared, act) = (backend.clone(), Arc::new(act));
        tokio::spawn(async move {
            while let Ok((io, _)) = socket.accept().await {
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, act) = (shared.clone(), Arc::clone(&act));
                tokio::spawn(async move {
                    shared.open.fetch_add(1, Ordering::SeqCst);
                    // A client that goes away ends it.
                    drop(shared.converse(io, number, &*act).await);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        backend
    }

    /// Starts one that says its name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::start(move |_| ok(name)).await
    }

    async fn converse(
        &self,
        mut io: TcpStream,
        connection: usize,
        act: &(impl Fn(&Seen) -> Act + ?Sized),
    ) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(head) = head(&mut io, &mut buffer).await? {
            let body = body(&mut io, &mut buffer, &head).await?;
            let seen = Seen { connection, head, body };
            let next = act(&seen);
            self.seen.lock().expect("nobody panics with it").push(seen);
            match next {
                Act::Send(bytes) => io.write_all(&bytes).await?,
                Act::Last(bytes) => {
                    io.write_all(&bytes).await?;
                    return io.shutdown().await;
                }
                Act::When(may, bytes) => {
                    may.acquire().await.expect("it is never closed").forget();
                    io.write_all(&bytes).await?;
                }
                Act::Hang => {
                    // Ends when the other side does.
                    io.read_to_end(&mut buffer).await?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("it has got a request")
    }

    /// Connections made to it so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// Reads a head; `None` at the end of the stream.
async fn head(io: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = buffer.drain(..end + 4).collect();
            return Ok(Some(String::from_utf8(head).expect("a head is ASCII")));
        }
        if io.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads the body that belongs to a head.
async fn body(io: &mut TcpStream, buffer: &mut Vec<u8>, head: &str) -> std::io::Result<Vec<u8>> {
    if field(head, "transfer-encoding").is_some() {
        return chunks(io, buffer).await;
    }
    let length = field(head, "content-length").map_or(0, |text| text.parse().expect("a number"));
    while buffer.len() < length {
        if io.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..length).collect())
}

/// Reads chunks; of the trailers, names and values stay as lines behind the data.
async fn chunks(io: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let line = crlf_line(io, buffer).await?;
        let size = usize::from_str_radix(&line, 16).expect("a size");
        if size == 0 {
            loop {
                let line = crlf_line(io, buffer).await?;
                if line.is_empty() {
                    return Ok(all);
                }
                all.extend_from_slice(line.as_bytes());
            }
        }
        while buffer.len() < size + 2 {
            if io.read_buf(buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        all.extend(buffer.drain(..size));
        assert_eq!(buffer.drain(..2).collect::<Vec<_>>(), b"\r\n");
    }
}

async fn crlf_line(io: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<String> {
    loop {
        if let Some(end) = buffer.windows(2).position(|two| two == b"\r\n") {
            let line: Vec<u8> = buffer.drain(..end + 2).take(end).collect();
            return Ok(String::from_utf8(line).expect("it is ASCII"));
        }
        if io.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A client of HTTP/1.1 on one connection.
pub(crate) struct Caller {
    pub(crate) io: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as a client has got it.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

impl Caller {
    pub(crate) async fn to(rig: &Rig) -> Self {
        Self::at(rig.address("web")).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let io = TcpStream::connect(address).await.expect("it listens");
        Self { io, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.expect("it is open");
    }

    /// Sends a request without a body and gives the answer.
    pub(crate) async fn get(&mut self, path: &str) -> Got {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n")).await;
        self.answer().await
    }

    /// Reads the next answer whole.
    pub(crate) async fn answer(&mut self) -> Got {
        tokio::time::timeout(SOON, self.next_answer(false)).await.expect("in time").expect("whole")
    }

    /// Reads the next answer, which is one to HEAD.
    pub(crate) async fn answer_to_head(&mut self) -> Got {
        tokio::time::timeout(SOON, self.next_answer(true)).await.expect("in time").expect("whole")
    }

    /// Reads the next answer; an error when it is not whole.
    pub(crate) async fn next_answer(&mut self, to_head: bool) -> std::io::Result<Got> {
        let head = head(&mut self.io, &mut self.buffer).await?;
        let head = head.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let bodiless = to_head || status < 200 || status == 204 || status == 304;
        let framed = field(&head, "transfer-encoding").or(field(&head, "content-length"));
        let body = match (bodiless, framed) {
            (true, _) => Vec::new(),
            (false, Some(_)) => body(&mut self.io, &mut self.buffer, &head).await?,
            (false, None) => {
                self.io.read_to_end(&mut self.buffer).await?;
                std::mem::take(&mut self.buffer)
            }
        };
        Ok(Got { status, head, body })
    }

    /// Reads until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        let read = tokio::time::timeout(SOON, self.io.read_to_end(&mut rest)).await;
        // A reset is an end too.
        drop(read.expect("it is closed in time"));
        rest
    }
}

/// Sends bytes on a connection of their own and gives everything that comes back.
pub(crate) async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut caller = Caller::at(address).await;
    // Whoever is refused early may be closed before it has said everything.
    drop(caller.io.write_all(bytes.as_ref()).await);
    String::from_utf8_lossy(&caller.rest().await).into_owned()
}
