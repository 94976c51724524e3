//! Random models and requests of few words, so that rules get into each other's way: hosts that
//! overlap, equal paths, equal ranks, repeated query parameters.

use std::sync::Arc;

use fairway_model::gateway::{ListenerProtocol, TlsTermination};
use fairway_model::host::HostPattern;
use fairway_model::matching::{FieldMatch, HttpMatch, PathMatch, Pattern, Rank, ValueMatch};
use fairway_model::policy::{IpAccess, LoadBalancing};
use fairway_model::route::{
    AttachedHost, Attachment, Failure, HttpAction, HttpRule, Origin, Rule, StreamRule,
};
use fairway_model::secret::{PrivateKey, Secret};
use fairway_model::select::Probe;
use fairway_model::{Gateway, GatewayId, Listener, ListenerId, Model, Route, RouteId, SecretId};
use ipnet::IpNet;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};

/// Which listener a generated Id means: place, port, protocol. On all of them stand any hostnames.
const LISTENERS: [(u16, Spoken); 10] = [
    (80, Spoken::Http),
    (80, Spoken::Http),
    (80, Spoken::Http),
    (443, Spoken::Https),
    (443, Spoken::Https),
    (443, Spoken::Passthrough),
    (443, Spoken::Terminate),
    (53, Spoken::Tcp),
    (53, Spoken::Udp),
    (8080, Spoken::Http),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Http,
    Https,
    Passthrough,
    Terminate,
    Tcp,
    Udp,
}

/// The gateway of all generated listeners.
pub(crate) fn gateway_id() -> GatewayId {
    GatewayId::new("gateway/ns/gw")
}

/// The ports that generated listeners may have.
pub(crate) const PORTS: [u16; 4] = [80, 443, 53, 8080];

fn listener_id(n: usize) -> ListenerId {
    ListenerId::new(format!("listener/{n}"))
}

/// Models for the matcher. Every Id points somewhere.
pub(crate) fn routing() -> impl Strategy<Value = Model> {
    let listeners = btree_map(0..LISTENERS.len(), pattern(), 1..LISTENERS.len());
    let routes = btree_map(0..24_usize, route(), 0..16);
    (listeners, routes).prop_map(|(listeners, routes)| {
        let mut model = Model::default();
        let gateway = Gateway {
            namespace: "ns".into(),
            name: "gw".into(),
            addresses: vec![],
            client_certificate: None,
        };
        model.gateways.insert(gateway_id(), Arc::new(gateway));
        let secret = Secret::Certificate { chain: "".into(), key: PrivateKey::new("") };
        model.secrets.insert(SecretId::new("secret/ns/tls"), Arc::new(secret));
        for (n, hostname) in listeners {
            model.listeners.insert(listener_id(n), Arc::new(listener(n, hostname)));
        }
        for (n, mut route) in routes {
            fit(&mut route, &model);
            if !route.attachments.is_empty() {
                model.routes.insert(RouteId::new(format!("route/{n}")), Arc::new(route));
            }
        }
        model
    })
}

fn listener(n: usize, hostname: HostPattern) -> Listener {
    let (port, spoken) = LISTENERS[n];
    let tls = || TlsTermination {
        certificates: vec![SecretId::new("secret/ns/tls")],
        client_validation: None,
    };
    let protocol = match spoken {
        Spoken::Http => ListenerProtocol::Http,
        Spoken::Https => ListenerProtocol::Https(tls()),
        Spoken::Passthrough => ListenerProtocol::TlsPassthrough,
        Spoken::Terminate => ListenerProtocol::TlsTerminate(tls()),
        Spoken::Tcp => ListenerProtocol::Tcp,
        Spoken::Udp => ListenerProtocol::Udp,
    };
    Listener { gateway: gateway_id(), name: format!("{n}").into(), port, hostname, protocol }
}

/// Takes away attachments to listeners that are not there or speak another language.
fn fit(route: &mut Route, model: &Model) {
    let http = matches!(route.rule, Rule::Http(_));
    route.attachments.retain(|attachment| {
        model.listeners.get(&attachment.listener).is_some_and(|listener| {
            let speaks_http =
                matches!(listener.protocol, ListenerProtocol::Http | ListenerProtocol::Https(_));
            speaks_http == http
        })
    });
}

fn route() -> impl Strategy<Value = Route> {
    let rule = prop_oneof![
        4 => vec(http_match(), 1..4).prop_map(http_rule),
        1 => rank().prop_map(|rank| Rule::Stream(StreamRule {
            rank,
            backends: vec![],
            load_balancing: LoadBalancing::RoundRobin,
            ip_access: IpAccess::default(),
        })),
    ];
    let listener = (0..LISTENERS.len()).prop_map(listener_id);
    (vec(attachment(listener), 1..5), rule).prop_map(|(attachments, rule)| Route {
        origin: Origin {
            kind: "HTTPRoute".into(),
            namespace: "ns".into(),
            name: "r".into(),
            rule: 0,
            rule_name: None,
            generation: 1,
        },
        attachments,
        rule,
    })
}

