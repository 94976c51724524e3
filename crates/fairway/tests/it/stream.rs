//! `fairway proxy` as a process, with a controller's end of the stream in the test: what is served goes on
//! whatever becomes of the controller.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use fairway_model::cluster::{BackendProtocol, Endpoint, EndpointState};
use fairway_model::filter::{HeaderField, HeaderModifier};
use fairway_model::gateway::ListenerProtocol;
use fairway_model::host::HostPattern;
use fairway_model::matching::{HttpMatch, PathMatch, Rank};
use fairway_model::route::{
    AttachedHost, Attachment, BackendTarget, Forward, HttpAction, HttpDialect, HttpRule, Origin,
    Rule, WeightedBackend,
};
use fairway_model::{
    Cluster, ClusterId, Endpoints, Gateway, GatewayId, Listener, ListenerId, Model, Route, RouteId,
};
use fairway_stream::grpc::Identity;
use fairway_stream::grpc::server::Server;
use fairway_stream::identity::{Authority, SERVER_NAME};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::rig::{Backend, Loopback, Process, poll};
use crate::wire::{Connection, get};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GATEWAY: &str = "gateway/load/edge";
const HOST: &str = "load.example.test";

/// A gateway with one route to one backend; answers carry the version.
fn model(backend: SocketAddr, version: u32) -> Model {
    let mut model = Model::default();
    let gateway = Gateway {
        namespace: "load".into(),
        name: "edge".into(),
        addresses: Vec::new(),
        client_certificate: None,
    };
    model.gateways.insert(GatewayId::new(GATEWAY), Arc::new(gateway));
    let listener = Listener {
        gateway: GatewayId::new(GATEWAY),
        name: "http".into(),
        port: 80,
        hostname: HostPattern::Any,
        protocol: ListenerProtocol::Http,
    };
    let listener_id = ListenerId::new("gateway/load/edge/http");
    model.listeners.insert(listener_id.clone(), Arc::new(listener));
    let cluster_id = ClusterId::new("service/load/echo/80");
    let cluster = Cluster {
        namespace: "load".into(),
        service: "echo".into(),
        port: 80,
        protocol: BackendProtocol::Http,
        tls: None,
    };
    model.clusters.insert(cluster_id.clone(), Arc::new(cluster));
    let endpoints = Endpoints(vec![Endpoint { address: backend, state: EndpointState::Ready }]);
    model.endpoints.insert(cluster_id.clone(), Arc::new(endpoints));
    let any = HostPattern::Any;
    let route = Route {
        origin: Origin {
            kind: "HTTPRoute".into(),
            namespace: "load".into(),
            name: "all".into(),
            rule: 0,
            rule_name: None,
            generation: i64::from(version),
        },
        attachments: vec![Attachment {
            listener: listener_id,
            hosts: vec![AttachedHost { rank: any.rank(), pattern: any }],
        }],
        rule: Rule::Http(Box::new(rule(cluster_id, version))),
    };
    model.routes.insert(RouteId::new("http-route/load/all/rule/0"), Arc::new(route));
    model
}

fn rule(cluster: ClusterId, version: u32) -> HttpRule {
    let rank = Rank {
        class: 0,
        specificity: [0; 5],
        created: 0,
        object: "load/all".into(),
        rule: 0,
        position: 0,
    };
    let backend = WeightedBackend {
        weight: 1,
        target: BackendTarget::Cluster(cluster),
        request_headers: HeaderModifier::default(),
        response_headers: HeaderModifier::default(),
        rewrite: None,
        mirrors: Vec::new(),
    };
    let version =
        HeaderField { name: "x-version".into(), value: version.to_string().as_str().into() };
    HttpRule {
        matches: vec![HttpMatch {
            path: PathMatch::Prefix("/".into()),
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            clients: Vec::new(),
            rank,
        }],
        dialect: HttpDialect::Plain,
        ip_access: Default::default(),
        rate_limits: Vec::new(),
        cors: None,
        action: HttpAction::Forward(Box::new(Forward {
            backends: vec![backend],
            request_headers: HeaderModifier::default(),
            rewrite: None,
            mirrors: Vec::new(),
            timeouts: Default::default(),
            retry: None,
            session: None,
            load_balancing: Default::default(),
            passive_health: None,
        })),
        response_headers: HeaderModifier { set: vec![version], ..HeaderModifier::default() },
    }
}

