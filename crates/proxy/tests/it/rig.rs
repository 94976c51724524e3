//! A data plane under test with its model, and the clients, backends and certificates around it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fairway_model::cluster::{BackendProtocol, Endpoint, EndpointState};
use fairway_model::filter::HeaderModifier;
use fairway_model::gateway::{ListenerProtocol, TlsTermination};
use fairway_model::host::HostPattern;
use fairway_model::matching::{HttpMatch, PathMatch, Rank};
use fairway_model::policy::{IpAccess, LoadBalancing, Timeouts};
use fairway_model::route::{
    AttachedHost, Attachment, BackendTarget, Forward, HttpAction, HttpDialect, HttpRule, Origin,
    Rule, StreamRule, WeightedBackend, WeightedTarget,
};
use fairway_model::secret::PrivateKey;
use fairway_model::{
    Cluster, ClusterId, Endpoints, Gateway, GatewayId, Listener, ListenerId, Model, Route, RouteId,
    Secret, SecretId, delta,
};
use fairway_proxy::{Applied, ListenerOutcome, Proxy, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const GATEWAY: &str = "gateway/test/web";

/// A running data plane and the model it serves.
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    pub(crate) model: Model,
}

impl Rig {
    pub(crate) fn start(threads: usize, model: Model) -> Self {
        let settings = Settings { threads, ephemeral_ports: true, ..Settings::default() };
        Self::start_with(settings, model)
    }

    pub(crate) fn start_with(settings: Settings, model: Model) -> Self {
        let proxy = Proxy::start(settings).expect("threads can be started");
        let delta = delta::diff(&Model::default(), &model);
        proxy.apply(&model, &delta);
        Self { proxy, model }
    }

    /// Changes the model and applies it.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Model)) -> Applied {
        let mut model = self.model.clone();
        change(&mut model);
        let delta = delta::diff(&self.model, &model);
        self.model = model;
        self.proxy.apply(&self.model, &delta)
    }

    /// The one address of a listener.
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let bound = self.proxy.bound();
        *bound.get(listener).and_then(|all| all.first()).expect("the listener is bound")
    }

    /// Why a listener is not served.
    pub(crate) fn error(&self, listener: &str) -> Option<String> {
        match self.proxy.outcomes().borrow().get(listener)? {
            ListenerOutcome::Serving { .. } => None,
            ListenerOutcome::Failed { error, .. } => Some(error.clone()),
        }
    }
}

/// A model with one gateway on loopback.
pub(crate) fn model() -> Model {
    let mut model = Model::default();
    let gateway = Gateway {
        namespace: "test".into(),
        name: "web".into(),
        addresses: vec![LOOPBACK],
        client_certificate: None,
    };
    model.gateways.insert(GatewayId::new(GATEWAY), Arc::new(gateway));
    model
}

/// Puts a listener into a model under its own name.
pub(crate) fn listener(
    model: &mut Model,
    name: &str,
    port: u16,
    host: &str,
    protocol: ListenerProtocol,
) {
    let listener = Listener {
        gateway: GatewayId::new(GATEWAY),
        name: name.into(),
        port,
        hostname: HostPattern::parse(host).expect("a hostname"),
        protocol,
    };
    model.listeners.insert(ListenerId::new(name), Arc::new(listener));
}

/// Puts a route of bytes into a model; `rank` is its age, the least wins.
pub(crate) fn stream_route(
    model: &mut Model,
    name: &str,
    listener: &str,
    (host, rank): (&str, i64),
    targets: &[(&str, u32)],
) {
    let pattern = HostPattern::parse(host).expect("a hostname");
    let rank = self::rank(name, rank);
    let target = |(name, weight): &(&str, u32)| WeightedTarget {
        weight: *weight,
        target: BackendTarget::Cluster(ClusterId::new(*name)),
    };
    let route = Route {
        origin: origin("TCPRoute", name),
        attachments: vec![Attachment {
            listener: ListenerId::new(listener),
            hosts: vec![AttachedHost { rank: pattern.rank(), pattern }],
        }],
        rule: Rule::Stream(StreamRule {
            rank,
            backends: targets.iter().map(target).collect(),
            load_balancing: LoadBalancing::default(),
            ip_access: IpAccess::default(),
        }),
    };
    model.routes.insert(RouteId::new(name), Arc::new(route));
}

/// Puts a route of requests into a model: all of a host go to one backend.
pub(crate) fn http_route(model: &mut Model, name: &str, listener: &str, host: &str, to: &str) {
    let pattern = HostPattern::parse(host).expect("a hostname");
    let backend = WeightedBackend {
        weight: 1,
        target: BackendTarget::Cluster(ClusterId::new(to)),
        request_headers: HeaderModifier::default(),
        response_headers: HeaderModifier::default(),
        rewrite: None,
        mirrors: Vec::new(),
    };
    let forward = Forward {
        backends: vec![backend],
        request_headers: HeaderModifier::default(),
        rewrite: None,
        mirrors: Vec::new(),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
        load_balancing: LoadBalancing::default(),
        passive_health: None,
    };
    let everything = HttpMatch {
        path: PathMatch::Prefix("/".into()),
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        cookies: Vec::new(),
        clients: Vec::new(),
        rank: rank(name, 1),
    };
    let rule = HttpRule {
        matches: vec![everything],
        dialect: HttpDialect::Plain,
        ip_access: IpAccess::default(),
        rate_limits: Vec::new(),
        cors: None,
        action: HttpAction::Forward(Box::new(forward)),
        response_headers: HeaderModifier::default(),
    };
    let route = Route {
        origin: origin("HTTPRoute", name),
        attachments: vec![Attachment {
            listener: ListenerId::new(listener),
            hosts: vec![AttachedHost { rank: pattern.rank(), pattern }],
        }],
        rule: Rule::Http(Box::new(rule)),
    };
    model.routes.insert(RouteId::new(name), Arc::new(route));
}