fn http_rule(matches: Vec<HttpMatch>) -> Rule {
    Rule::Http(Box::new(HttpRule {
        matches,
        dialect: Default::default(),
        ip_access: IpAccess::default(),
        rate_limits: vec![],
        cors: None,
        action: HttpAction::Fail(Failure { status: 500, reason: "".into() }),
        response_headers: Default::default(),
    }))
}

/// An attachment to a listener under one host or two.
pub(crate) fn attachment(
    listener: impl Strategy<Value = ListenerId>,
) -> impl Strategy<Value = Attachment> {
    let host = (pattern(), option::of(pattern())).prop_map(|(pattern, own)| {
        // The route's own hostname ranks, and not the intersection with the listener's.
        let rank = own.as_ref().unwrap_or(&pattern).rank();
        AttachedHost { pattern, rank }
    });
    (listener, vec(host, 1..3)).prop_map(|(listener, hosts)| Attachment { listener, hosts })
}

/// Few patterns that overlap in every way.
pub(crate) fn pattern() -> impl Strategy<Value = HostPattern> {
    select(&["*", "x", "a.x", "b.a.x", "*.x", "?.x", "*.a.x", "?.a.x", "[::1]"][..])
        .prop_map(|text| HostPattern::parse(text).expect("a pattern"))
}

/// Hosts that those patterns match, and some that none does.
pub(crate) fn host() -> impl Strategy<Value = String> {
    select(
        &["", "x", "a.x", "b.x", "b.a.x", "c.a.x", "c.b.a.x", "ax", ".x", ".a.x", "y", "[::1]"][..],
    )
    .prop_map(str::to_owned)
}

/// One alternative of a rule.
pub(crate) fn http_match() -> impl Strategy<Value = HttpMatch> {
    let few = |field| vec(field, 0..2);
    let methods = btree_set(select(&["GET", "POST", "get"][..]), 0..3)
        .prop_map(|methods| methods.into_iter().map(Arc::from).collect::<Vec<Arc<str>>>());
    // Matches with nothing but a path are what collides most.
    let plain = (path_match(), rank()).prop_map(|(path, rank)| HttpMatch {
        path,
        methods: vec![],
        headers: vec![],
        query: vec![],
        cookies: vec![],
        clients: vec![],
        rank,
    });
    let full = (
        path_match(),
        methods,
        few(field(&["x", "y"])),
        few(field(&["q", "a b", "é", "%"])),
        few(field(&["c", "d"])),
        networks(),
        rank(),
    );
    let full = full.prop_map(|(path, methods, headers, query, cookies, clients, rank)| HttpMatch {
        path,
        methods,
        headers,
        query,
        cookies,
        clients,
        rank,
    });
    prop_oneof![plain, full]
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    let text = |values: &'static [&'static str]| select(values).prop_map(Arc::from);
    prop_oneof![
        4 => text(&["/", "/a", "/a/", "/a/b", "/A", "/ab"]).prop_map(PathMatch::Exact),
        4 => text(&["/", "/a", "/a/b", "/A", "/ab", "/é"]).prop_map(PathMatch::Prefix),
        2 => text(&["/", "/a", "/a/", "/ab", "/é", ""]).prop_map(PathMatch::StringPrefix),
        2 => regex(&["/a.*", "/[ab]", "/(a|ab)", ".*", "(?i)/a"]).prop_map(PathMatch::Regex),
        1 => text(&["/", "/a", "/ab"]).prop_map(PathMatch::ExactIgnoreCase),
        1 => text(&["/", "/a", "/a/b"]).prop_map(PathMatch::PrefixIgnoreCase),
    ]
}

/// Canonical paths that those matches match, and some that none does.
pub(crate) fn path() -> impl Strategy<Value = String> {
    let paths = [
        "/", "/a", "/A", "/a/", "/a/b", "/A/B", "/a/b/c", "/ab", "/aB/c", "/b", "/é", "/éa", "*",
        "",
    ];
    select(paths.to_vec()).prop_map(str::to_owned)
}

fn regex(values: &'static [&'static str]) -> impl Strategy<Value = Pattern> {
    select(values).prop_map(|text| Pattern::parse(text).expect("a pattern"))
}

fn field(names: &'static [&'static str]) -> impl Strategy<Value = FieldMatch> {
    let text = || select(&["", "1", "2", "12", "1,2", "é"][..]).prop_map(Arc::from);
    let value = prop_oneof![
        3 => text().prop_map(ValueMatch::Exact),
        1 => text().prop_map(ValueMatch::Prefix),
        1 => text().prop_map(ValueMatch::Suffix),
        1 => text().prop_map(ValueMatch::Contains),
        1 => regex(&["1|12", "1.*", "[0-9]*"]).prop_map(ValueMatch::Regex),
        1 => Just(ValueMatch::Present),
    ];
    (select(names).prop_map(Arc::from), value, any::<bool>())
        .prop_map(|(name, value, negate)| FieldMatch { name, value, negate })
}

