//! What goes on being served when something is refused.

use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::{Gateway, Listener, ListenerProtocol};
use fairway_model::host::HostPattern;
use fairway_model::route::{
    AttachedHost, Attachment, BackendTarget, Origin, Rule, StreamRule, WeightedTarget,
};
use fairway_model::{
    Cluster, ClusterId, Endpoints, Feature, GatewayId, ListenerId, Route, RouteId,
};

use super::*;

fn all() -> Features {
    Feature::ALL.iter().copied().collect()
}

fn cluster(id: &str, protocol: BackendProtocol, model: &mut Model) {
    let (namespace, service) = ("shop".into(), id.into());
    let cluster = Cluster { namespace, service, port: 80, protocol, tls: None };
    model.clusters.insert(ClusterId::new(id), Arc::new(cluster));
    model.endpoints.insert(ClusterId::new(id), Arc::new(Endpoints::default()));
}

fn route(id: &str, generation: i64, cluster: &str, model: &mut Model) {
    let any = HostPattern::Any;
    let hosts = vec![AttachedHost { rank: any.rank(), pattern: any }];
    let rank = fairway_model::matching::Rank {
        class: 0,
        specificity: [0; 5],
        created: 0,
        object: id.into(),
        rule: 0,
        position: 0,
    };
    let target = BackendTarget::Cluster(ClusterId::new(cluster));
    let rule = StreamRule {
        rank,
        backends: vec![WeightedTarget { weight: 1, target }],
        load_balancing: Default::default(),
        ip_access: Default::default(),
    };
    let origin = Origin {
        kind: "TCPRoute".into(),
        namespace: "shop".into(),
        name: id.into(),
        rule: 0,
        rule_name: None,
        generation,
    };
    let attachments = vec![Attachment { listener: ListenerId::new("tcp"), hosts }];
    let route = Route { origin, attachments, rule: Rule::Stream(rule) };
    model.routes.insert(RouteId::new(id), Arc::new(route));
}

fn base() -> Model {
    let mut model = Model::default();
    let gateway = Gateway {
        namespace: "shop".into(),
        name: "web".into(),
        addresses: Vec::new(),
        client_certificate: None,
    };
    model.gateways.insert(GatewayId::new("web"), Arc::new(gateway));
    let listener = Listener {
        gateway: GatewayId::new("web"),
        name: "tcp".into(),
        port: 80,
        hostname: HostPattern::Any,
        protocol: ListenerProtocol::Tcp,
    };
    model.listeners.insert(ListenerId::new("tcp"), Arc::new(listener));
    cluster("one", BackendProtocol::Tcp, &mut model);
    route("a", 1, "one", &mut model);
    model
}

/// Sends what leads from one model to the next; checks what must always hold.
fn send(holding: &mut Holding, from: &Model, to: &Model) {
    let sent = delta::diff(from, to);
    let put = codec::put(&sent).into_iter().map(|(key, entry)| entry.encode(&key.id)).collect();
    let removed = codec::removed(&sent).iter().map(Key::encode).collect();
    let mut served = Model::clone(&holding.served);
    let delta = holding.apply(put, removed);
    delta::apply(&mut served, delta);
    assert_eq!(served, *holding.served, "the delta leads to what is served");
    assert_eq!(holding.served.check(), Ok(()));
}

#[test]
fn what_is_understood_is_served() {
    let mut holding = Holding::new(Arc::default(), all());
    send(&mut holding, &Model::default(), &base());
    assert_eq!(*holding.served, base());
    assert_eq!(holding.refused().count(), 0);
    let again = Holding::new(Arc::new(base()), all());
    assert_eq!(again.inventory(), holding.inventory(), "a restart holds the same");
}

#[test]
fn a_refused_cluster_leaves_the_value_before_with_all_that_it_needs() {
    let known: Features = all().into_iter().filter(|it| *it != Feature::BackendH2c).collect();
    let mut holding = Holding::new(Arc::default(), known);
    send(&mut holding, &Model::default(), &base());

    // A new route to a cluster of a feature that is not known; the old route moves there too, and the
    // cluster that it needs is taken away.
    let mut next = base();
    cluster("two", BackendProtocol::H2c, &mut next);
    route("a", 2, "two", &mut next);
    route("b", 1, "two", &mut next);
    next.clusters.remove("one");
    next.endpoints.remove("one");
    send(&mut holding, &base(), &next);
    assert_eq!(holding.served.routes["a"].origin.generation, 1);
    assert!(holding.served.clusters.contains_key("one"), "it is still needed");
    assert!(!holding.served.routes.contains_key("b"), "there was nothing before");
    let refused: Vec<&str> = holding.refused().map(|((_, id), _)| &**id).collect();
    assert_eq!(refused, ["a", "b", "two"]);
    let whys: Vec<&String> = holding.refused().map(|(_, why)| why).collect();
    assert!(whys[2].contains("backend-h2c") && whys[0].contains("two"), "{whys:?}");

    // The cluster becomes one that is known: everything is served as sent.
    let mut mended = next.clone();
    cluster("two", BackendProtocol::Tcp, &mut mended);
    send(&mut holding, &next, &mended);
    assert_eq!(*holding.served, mended);
    assert_eq!(holding.refused().count(), 0);
    send(&mut holding, &mended, &base());
    assert_eq!(*holding.served, base());
}

#[test]
fn a_refused_listener_takes_only_its_attachments() {
    let known: Features = all().into_iter().filter(|it| *it != Feature::UdpListener).collect();
    let mut holding = Holding::new(Arc::default(), known);
    let mut model = base();
    let mut udp = Listener::clone(&model.listeners["tcp"]);
    udp.protocol = ListenerProtocol::Udp;
    model.listeners.insert(ListenerId::new("udp"), Arc::new(udp));
    let mut both = Route::clone(&model.routes["a"]);
    let mut more = both.attachments[0].clone();
    more.listener = ListenerId::new("udp");
    both.attachments.push(more);
    model.routes.insert(RouteId::new("a"), Arc::new(both));
    send(&mut holding, &Model::default(), &model);
    assert_eq!(holding.served.routes["a"].attachments.len(), 1);
    assert_eq!(holding.refused().count(), 1);
}

#[test]
fn a_kind_of_a_later_release_is_refused_alone() {
    let mut holding = Holding::new(Arc::default(), all());
    let later = proto::Resource { kind: 99, id: "new".to_owned(), ..proto::Resource::default() };
    let half = proto::Resource {
        kind: Kind::Route.encode(),
        id: "half".to_owned(),
        body: vec![255, 255].into(),
        ..proto::Resource::default()
    };
    holding.apply(vec![later, half], Vec::new());
    assert_eq!(holding.refused().count(), 2);
    let removed = proto::Key { kind: 99, id: "new".to_owned() };
    holding.apply(Vec::new(), vec![removed]);
    assert_eq!(holding.refused().count(), 1);
}
