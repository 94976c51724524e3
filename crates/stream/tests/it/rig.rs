//! A controller's end and proxies' ends on loopback, with an authority of the test's own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fairway_model::gateway::{Gateway, Listener, ListenerProtocol};
use fairway_model::host::HostPattern;
use fairway_model::matching::Rank;
use fairway_model::route::{AttachedHost, Attachment, Origin, Rule, StreamRule};
use fairway_model::{GatewayId, ListenerId, Model, Route, RouteId};
use fairway_stream::grpc::Identity;
use fairway_stream::grpc::client::{Client, Settings, Subscriber};
use fairway_stream::grpc::server::{ProxyState, Server};
use fairway_stream::identity::{Authority, SERVER_NAME};
use fairway_stream::{Ack, Subscriber as _};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How long is waited for what surely comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn gateway(name: &str) -> GatewayId {
    GatewayId::new(format!("gateway/shop/{name}"))
}

/// A model of these gateways, each with a listener and so many routes of one generation.
pub(crate) fn model(gateways: &[&str], routes: usize, generation: i64) -> Model {
    let mut model = Model::default();
    for name in gateways {
        let id = gateway(name);
        let it = Gateway {
            namespace: "shop".into(),
            name: (*name).into(),
            addresses: Vec::new(),
            client_certificate: None,
        };
        model.gateways.insert(id.clone(), Arc::new(it));
        let listener_id = ListenerId::new(format!("{id}/tcp"));
        let listener = Listener {
            gateway: id.clone(),
            name: "tcp".into(),
            port: 80,
            hostname: HostPattern::Any,
            protocol: ListenerProtocol::Tcp,
        };
        model.listeners.insert(listener_id.clone(), Arc::new(listener));
        for number in 0..routes {
            let route = route(&listener_id, name, number, generation);
            let id = RouteId::new(format!("tcp-route/shop/{name}-{number}/rule/0"));
            model.routes.insert(id, Arc::new(route));
        }
    }
    model
}

pub(crate) fn route(listener: &ListenerId, name: &str, number: usize, generation: i64) -> Route {
    let any = HostPattern::Any;
    let name: Arc<str> = format!("{name}-{number}").into();
    let rule = StreamRule {
        rank: Rank {
            class: 0,
            specificity: [0; 5],
            created: 0,
            object: Arc::clone(&name),
            rule: 0,
            position: 0,
        },
        backends: Vec::new(),
        load_balancing: Default::default(),
        ip_access: Default::default(),
    };
    let hosts = vec![AttachedHost { rank: any.rank(), pattern: any }];
    Route {
        origin: Origin {
            kind: "TCPRoute".into(),
            namespace: "shop".into(),
            name,
            rule: 0,
            rule_name: None,
            generation,
        },
        attachments: vec![Attachment { listener: listener.clone(), hosts }],
        rule: Rule::Stream(rule),
    }
}

pub(crate) fn authority() -> Authority {
    Authority::new(SystemTime::now(), 30 * DAY).unwrap()
}

pub(crate) fn server_identity(authority: &Authority) -> Identity {
    let issued = authority.issue_server(&[SERVER_NAME], SystemTime::now(), DAY).unwrap();
    Identity {
        certificate: issued.certificate,
        key: issued.key,
        authorities: authority.certificate().to_owned(),
    }
}

/// Starts a server, on a port of its own or on one that an earlier one had.
pub(crate) async fn server(authority: &Authority, port: u16) -> Server {
    let listener = loop {
        // A port in TIME_WAIT is no hindrance; one whose listener is just going is, for a moment.
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => break listener,
            Err(_busy) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    Server::start(listener, &server_identity(authority)).unwrap()
}

/// A directory as a proxy's Secret is mounted.
pub(crate) fn identity(authority: &Authority, trusts: &Authority, gateway: &GatewayId) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let issued = authority.issue_proxy(gateway, SystemTime::now(), DAY).unwrap();
    let files = [
        ("tls.crt", issued.certificate.as_str()),
        ("tls.key", &issued.key),
        ("ca.crt", trusts.certificate()),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

pub(crate) fn settings(server: &Server, identity: &TempDir, gateway: GatewayId) -> Settings {
    let controller = server.address().to_string();
    Settings::new(controller, identity.path().to_owned(), gateway, "pod-1".to_owned())
}

/// A proxy that has no data plane and acknowledges everything, at its own pace.
pub(crate) struct Proxy {
    pub(crate) client: Client,
    pub(crate) subscriber: Subscriber,
    _identity: TempDir,
}

impl Proxy {
    pub(crate) fn start(authority: &Authority, server: &Server, name: &str) -> Self {
        Self::start_with(authority, server, name, Arc::default(), |_| {})
    }

    pub(crate) fn start_with(
        authority: &Authority,
        server: &Server,
        name: &str,
        model: Arc<Model>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let identity = identity(authority, authority, &gateway(name));
        let mut settings = settings(server, &identity, gateway(name));
        change(&mut settings);
        let (client, subscriber) = Client::start(settings, model);
        Self { client, subscriber, _identity: identity }
    }

    /// Takes the next update and acknowledges it.
    pub(crate) async fn step(&mut self) {
        let next = tokio::time::timeout(PATIENCE, self.subscriber.next()).await;
        let update = next.expect("an update in time").expect("the client is there");
        self.acknowledge(update.sequence).await;
    }

    pub(crate) async fn acknowledge(&mut self, sequence: u64) {
        let ack = Ack { sequence, ..Ack::default() };
        self.subscriber.acknowledge(ack).await.unwrap();
    }

    /// Takes updates until this is the model.
    pub(crate) async fn until(&mut self, wanted: &Model) {
        while **self.subscriber.model() != *wanted {
            self.step().await;
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.client.connected().borrow().received
    }
}

/// Waits until the server knows this of its proxies.
pub(crate) async fn wait(server: &Server, what: &str, is: impl Fn(&[ProxyState]) -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is(&server.proxies()) {
            server.changed().await;
        }
    });
    if waited.await.is_err() {
        panic!("waited in vain for {what}: {:#?}", server.proxies());
    }
}
