//! Objects that an API server may accept and that make no sense, drawn by a seed: dangling references, empty
//! lists, odd hosts and ports, foreign kinds, huge weights, certificates that are none.

use fairway_api::kind::Kind;
use serde_json::{Value, json};

/// Namespace of all of them.
pub(super) const NAMESPACE: &str = "fuzz";
/// How many Gateways of our class there may be: each has proxies.
const GATEWAYS: u64 = 3;

const HOSTS: &[&str] = &[
    "a.example",
    "*.example",
    "*.a.b.example",
    "xn--nxasmq6b.example",
    "first.example",
    "x",
    "*.com",
    "0",
    "1.2.3.4",
    "a..b",
    "UPPER.example",
    "*",
    "*.*.example",
    "a.example.",
    "-a.example",
    "ex ample",
    "",
];
const NAMES: &[&str] = &["echo", "none", "fuzz-0", "fuzz-1", "fuzz-2", "web", "a.b", "tls", "0"];
const NAMESPACES: &[&str] = &["shop", "fuzz", "nowhere", "kube-system"];
const GROUPS: &[&str] =
    &["", "gateway.networking.k8s.io", "fairway.dev", "foreign.example", "core"];
const KINDS: &[&str] =
    &["Service", "Gateway", "ListenerSet", "Widget", "HTTPRoute", "Secret", "XBackend"];
const PORTS: &[i64] = &[1, 80, 443, 8080, 10080, 65535, 0, 65536, -1];
const PATHS: &[&str] =
    &["/", "/a", "/a/b/", "/%zz", "//", "/a/../b", "a", "/\u{e9}", "/a?b", "/(", "/[a", "^/(a+)+$"];
const WORDS: &[&str] = &[
    "Exact",
    "PathPrefix",
    "RegularExpression",
    "Implementation",
    "",
    "GET",
    "x y",
    "\u{1f600}",
    "0",
    "(",
    "[^",
];
const FILTERS: &[&str] = &[
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestRedirect",
    "URLRewrite",
    "RequestMirror",
    "CORS",
    "ExtensionRef",
    "ExternalAuth",
    "Unknown",
];

/// Numbers from a seed (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Gives a number below.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("a size");
        usize::try_from(self.next() % bound).expect("less than a size")
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Prefers the first ones: of the later ones most are refused.
    fn likely<T: Copy>(&mut self, all: &[T], good: usize) -> T {
        if self.below(20) == 0 { self.of(all) } else { all[self.below(good)] }
    }

    fn maybe(&mut self) -> bool {
        self.below(2) == 0
    }

    fn many(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> Value) -> Value {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }
}

/// Gives an object: its kind, and all of it.
pub(super) fn object(random: &mut Random, number: u64) -> (Kind, Value) {
    let kinds = [
        (Kind::HttpRoute, 40),
        (Kind::GrpcRoute, 10),
        (Kind::TlsRoute, 7),
        (Kind::TcpRoute, 7),
        (Kind::UdpRoute, 5),
        (Kind::TrafficRoute, 10),
        (Kind::Ingress, 6),
        (Kind::ListenerSet, 4),
        (Kind::Service, 4),
        (Kind::EndpointSlice, 4),
        (Kind::Secret, 4),
        (Kind::BackendTlsPolicy, 3),
        (Kind::ReferenceGrant, 2),
        (Kind::XBackendTrafficPolicy, 2),
    ];
    let all: usize = kinds.iter().map(|(_, weight)| weight).sum();
    let mut at = random.below(all);
    let drawn = kinds.iter().find(|(_, weight)| {
        let here = at < *weight;
        at = at.saturating_sub(*weight);
        here
    });
    let kind = if number < GATEWAYS {
        Kind::Gateway
    } else {
        drawn.map_or(Kind::HttpRoute, |(kind, _)| *kind)
    };
    let mut object = body(kind, random);
    let version = kind.versions().first().copied().unwrap_or_default();
    let group = kind.group();
    object["apiVersion"] =
        if group.is_empty() { json!(version) } else { json!(format!("{group}/{version}")) };
    object["kind"] = json!(kind.name());
    object["metadata"] = json!({"name": format!("fuzz-{number}"), "namespace": NAMESPACE});
    if kind == Kind::EndpointSlice {
        object["metadata"]["labels"] = json!({"kubernetes.io/service-name": random.of(NAMES)});
    }
    (kind, object)
}

