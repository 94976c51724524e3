//! What a request pays to find its rule, and what a change of one route pays to become a new table.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fairway_model::delta::diff;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::host::HostPattern;
use fairway_model::matching::{HttpMatch, PathMatch, Rank};
use fairway_model::policy::{IpAccess, LoadBalancing, Timeouts};
use fairway_model::route::{
    AttachedHost, Attachment, BackendTarget, Forward, HttpAction, HttpDialect, HttpRule, Origin,
    Rule, WeightedBackend,
};
use fairway_model::select::{Probe, Table};
use fairway_model::{ClusterId, Gateway, GatewayId, Listener, ListenerId, Model, Route, RouteId};

/// How the rules lie.
#[derive(Clone, Copy)]
enum Layout {
    /// One rule for each host.
    Hosts,
    /// All rules on one host, by exact path.
    ExactPaths,
    /// All rules on one host, by prefix.
    Prefixes,
}

const LAYOUTS: [(Layout, &str); 3] = [
    (Layout::Hosts, "many hosts"),
    (Layout::ExactPaths, "one host, exact paths"),
    (Layout::Prefixes, "one host, prefixes"),
];

impl Layout {
    fn host(self, n: usize) -> String {
        match self {
            Self::Hosts => format!("shop-{n}.example.test"),
            Self::ExactPaths | Self::Prefixes => "shop.example.test".to_owned(),
        }
    }

    fn path(self, n: usize) -> PathMatch {
        match self {
            Self::Hosts => PathMatch::Prefix("/".into()),
            Self::ExactPaths => PathMatch::Exact(format!("/team/{n}/cart").into()),
            Self::Prefixes => PathMatch::Prefix(format!("/team/{n}").into()),
        }
    }

    fn probe(self, n: usize) -> Probe {
        Probe {
            host: self.host(n),
            path: format!("/team/{n}/cart"),
            method: "GET".to_owned(),
            ..Probe::default()
        }
    }
}

fn route(layout: Layout, n: usize, generation: i64) -> Route {
    let pattern = HostPattern::parse(&layout.host(n)).expect("a hostname");
    let rank = pattern.rank();
    let wanted = HttpMatch {
        path: layout.path(n),
        methods: vec![],
        headers: vec![],
        query: vec![],
        cookies: vec![],
        clients: vec![],
        rank: Rank {
            class: 0,
            specificity: [0; 5],
            created: 1_700_000_000,
            object: format!("shop/route-{n}").into(),
            rule: 0,
            position: 0,
        },
    };
    let target = BackendTarget::Cluster(ClusterId::new("service/shop/cart/80"));
    let backend = WeightedBackend {
        weight: 1,
        target,
        request_headers: Default::default(),
        response_headers: Default::default(),
        rewrite: None,
        mirrors: vec![],
    };
    let forward = Forward {
        backends: vec![backend],
        request_headers: Default::default(),
        rewrite: None,
        mirrors: vec![],
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
        load_balancing: LoadBalancing::RoundRobin,
        passive_health: None,
    };
    Route {
        origin: Origin {
            kind: "HTTPRoute".into(),
            namespace: "shop".into(),
            name: format!("route-{n}").into(),
            rule: 0,
            rule_name: None,
            generation,
        },
        attachments: vec![Attachment {
            listener: ListenerId::new("gateway/shop/web/http"),
            hosts: vec![AttachedHost { pattern, rank }],
        }],
        rule: Rule::Http(Box::new(HttpRule {
            matches: vec![wanted],
            dialect: HttpDialect::Plain,
            ip_access: IpAccess::default(),
            rate_limits: vec![],
            cors: None,
            action: HttpAction::Forward(Box::new(forward)),
            response_headers: Default::default(),
        })),
    }
}

fn route_id(n: usize) -> RouteId {
    RouteId::new(format!("http-route/shop/route-{n}/rule/0"))
}

fn model(layout: Layout, size: usize) -> Model {
    let mut model = Model::default();
    let gateway = GatewayId::new("gateway/shop/web");
    let listener = Listener {
        gateway: gateway.clone(),
        name: "http".into(),
        port: 80,
        hostname: HostPattern::Any,
        protocol: ListenerProtocol::Http,
    };
    let own = Gateway {
        namespace: "shop".into(),
        name: "web".into(),
        addresses: vec![],
        client_certificate: None,
    };
    model.gateways.insert(gateway, Arc::new(own));
    model.listeners.insert(ListenerId::new("gateway/shop/web/http"), Arc::new(listener));
    for n in 0..size {
        model.routes.insert(route_id(n), Arc::new(route(layout, n, 1)));
    }
    model
}

fn select(criterion: &mut Criterion) {
    for (layout, name) in LAYOUTS {
        let mut group = criterion.benchmark_group(format!("select, {name}"));
        for size in [10, 1_000, 10_000] {
            let table = Table::compile(&model(layout, size), &mut |_, _| ());
            // Many different requests, so that the table and not one line of cache is measured.
            let probes: Vec<Probe> = (0..size).map(|n| layout.probe(n * 7919 % size)).collect();
            let mut next = probes.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(size), |bench| {
                bench.iter(|| {
                    let probe = next.next().expect("an endless row");
                    let port = table.port("gateway/shop/web", 80).expect("it is there");
                    let listener = port.listener_for_host(&probe.host).expect("it is there");
                    black_box(listener.select(probe).expect("it matches").matched)
                });
            });
        }
    }
}

fn change(criterion: &mut Criterion) {
    let size = 10_000;
    for (layout, name) in LAYOUTS {
        let old = model(layout, size);
        let mut new = old.clone();
        new.routes.insert(route_id(4_711), Arc::new(route(layout, 4_711, 2)));
        let table = Table::compile(&old, &mut |_, _| ());
        let delta = diff(&old, &new);
        let mut group = criterion.benchmark_group(format!("one of 10000 routes, {name}"));
        group.bench_function("diff", |bench| bench.iter(|| diff(black_box(&old), &new)));
        group.bench_function("update", |bench| {
            bench.iter(|| table.update(black_box(&new), &delta, &mut |_, _| ()));
        });
        group.sample_size(10);
        group.bench_function("compile all", |bench| {
            bench.iter(|| Table::compile(black_box(&new), &mut |_, _| ()));
        });
    }
}

criterion_group!(benches, select, change);
criterion_main!(benches);