/// One network or none.
pub(crate) fn networks() -> impl Strategy<Value = Vec<IpNet>> {
    let network = select(&["10.0.0.0/8", "0.0.0.0/0", "::1/128", "2001:db8::/32"][..]);
    vec(network.prop_map(|text| text.parse().expect("a network")), 0..2)
}

/// Ranks of which many are equal in their first keys and some altogether.
pub(crate) fn rank() -> impl Strategy<Value = Rank> {
    let key = || select(vec![0, 0, 1, u32::MAX]);
    let specificity = [(); 5].map(|()| key());
    (0..2_u8, specificity, 0..2_i64, select(&["ns/a", "ns/b"][..]), 0..2_u32, 0..3_u32).prop_map(
        |(class, specificity, created, object, rule, position)| Rank {
            class,
            specificity,
            created,
            object: object.into(),
            rule,
            position,
        },
    )
}

/// Requests in canonical form.
pub(crate) fn probe() -> impl Strategy<Value = Probe> {
    let values = ["", "1", "2", "12", "é"];
    let header = (select(vec!["x", "y"]), select(values.to_vec()))
        .prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    let jars = ["c=1", "d=2; c=1", "c=2;c=1", "c", "c=; d=12", " c=1,2 ", "C=1", "c=a=1", ";;"];
    let cookie = select(jars.to_vec()).prop_map(|jar| ("cookie".to_owned(), jar.to_owned()));
    let queries = [
        "",
        "q=1",
        "q=1&q=2",
        "q=2&q=1",
        "q",
        "a+b=1",
        "a%20b=%31",
        "Q=1",
        "q=%31%",
        "q=%C3%A9",
        "q=%ff",
        "%C3%A9=12",
        "%=1",
        "%25=1",
        "q=1,2",
        "&&q=12",
        "q=1=2",
        "q=%3",
    ];
    let clients = ["10.1.1.1", "192.0.2.1", "::1", "::ffff:10.1.1.1"];
    let client = select(clients.to_vec()).prop_map(|text| text.parse().expect("an address"));
    (
        host(),
        path(),
        option::of(select(queries.to_vec()).prop_map(str::to_owned)),
        select(vec!["GET", "POST", "get", "PUT"]).prop_map(str::to_owned),
        (vec(header, 0..3), vec(cookie, 0..2))
            .prop_map(|(headers, cookies)| [headers, cookies].concat()),
        option::of(client),
    )
        .prop_map(|(host, path, query, method, headers, client)| Probe {
            host,
            path,
            query,
            method,
            headers,
            client,
        })
}

/// A model and what it becomes in a row of small changes: routes and listeners put, changed, gone.
pub(crate) fn history() -> impl Strategy<Value = Vec<Model>> {
    let change = (routing(), any::<Index>(), any::<Index>(), 0..4_u8);
    (routing(), vec(change, 1..6)).prop_map(|(first, changes)| {
        let mut models = vec![first];
        for (other, at, from, kind) in changes {
            let last = models.last().expect("never empty").clone();
            models.push(changed(last, &other, (at, from), kind));
        }
        models
    })
}

fn changed(mut model: Model, other: &Model, (at, from): (Index, Index), kind: u8) -> Model {
    let pick = |map: &Model, index: Index| {
        let ids: Vec<RouteId> = map.routes.keys().cloned().collect();
        (!ids.is_empty()).then(|| index.get(&ids).clone())
    };
    match kind {
        // All of it.
        0 => return other.clone(),
        // A route goes.
        1 => {
            if let Some(id) = pick(&model, at) {
                model.routes.remove(&id);
            }
        }
        // A route comes or changes.
        2 => {
            if let Some(id) = pick(other, from) {
                let mut route = (*other.routes[&id]).clone();
                fit(&mut route, &model);
                let id = pick(&model, at).unwrap_or(id);
                if !route.attachments.is_empty() {
                    model.routes.insert(id, Arc::new(route));
                }
            }
        }
        // Listeners go, come and change.
        _ => {
            model.listeners.clone_from(&other.listeners);
            for (id, route) in std::mem::take(&mut model.routes) {
                let mut fitted = (*route).clone();
                fit(&mut fitted, &model);
                // The same `Arc` where nothing had to be taken away, as `translate` would.
                let route = if fitted == *route { route } else { Arc::new(fitted) };
                if !route.attachments.is_empty() {
                    model.routes.insert(id, route);
                }
            }
        }
    }
    model
}