/// A controller's end, which comes and goes, and what a proxy needs to find it.
struct Rig {
    runtime: Runtime,
    authority: Authority,
    port: u16,
    at: Loopback,
    identity: TempDir,
    state: TempDir,
}

impl Rig {
    fn new() -> Self {
        let authority = Authority::new(SystemTime::now(), DAY).expect("made");
        let identity = tempfile::tempdir().expect("a folder");
        let issued = authority.issue_proxy(&GatewayId::new(GATEWAY), SystemTime::now(), DAY);
        let issued = issued.expect("issued");
        write(identity.path(), "tls.crt", &issued.certificate);
        write(identity.path(), "tls.key", &issued.key);
        write(identity.path(), "ca.crt", authority.certificate());
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("bound").port();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        let (at, state) = (Loopback::new(), tempfile::tempdir().expect("a folder"));
        Self { runtime, authority, port, at, identity, state }
    }

    fn server(&self) -> Server {
        let issued = self.authority.issue_server(&[SERVER_NAME], SystemTime::now(), DAY);
        let issued = issued.expect("issued");
        let identity = Identity {
            certificate: issued.certificate,
            key: issued.key,
            authorities: self.authority.certificate().to_owned(),
        };
        let bind = || self.runtime.block_on(TcpListener::bind(("127.0.0.1", self.port))).ok();
        let listener = poll("the port", bind);
        let _inside = self.runtime.enter();
        Server::start(listener, &identity).expect("started")
    }

    /// Waits until a proxy serves this publication.
    fn served(&self, server: &Server, sequence: u64) {
        poll("the acknowledgement", || {
            let proxies = server.proxies();
            proxies.iter().any(|it| it.acknowledged == Some(sequence) && it.connected).then_some(())
        });
    }

    fn stop(&self, server: Server) {
        self.runtime.block_on(server.stop());
    }

    fn proxy(&self) -> Process {
        let identity = self.identity.path().display().to_string();
        let state = self.state.path().display().to_string();
        let controller = format!("127.0.0.1:{}", self.port);
        let (health, metrics) = (self.health().to_string(), self.metrics().to_string());
        let bind = self.at.address(1).to_string();
        let mut arguments = vec!["proxy", "--gateway", GATEWAY, "--controller", &controller];
        arguments.extend(["--identity", &identity, "--state", &state, "--bind", &bind]);
        arguments.extend(["--health", &health, "--metrics", &metrics, "--name", "pod-1"]);
        arguments.extend(["--grace", "1", "--drain", "5", "--threads", "1"]);
        Process::start(&arguments)
    }

    /// Where the listener of port 80 is bound.
    fn bound(&self) -> SocketAddr {
        SocketAddr::new(self.at.address(1), 10_080)
    }

    fn health(&self) -> SocketAddr {
        SocketAddr::new(self.at.address(250), 8081)
    }

    fn metrics(&self) -> SocketAddr {
        SocketAddr::new(self.at.address(250), 9090)
    }

    /// The status and text of the answer to `/readyz`, once there is one.
    fn ready(&self) -> (u16, String) {
        let answer = poll("health", || get(self.health(), "health", "/readyz").ok());
        (answer.status, answer.body)
    }

    fn until_ready(&self) {
        poll("readiness", || (self.ready().0 == 200).then_some(()));
    }