fn origin(kind: &str, name: &str) -> Origin {
    Origin {
        kind: kind.into(),
        namespace: "test".into(),
        name: name.into(),
        rule: 0,
        rule_name: None,
        generation: 1,
    }
}

fn rank(name: &str, created: i64) -> Rank {
    Rank { class: 0, specificity: [0; 5], created, object: name.into(), rule: 0, position: 0 }
}

/// Puts a backend into a model.
pub(crate) fn cluster(
    model: &mut Model,
    name: &str,
    protocol: BackendProtocol,
    addresses: &[SocketAddr],
) {
    let cluster =
        Cluster { namespace: "test".into(), service: name.into(), port: 80, protocol, tls: None };
    model.clusters.insert(ClusterId::new(name), Arc::new(cluster));
    endpoints(model, name, addresses);
}

/// Sets who stands behind a backend.
pub(crate) fn endpoints(model: &mut Model, name: &str, addresses: &[SocketAddr]) {
    let mut all: Vec<Endpoint> = addresses
        .iter()
        .map(|address| Endpoint { address: *address, state: EndpointState::Ready })
        .collect();
    all.sort_unstable();
    model.endpoints.insert(ClusterId::new(name), Arc::new(Endpoints(all)));
}

/// Puts a certificate with its key into a model.
pub(crate) fn certificate(model: &mut Model, name: &str, (chain, key): &(String, String)) {
    let secret =
        Secret::Certificate { chain: chain.as_str().into(), key: PrivateKey::new(key.as_str()) };
    model.secrets.insert(SecretId::new(name), Arc::new(secret));
}

/// Puts a bundle of authorities into a model.
pub(crate) fn authorities(model: &mut Model, name: &str, bundle: &str) {
    let secret = Secret::Authorities { bundle: bundle.into() };
    model.secrets.insert(SecretId::new(name), Arc::new(secret));
}

/// TLS that ends here, with these certificates.
pub(crate) fn ends_tls(certificates: &[&str]) -> TlsTermination {
    TlsTermination {
        certificates: certificates.iter().map(|name| SecretId::new(*name)).collect(),
        client_validation: None,
    }
}

/// An authority that signs certificates for tests.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("it can be signed"))
    }

    /// Certificate and key of a leaf, PEM.
    pub(crate) fn sign(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign_params(&CertificateParams::new(names).expect("the names are right"))
    }

    pub(crate) fn sign_params(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().expect("a key can be made");
        let leaf = params.signed_by(&key, &self.0).expect("it can be signed");
        (leaf.pem(), key.serialize_pem())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
}

/// A backend that says its name, then sends back what comes, until the client's side ends. Lives
/// as long as the runtime.
pub(crate) async fn echo(name: &'static str) -> SocketAddr {
    let socket = TcpListener::bind((LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut io, _)) = socket.accept().await {
            tokio::spawn(async move {
                io.write_all(name.as_bytes()).await?;
                io.write_all(b"\n").await?;
                let (mut from, mut to) = io.split();
                tokio::io::copy(&mut from, &mut to).await?;
                to.shutdown().await
            });
        }
    });
    address
}

/// A port that nobody has now: below those that the kernel gives out by itself, and another one each
/// time, so that no other test takes it meanwhile.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut ports = std::iter::repeat_with(|| {
        let next = std::process::id().wrapping_mul(16) + NEXT.fetch_add(1, Ordering::Relaxed);
        u16::try_from(12_000 + next % 20_000).expect("it is below 32,000")
    });
    let is_free = |port: &u16| {
        let tcp = std::net::TcpListener::bind((LOOPBACK, *port));
        tcp.is_ok() && std::net::UdpSocket::bind((LOOPBACK, *port)).is_ok()
    };
    ports.by_ref().take(1_000).find(is_free).expect("a port is free")
}

/// A backend that answers each request of HTTP/1.1 with its name, after as long as the path says in
/// milliseconds. Requests have no bodies.
pub(crate) async fn http_backend(name: &'static str) -> SocketAddr {
    let socket = TcpListener::bind((LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut io, _)) = socket.accept().await {
            tokio::spawn(async move {
                loop {
                    let head = head(&mut io).await?;
                    let path = head.split(' ').nth(1).and_then(|path| path.strip_prefix('/'));
                    let wait = path.and_then(|path| path.parse().ok()).unwrap_or_default();
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    let length = name.len();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                    io.write_all(format!("{answer}{name}").as_bytes()).await?;
                }
                #[expect(unreachable_code, reason = "it says what kind of error ends the loop")]
                std::io::Result::Ok(())
            });
        }
    });
    address
}

/// Reads the head of a message of HTTP/1.1.
pub(crate) async fn head(io: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
}

/// Sends a request and gives the head and the body of the answer, which has a length.
pub(crate) async fn ask(
    io: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    host: &str,
    path: &str,
) -> std::io::Result<(String, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    io.write_all(request.as_bytes()).await?;
    let head = head(io).await?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|text| text.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}

/// Reads to the end of a line; what came before the end of the stream if there is none.
pub(crate) async fn line(io: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<String> {
    let mut line = Vec::new();
    loop {
        match io.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
