//! Random models that use every field. Models in which rules get into each other's way come from
//! [`routing`](super::routing). Both files need nothing but `fairway_model` and `proptest`, so that
//! another crate's tests can take them in by path.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fairway_model::cluster::{
    Authorities, BackendProtocol, BackendTls, Endpoint, EndpointState, SubjectAltName,
};
use fairway_model::filter::{
    Cors, DirectResponse, HeaderField, HeaderModifier, Mirror, OriginMatch, PathRewrite, Redirect,
    Scheme, UrlRewrite,
};
use fairway_model::gateway::{
    ClientValidation, ClientValidationMode, ListenerProtocol, TlsTermination,
};
use fairway_model::policy::{
    HashSource, IpAccess, LoadBalancing, Millis, PassiveHealth, RateLimit, RateLimitKey, Retry,
    RetryOn, SessionCarrier, SessionPersistence, Timeouts,
};
use fairway_model::route::{
    BackendTarget, Failure, Forward, HttpAction, HttpDialect, HttpRule, Origin, Rule, StreamRule,
    WeightedBackend, WeightedTarget,
};
use fairway_model::secret::{PrivateKey, Secret};
use fairway_model::{
    Cluster, ClusterId, Endpoints, Gateway, GatewayId, Listener, ListenerId, Model, Route, RouteId,
    SecretId,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::routing::{attachment, http_match, networks, pattern, rank};

/// Models that may use every feature there is. Every Id in them points somewhere.
pub(crate) fn model() -> impl Strategy<Value = Model> {
    let entries = (
        btree_map(0..6_usize, route(), 0..6),
        vec(gateway(), 2),
        vec(listener(), 4),
        vec(cluster(), 3),
        vec(endpoints(), 3),
        vec(secret(), 3),
        // What is kept of what nobody names.
        any::<u16>(),
    );
    entries.prop_map(|(routes, gateways, listeners, clusters, endpoints, secrets, keep)| {
        let mut model = Model::default();
        let id = |kind: &str, n: usize| format!("{kind}/{n}");
        model.routes = arcs(routes.into_iter().map(|(n, v)| (RouteId::new(id("route", n)), v)));
        model.gateways = arcs(numbered(gateways, gateway_id));
        model.listeners = arcs(numbered(listeners, listener_id));
        model.clusters = arcs(numbered(clusters, cluster_id));
        model.endpoints = arcs(numbered(endpoints, cluster_id));
        model.secrets = arcs(numbered(secrets, secret_id));
        drop_unnamed(&mut model, keep);
        model
    })
}

/// Takes entries that nothing names out, as the bits of `keep` say, so that entries of every kind
/// come and go between two models.
fn drop_unnamed(model: &mut Model, keep: u16) {
    let mut bits = (0..16).map(|bit| keep & (1 << bit) != 0).cycle();
    let mut drop_one = |model: &mut Model, take: &dyn Fn(&mut Model)| {
        if bits.next().unwrap_or_default() {
            return;
        }
        let before = model.clone();
        take(model);
        if model.check().is_err() {
            *model = before;
        }
    };
    for n in 0..4 {
        drop_one(model, &|model| drop(model.listeners.remove(&listener_id(n))));
        drop_one(model, &|model| drop(model.endpoints.remove(&cluster_id(n))));
        drop_one(model, &|model| drop(model.clusters.remove(&cluster_id(n))));
        drop_one(model, &|model| drop(model.gateways.remove(&gateway_id(n))));
        drop_one(model, &|model| drop(model.secrets.remove(&secret_id(n))));
    }
}

fn gateway_id(n: usize) -> GatewayId {
    GatewayId::new(format!("gateway/{n}"))
}

fn listener_id(n: usize) -> ListenerId {
    ListenerId::new(format!("listener/{n}"))
}

fn cluster_id(n: usize) -> ClusterId {
    ClusterId::new(format!("cluster/{n}"))
}

fn secret_id(n: usize) -> SecretId {
    SecretId::new(format!("secret/{n}"))
}

fn numbered<K, V>(values: Vec<V>, id: impl Fn(usize) -> K) -> impl Iterator<Item = (K, V)> {
    values.into_iter().enumerate().map(move |(n, value)| (id(n), value))
}

fn arcs<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> std::collections::BTreeMap<K, Arc<V>> {
    entries.map(|(id, value)| (id, Arc::new(value))).collect()
}

/// Texts that a serialised form may stumble over among them.
fn text() -> impl Strategy<Value = Arc<str>> {
    select(&["", "a", "b", "shop", "Ä\"\\\n\u{0}\u{2028}", "${x}'; #", "https://x.test:1"][..])
        .prop_map(Arc::from)
}

fn millis() -> impl Strategy<Value = Millis> {
    prop_oneof![1..5_000_u64, Just(u64::MAX)].prop_map(|n| Millis::new(n).expect("not zero"))
}

fn secret_ref() -> impl Strategy<Value = SecretId> {
    (0..3_usize).prop_map(secret_id)
}

fn gateway() -> impl Strategy<Value = Gateway> {
    (text(), text(), vec(any::<IpAddr>(), 0..3), option::of(secret_ref())).prop_map(
        |(namespace, name, addresses, client_certificate)| Gateway {
            namespace,
            name,
            addresses,
            client_certificate,
        },
    )
}

fn listener() -> impl Strategy<Value = Listener> {
    ((0..2_usize).prop_map(gateway_id), text(), any::<u16>(), pattern(), protocol()).prop_map(
        |(gateway, name, port, hostname, protocol)| Listener {
            gateway,
            name,
            port,
            hostname,
            protocol,
        },
    )
}

fn protocol() -> impl Strategy<Value = ListenerProtocol> {
    prop_oneof![
        Just(ListenerProtocol::Http),
        termination().prop_map(ListenerProtocol::Https),
        termination().prop_map(ListenerProtocol::TlsTerminate),
        Just(ListenerProtocol::TlsPassthrough),
        Just(ListenerProtocol::Tcp),
        Just(ListenerProtocol::Udp),
    ]
}

fn termination() -> impl Strategy<Value = TlsTermination> {
    let modes = [ClientValidationMode::Required, ClientValidationMode::InsecureFallback];
    let validation = (vec(secret_ref(), 1..3), select(modes.to_vec()))
        .prop_map(|(authorities, mode)| ClientValidation { authorities, mode });
    (vec(secret_ref(), 1..3), option::of(validation)).prop_map(
        |(certificates, client_validation)| TlsTermination { certificates, client_validation },
    )
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let protocols =
        [BackendProtocol::Http, BackendProtocol::H2c, BackendProtocol::Tcp, BackendProtocol::Udp];
    let authorities = prop_oneof![
        Just(Authorities::System),
        vec(secret_ref(), 1..3).prop_map(Authorities::Bundles)
    ];
    let name =
        prop_oneof![text().prop_map(SubjectAltName::Dns), text().prop_map(SubjectAltName::Uri)];
    let tls = (text(), authorities, vec(name, 0..3)).prop_map(
        |(hostname, authorities, subject_alt_names)| BackendTls {
            hostname,
            authorities,
            subject_alt_names,
        },
    );
    (text(), text(), any::<u16>(), select(protocols.to_vec()), option::of(tls)).prop_map(
        |(namespace, service, port, protocol, tls)| Cluster {
            namespace,
            service,
            port,
            protocol,
            tls,
        },
    )
}

fn endpoints() -> impl Strategy<Value = Endpoints> {
    let state = select(vec![EndpointState::Ready, EndpointState::Draining]);
    // Not any `SocketAddr`: flow labels and scopes of IPv6 are not part of the written form.
    let address = any::<(IpAddr, u16)>().prop_map(SocketAddr::from);
    let entries = btree_map(address, state, 0..4);
    entries.prop_map(|entries| {
        let list = entries.into_iter().map(|(address, state)| Endpoint { address, state });
        Endpoints(list.collect())
    })
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![
        (text(), text())
            .prop_map(|(chain, key)| Secret::Certificate { chain, key: PrivateKey::new(key) }),
        text().prop_map(|bundle| Secret::Authorities { bundle }),
    ]
}

fn route() -> impl Strategy<Value = Route> {
    let origin = (text(), text(), text(), any::<u32>(), option::of(text()), any::<i64>()).prop_map(
        |(kind, namespace, name, rule, rule_name, generation)| Origin {
            kind,
            namespace,
            name,
            rule,
            rule_name,
            generation,
        },
    );
    let rule = prop_oneof![
        4 => http_rule().prop_map(|rule| Rule::Http(Box::new(rule))),
        1 => stream_rule().prop_map(Rule::Stream),
    ];
    (origin, vec(attachment((0..4_usize).prop_map(listener_id)), 1..3), rule)
        .prop_map(|(origin, attachments, rule)| Route { origin, attachments, rule })
}

fn http_rule() -> impl Strategy<Value = HttpRule> {
    let dialect = select(vec![HttpDialect::Plain, HttpDialect::Grpc]);
    let parts = (
        vec(http_match(), 1..3),
        dialect,
        ip_access(),
        vec(rate_limit(), 0..2),
        option::of(cors()),
        action(),
        headers(),
    );
    parts.prop_map(|(matches, dialect, ip_access, rate_limits, cors, action, response_headers)| {
        HttpRule { matches, dialect, ip_access, rate_limits, cors, action, response_headers }
    })
}

fn stream_rule() -> impl Strategy<Value = StreamRule> {
    let backend =
        (any::<u32>(), target()).prop_map(|(weight, target)| WeightedTarget { weight, target });
    (rank(), vec(backend, 0..3), load_balancing(), ip_access()).prop_map(
        |(rank, backends, load_balancing, ip_access)| StreamRule {
            rank,
            backends,
            load_balancing,
            ip_access,
        },
    )
}

fn ip_access() -> impl Strategy<Value = IpAccess> {
    (networks(), networks()).prop_map(|(allow, deny)| IpAccess { allow, deny })
}

fn rate_limit() -> impl Strategy<Value = RateLimit> {
    let key = prop_oneof![
        Just(RateLimitKey::ClientIp),
        text().prop_map(RateLimitKey::Header),
        Just(RateLimitKey::Constant)
    ];
    (key, any::<u32>(), millis(), any::<u32>(), any::<u16>()).prop_map(
        |(key, requests, period, burst, status)| RateLimit { key, requests, period, burst, status },
    )
}

fn cors() -> impl Strategy<Value = Cors> {
    let origin = prop_oneof![
        Just(OriginMatch::Any),
        text().prop_map(OriginMatch::Exact),
        (text(), text()).prop_map(|(prefix, suffix)| OriginMatch::Wildcard { prefix, suffix }),
    ];
    let texts = || vec(text(), 0..2);
    (vec(origin, 0..3), any::<bool>(), texts(), texts(), texts(), any::<u32>()).prop_map(
        |(allow_origins, allow_credentials, allow_methods, allow_headers, expose_headers, age)| {
            Cors {
                allow_origins,
                allow_credentials,
                allow_methods,
                allow_headers,
                expose_headers,
                max_age: age,
            }
        },
    )
}

fn headers() -> impl Strategy<Value = HeaderModifier> {
    let field = || (text(), text()).prop_map(|(name, value)| HeaderField { name, value });
    (vec(field(), 0..2), vec(field(), 0..2), vec(text(), 0..2))
        .prop_map(|(set, add, remove)| HeaderModifier { set, add, remove })
}

fn action() -> impl Strategy<Value = HttpAction> {
    let scheme = select(vec![Scheme::Http, Scheme::Https]);
    let redirect = (
        option::of(scheme),
        option::of(text()),
        option::of(any::<u16>()),
        path_rewrite(),
        300..309_u16,
    )
        .prop_map(|(scheme, hostname, port, path, status)| {
            HttpAction::Redirect(Redirect { scheme, hostname, port, path, status })
        });
    let respond =
        (200..600_u16, option::of(text()), text()).prop_map(|(status, content_type, body)| {
            HttpAction::Respond(DirectResponse { status, content_type, body })
        });
    prop_oneof![
        4 => forward().prop_map(|forward| HttpAction::Forward(Box::new(forward))),
        1 => redirect,
        1 => respond,
        1 => failure().prop_map(HttpAction::Fail),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    (500..600_u16, text()).prop_map(|(status, reason)| Failure { status, reason })
}

fn target() -> impl Strategy<Value = BackendTarget> {
    prop_oneof![
        3 => (0..3_usize).prop_map(|n| BackendTarget::Cluster(cluster_id(n))),
        1 => failure().prop_map(BackendTarget::Fail),
    ]
}

fn path_rewrite() -> impl Strategy<Value = Option<PathRewrite>> {
    option::of(prop_oneof![
        text().prop_map(PathRewrite::ReplaceFull),
        text().prop_map(PathRewrite::ReplacePrefix)
    ])
}

fn rewrite() -> impl Strategy<Value = Option<UrlRewrite>> {
    option::of(
        (option::of(text()), path_rewrite())
            .prop_map(|(hostname, path)| UrlRewrite { hostname, path }),
    )
}

fn mirrors() -> impl Strategy<Value = Vec<Mirror>> {
    let mirror = (target(), 0..3_u32, 3..5_u32)
        .prop_map(|(target, numerator, denominator)| Mirror { target, numerator, denominator });
    vec(mirror, 0..2)
}

fn forward() -> impl Strategy<Value = Forward> {
    let backend = (any::<u32>(), target(), headers(), headers(), rewrite(), mirrors()).prop_map(
        |(weight, target, request_headers, response_headers, rewrite, mirrors)| WeightedBackend {
            weight,
            target,
            request_headers,
            response_headers,
            rewrite,
            mirrors,
        },
    );
    let parts = (
        vec(backend, 1..3),
        headers(),
        rewrite(),
        mirrors(),
        timeouts(),
        option::of(retry()),
        option::of(session()),
        load_balancing(),
        option::of(passive_health()),
    );
    parts.prop_map(
        |(
            backends,
            request_headers,
            rewrite,
            mirrors,
            timeouts,
            retry,
            session,
            balance,
            health,
        )| {
            Forward {
                backends,
                request_headers,
                rewrite,
                mirrors,
                timeouts,
                retry,
                session,
                load_balancing: balance,
                passive_health: health,
            }
        },
    )
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    let time = || option::of(millis());
    (time(), time(), time(), time()).prop_map(|(request, backend_request, connect, idle)| {
        Timeouts { request, backend_request, connect, idle }
    })
}

fn retry() -> impl Strategy<Value = Retry> {
    let failures =
        [RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Timeout, RetryOn::RefusedStream];
    let on = proptest::sample::subsequence(failures.to_vec(), 0..=4);
    let parts = (
        1..5_u32,
        vec(400..600_u16, 0..3),
        on,
        option::of(millis()),
        option::of(millis()),
        any::<bool>(),
    );
    parts.prop_map(|(attempts, codes, on, backoff, per_try_timeout, non_idempotent)| Retry {
        attempts,
        codes,
        on,
        backoff,
        per_try_timeout,
        non_idempotent,
    })
}

fn session() -> impl Strategy<Value = SessionPersistence> {
    let carrier = prop_oneof![
        (text(), any::<bool>())
            .prop_map(|(path, permanent)| SessionCarrier::Cookie { path, permanent }),
        Just(SessionCarrier::Header)
    ];
    (text(), carrier, option::of(millis()), option::of(millis())).prop_map(
        |(name, carrier, absolute_timeout, idle_timeout)| SessionPersistence {
            name,
            carrier,
            absolute_timeout,
            idle_timeout,
        },
    )
}

fn load_balancing() -> impl Strategy<Value = LoadBalancing> {
    let source = prop_oneof![
        text().prop_map(HashSource::Header),
        text().prop_map(HashSource::Cookie),
        Just(HashSource::ClientIp),
        Just(HashSource::Path),
        text().prop_map(HashSource::QueryParam),
    ];
    prop_oneof![
        Just(LoadBalancing::RoundRobin),
        Just(LoadBalancing::LeastRequest),
        Just(LoadBalancing::Random),
        source.prop_map(LoadBalancing::ConsistentHash),
    ]
}

fn passive_health() -> impl Strategy<Value = PassiveHealth> {
    (option::of(1..9_u32), option::of(1..9_u32), millis(), millis(), 1..=100_u8).prop_map(
        |(consecutive_5xx, consecutive_gateway_errors, interval, base, max_ejection_percent)| {
            PassiveHealth {
                consecutive_5xx,
                consecutive_gateway_errors,
                interval,
                base_ejection_time: base,
                max_ejection_percent,
            }
        },
    )
}