fn body(kind: Kind, random: &mut Random) -> Value {
    match kind {
        Kind::Gateway => json!({"spec": {
            "gatewayClassName": "fairway",
            "listeners": [
                {"name": "a", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
                listener(random, "b", 81), listener(random, "c", 82)],
        }}),
        Kind::ListenerSet => json!({"spec": {
            "parentRef": parent(random), "listeners": [listener(random, "a", 90), listener(random, "b", 91)],
        }}),
        Kind::Service => json!({"spec": {
            "type": random.of(&["ClusterIP", "ExternalName"]), "externalName": "x.example",
            "ports": random.many(2, |random| json!({"name": random.of(&["a", "b"]), "port": random.likely(PORTS, 6),
                "appProtocol": random.of(&["http", "kubernetes.io/h2c", "x/y", "kubernetes.io/wss"])})),
        }}),
        Kind::EndpointSlice => json!({
            "addressType": random.of(&["IPv4", "IPv6", "FQDN"]),
            "endpoints": random.many(3, |random| json!({
                "addresses": [random.of(&["10.9.9.9", "fd00::1", "a.example"])], "conditions": {"ready": random.maybe()}})),
            "ports": random.many(2, |random| json!({"name": random.of(&["", "a"]), "port": random.likely(PORTS, 6)})),
        }),
        Kind::Secret => json!({
            "type": random.of(&["kubernetes.io/tls", "Opaque", "foreign.example/x"]),
            "stringData": {"tls.crt": random.of(&["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]),
                "tls.key": random.of(&["", "no PEM", "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n"])},
        }),
        Kind::BackendTlsPolicy => json!({"spec": {
            "targetRefs": [{"group": random.of(GROUPS), "kind": random.of(KINDS), "name": random.of(NAMES)}],
            "validation": {"hostname": random.likely(HOSTS, 6), "caCertificateRefs":
                [{"group": random.of(GROUPS), "kind": random.of(&["ConfigMap", "Secret", "Widget"]), "name": random.of(NAMES)}]},
        }}),
        Kind::XBackendTrafficPolicy => json!({"spec": {
            "targetRefs": [{"group": random.of(GROUPS), "kind": random.of(KINDS), "name": random.of(NAMES)}],
            "retryConstraint": {"budget": {"percent": random.below(101), "interval": random.of(&["1s", "1h"])}},
        }}),
        Kind::ReferenceGrant => json!({"spec": {
            "from": [{"group": random.of(GROUPS), "kind": random.of(KINDS), "namespace": random.of(NAMESPACES)}],
            "to": [{"group": random.of(GROUPS), "kind": random.of(KINDS)}],
        }}),
        Kind::Ingress => ingress(random),
        _ => route(kind, random),
    }
}

fn listener(random: &mut Random, name: &str, port: u16) -> Value {
    let mut listener = json!({"name": name, "port": port});
    listener["protocol"] =
        json!(random.of(&["HTTP", "HTTPS", "TLS", "TCP", "UDP", "foreign.example/SPDY"]));
    if random.maybe() {
        listener["hostname"] = json!(random.likely(HOSTS, 6));
    }
    if random.maybe() {
        listener["tls"] = json!({"mode": random.of(&["Terminate", "Passthrough"]), "certificateRefs":
            [{"name": random.of(NAMES), "group": random.of(GROUPS), "kind": random.of(&["Secret", "Widget"])}]});
    }
    if random.maybe() {
        listener["allowedRoutes"] = json!({"kinds": [{"group": random.of(GROUPS), "kind": random.of(KINDS)}],
            "namespaces": {"from": random.of(&["All", "Same", "None"])}});
    }
    listener
}

fn parent(random: &mut Random) -> Value {
    let mut parent = json!({"name": random.of(&["web", "fuzz-0", "fuzz-1", "fuzz-2", "none"])});
    if random.maybe() {
        parent["namespace"] = json!(random.of(NAMESPACES));
    }
    match random.below(8) {
        0 => parent["sectionName"] = json!(random.of(&["http", "a", "b", "none"])),
        1 => parent["port"] = json!(random.likely(PORTS, 6)),
        2 => parent["kind"] = json!(random.of(KINDS)),
        3 => parent["group"] = json!(random.of(GROUPS)),
        _ => {}
    }
    parent
}

fn backend(random: &mut Random) -> Value {
    let mut backend = json!({"name": random.of(NAMES), "port": random.likely(PORTS, 6)});
    match random.below(6) {
        0 => backend["weight"] = json!(random.of(&[0, 1, 1_000_000])),
        1 => backend["namespace"] = json!(random.of(NAMESPACES)),
        2 => {
            backend["group"] = json!(random.of(GROUPS));
            backend["kind"] = json!(random.of(KINDS));
        }
        _ => {}
    }
    backend
}

fn route(kind: Kind, random: &mut Random) -> Value {
    let stream = matches!(kind, Kind::TcpRoute | Kind::UdpRoute | Kind::TlsRoute);
    let mut spec = json!({"parentRefs": random.many(3, parent)});
    if !matches!(kind, Kind::TcpRoute | Kind::UdpRoute) {
        spec["hostnames"] =
            (0..1 + random.below(3)).map(|_| json!(random.likely(HOSTS, 6))).collect();
    }
    if kind == Kind::TrafficRoute && random.maybe() {
        spec["protocol"] = json!(random.of(&["HTTP", "GRPC", "TLS", "TCP", "UDP", "QUIC"]));
    }
    let count = if stream { 1 } else { random.below(4) };
    spec["rules"] = (0..count)
        .map(|_| {
            let mut rule = json!({"backendRefs": random.many(3, backend)});
            if stream {
                rule["backendRefs"] = json!([backend(random)]);
            } else {
                rule["matches"] = random.many(2, |random| matching(kind, random));
                rule["filters"] = random.many(1, filter);
                if random.below(4) == 0 && kind != Kind::GrpcRoute {
                    rule["timeouts"] =
                        json!({"request": random.of(&["0s", "1ms", "99999h", "1x"])});
                }
            }
            rule
        })
        .collect();
    json!({"spec": spec})
}

fn matching(kind: Kind, random: &mut Random) -> Value {
    if kind == Kind::GrpcRoute {
        return json!({"method": {"service": random.of(WORDS), "method": random.of(WORDS),
            "type": random.likely(WORDS, 1)}});
    }
    json!({
        "path": {"type": random.of(&["Exact", "PathPrefix", "RegularExpression"]), "value": random.likely(PATHS, 4)},
        "headers": random.many(2, |random| json!({"name": random.of(&["a", "host", "x-1", "cookie"]),
            "type": random.of(&["Exact", "RegularExpression"]), "value": random.of(WORDS)})),
        "queryParams": random.many(1, |random| json!({"name": random.of(WORDS), "value": random.of(WORDS)})),
    })
}

fn filter(random: &mut Random) -> Value {
    let kind = random.likely(FILTERS, 7);
    let reference =
        json!({"group": random.of(GROUPS), "kind": random.of(KINDS), "name": random.of(NAMES)});
    let headers = json!({"set": [{"name": random.of(&["host", "a", "content-length"]), "value": random.of(WORDS)}],
        "remove": ["connection"]});
    let block = match kind {
        "RequestHeaderModifier" => ("requestHeaderModifier", headers),
        "ResponseHeaderModifier" => ("responseHeaderModifier", headers),
        "RequestRedirect" => (
            "requestRedirect",
            json!({"hostname": random.likely(HOSTS, 4), "port": random.likely(PORTS, 6)}),
        ),
        "URLRewrite" => (
            "urlRewrite",
            json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": random.of(PATHS)}}),
        ),
        "RequestMirror" => {
            ("requestMirror", json!({"backendRef": backend(random), "percent": random.below(101)}))
        }
        "CORS" => ("cors", json!({"allowOrigins": ["*"], "maxAge": 1 + random.below(9)})),
        _ => ("extensionRef", reference),
    };
    json!({"type": kind, block.0: block.1})
}

fn ingress(random: &mut Random) -> Value {
    json!({"spec": {
        "ingressClassName": random.of(&["fairway", "none", "nginx"]),
        "tls": random.many(1, |random| json!({"hosts": [random.likely(HOSTS, 6)], "secretName": random.of(NAMES)})),
        "rules": [{"host": random.likely(HOSTS, 4), "http": {"paths": [{
            "path": random.likely(PATHS, 4), "pathType": random.of(&["Exact", "Prefix", "ImplementationSpecific"]),
            "backend": {"service": {"name": random.of(NAMES), "port": {"number": random.likely(PORTS, 6)}}}}]}}],
    }})
}