    fn version(&self) -> Option<String> {
        let answer = get(self.bound(), HOST, "/").ok().filter(|answer| answer.status == 200)?;
        answer.header("x-version").map(str::to_owned)
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

#[test]
fn no_request_is_lost_while_controllers_come_and_go() {
    let rig = Rig::new();
    let backend = Backend::start("echo");
    let mut server = rig.server();
    server.publish(&model(backend.address, 0));
    let mut proxy = rig.proxy();
    rig.until_ready();
    assert_eq!(rig.version().as_deref(), Some("0"));

    let load = Load::start(rig.bound());
    for version in 1..=8 {
        rig.stop(server);
        // Nobody is there for a while.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(rig.ready().0, 200, "it goes on");
        server = rig.server();
        let sequence = server.publish(&model(backend.address, version));
        rig.served(&server, sequence);
        assert_eq!(rig.version(), Some(version.to_string()));
    }
    let (requests, lost) = load.stop();
    assert!(lost.is_empty(), "lost of {requests}: {}\n{}", lost.join("\n"), proxy.printed());
    assert!(requests > 100, "there was hardly any load: {requests} requests");

    let metrics = get(rig.metrics(), "metrics", "/metrics").expect("an answer").body;
    assert!(metrics.contains("\nfairway_stream_connected 1\n"), "{metrics}");
    assert!(metrics.contains("fairway_proxy_requests_total{"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");

    // It is asked to end: first it says so and still serves, then it goes.
    proxy.terminate();
    poll("the end of readiness", || (rig.ready().0 == 503).then_some(()));
    assert!(rig.ready().1.contains("ending"));
    assert!(rig.version().is_some(), "clients still come");
    assert!(proxy.ended().success(), "{}", proxy.printed());
    poll("its end at the controller", || {
        server.proxies().iter().all(|it| !it.connected).then_some(())
    });
    rig.stop(server);
}

#[test]
fn the_last_good_configuration_is_served_without_a_controller() {
    let rig = Rig::new();
    let backend = Backend::start("echo");
    let mut proxy = rig.proxy();
    let (status, why) = rig.ready();
    assert!(status == 503 && why.contains("controller"), "{status}: {why}");
    assert_eq!(get(rig.health(), "health", "/healthz").expect("an answer").status, 200);
    assert_eq!(get(rig.health(), "health", "/other").expect("an answer").status, 404);

    let server = rig.server();
    let sequence = server.publish(&model(backend.address, 1));
    rig.served(&server, sequence);
    rig.until_ready();
    let saved = rig.state.path().join("last-good.json");
    poll("the file", || saved.exists().then_some(()));
    rig.stop(server);
    proxy.kill();

    let restarted = rig.proxy();
    rig.until_ready();
    assert_eq!(rig.version().as_deref(), Some("1"));
    // The controller comes back and sends what is new.
    let server = rig.server();
    let sequence = server.publish(&model(backend.address, 2));
    rig.served(&server, sequence);
    assert_eq!(rig.version().as_deref(), Some("2"), "{}", restarted.printed());
    let state = server.proxies().into_iter().find(|it| it.connected).expect("it is there");
    assert_eq!(state.name, "pod-1");
    assert!(state.refused.is_empty() && state.listeners.values().all(Result::is_ok), "{state:?}");
    rig.stop(server);
}

/// Clients that ask without a pause, each request with a number of its own.
struct Load {
    stop: Arc<AtomicBool>,
    number: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(to: SocketAddr) -> Self {
        let (stop, number) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (stop, number) = (Arc::clone(&stop), Arc::clone(&number));
            std::thread::spawn(move || ask(to, &stop, &number))
        };
        let clients = (0..2).map(client).collect();
        Self { stop, number, clients }
    }

    /// Gives how many requests there were, and what was wrong with which.
    fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.clients.into_iter().map(|client| client.join().expect("no panic"));
        let lost = ended.flatten().collect();
        (self.number.load(Ordering::Relaxed), lost)
    }
}

fn ask(to: SocketAddr, stop: &AtomicBool, number: &AtomicU64) -> Vec<String> {
    let mut lost = Vec::new();
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) && lost.len() < 10 {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let path = format!("/number/{number}");
        let asked =
            connection.take().map_or_else(|| Connection::open(to), Ok).and_then(|mut it| {
                let answer = it.get(HOST, &path)?;
                Ok((answer, it))
            });
        match asked {
            Ok((answer, kept)) => {
                if answer.status != 200 || !answer.body.contains(&format!("\"path\": \"{path}\"")) {
                    lost.push(format!("{path}: {answer:?}"));
                }
                if !answer.closes() && !number.is_multiple_of(40) {
                    connection = Some(kept);
                }
            }
            Err(error) => lost.push(format!("{path}: {error}")),
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    lost
}
