//! Random sets of objects over small alphabets, so that they meet: names, hosts, paths and references that
//! exist and that do not, values that are valid and that are not.

use std::collections::BTreeMap;

use fairway_api::AnyObject;
use fairway_api::kind::decode;
use fairway_translate::ObjectKey;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::case::{filled, key};

const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Gives sets of objects, each of another kind or name; most hold a Gateway and a Service that work.
pub(crate) fn world() -> impl Strategy<Value = Vec<AnyObject>> {
    (vec(object(), 0..48), option::weighted(0.8, Just(sound()))).prop_map(|(objects, sound)| {
        let all = objects.into_iter().chain(sound.into_iter().flatten());
        let by_key: BTreeMap<ObjectKey, AnyObject> = all.map(|o| (key(&o), o)).collect();
        by_key.into_values().collect()
    })
}

fn sound() -> Vec<AnyObject> {
    let metadata =
        json!({"namespace": "a", "name": "x", "labels": {"kubernetes.io/service-name": "x"}});
    let everybody = json!({"namespaces": {"from": "All"}});
    let listener = |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "HTTP", "allowedRoutes": everybody});
    let objects = [
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": metadata,
            "spec": {
                "gatewayClassName": "fairway",
                "listeners": [listener("l0", 80), listener("l1", 81)],
            },
        }),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.9"]}],
            "ports": [{"port": 8080}],
        }),
    ];
    objects.into_iter().map(|value| decode(value).unwrap()).collect()
}

/// Gives one object.
pub(crate) fn object() -> impl Strategy<Value = AnyObject> {
    let value = prop_oneof![
        4 => gateway(),
        1 => listener_set(),
        6 => http_route(),
        2 => other_route(),
        2 => traffic_route(),
        2 => ingress(),
        4 => service(),
        3 => slice(),
        2 => grant(),
        1 => policy(),
        2 => keys(),
        1 => classes(),
        2 => address_pool(),
        2 => address_claim(),
    ];
    value.prop_map(|value| {
        // The bundle comes with quotes of its own.
        let text = filled(&value.to_string().replace("\"$BUNDLE\"", "$BUNDLE"));
        decode(serde_json::from_str(&text).unwrap()).unwrap()
    })
}

fn pick(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    select(words)
}

/// Values by JSON text.
fn json_of(texts: &'static [&'static str]) -> impl Strategy<Value = Value> {
    select(texts).prop_map(|text| serde_json::from_str(text).unwrap())
}

// What is written often comes often: most of a world should be served, or little can be learned from it.
const NAMESPACES: &[&str] = &["a", "a", "b"];
const NAMES: &[&str] = &["x", "x", "y", "z"];
const HOSTS: &[&str] = &[
    "a.example.com",
    "a.example.com",
    "*.example.com",
    "*.example.com",
    "b.a.example.com",
    "*.a.example.com",
    "a b",
];
const GROUPS: &[&str] = &[GATEWAY_API, "fairway.dev"];

fn named(
    version: &'static str,
    kind: &'static str,
    spec: BoxedStrategy<Value>,
) -> BoxedStrategy<Value> {
    let metadata = (pick(NAMESPACES), pick(NAMES), 0..3_u8, 1..4_i64);
    (metadata, spec)
        .prop_map(move |((namespace, name, day, generation), spec)| {
            let mut value = json!({
                "apiVersion": version,
                "kind": kind,
                "metadata": {
                    "namespace": namespace,
                    "name": name,
                    "generation": generation,
                    "creationTimestamp": format!("2026-01-0{}T00:00:00Z", day + 1),
                },
            });
            let fields: Map<String, Value> = spec.as_object().unwrap().clone();
            value.as_object_mut().unwrap().extend(fields);
            value
        })
        .boxed()
}

fn listeners() -> impl Strategy<Value = Value> {
    let protocol = json_of(&[
        r#"{"protocol": "HTTP"}"#,
        r#"{"protocol": "HTTP"}"#,
        r#"{"protocol": "HTTP"}"#,
        r#"{"protocol": "HTTP"}"#,
        r#"{"protocol": "HTTP"}"#,
        r#"{"protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "x"}]}}"#,
        r#"{"protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "y", "namespace": "b"}]}}"#,
        r#"{"protocol": "TLS", "tls": {"mode": "Passthrough"}}"#,
        r#"{"protocol": "TCP"}"#,
        r#"{"protocol": "UDP"}"#,
        r#"{"protocol": "SCTP"}"#,
    ]);
    let from = json_of(&[
        "null",
        r#"{"namespaces": {"from": "All"}}"#,
        r#"{"namespaces": {"from": "All"}}"#,
        r#"{"namespaces": {"from": "All"}}"#,
        r#"{"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "t"}}}}"#,
        r#"{"namespaces": {"from": "Some"}, "kinds": [{"kind": "HTTPRoute"}, {"kind": "TCPRoute"}]}"#,
    ]);
    let ports = select(&[80, 80, 80, 81, 81, 82, 443, 443, 0][..]);
    let one = (protocol, from, option::weighted(0.3, pick(HOSTS)), ports);
    vec(one, 1..4).prop_map(|listeners| {
        let one = |(index, (mut listener, from, host, port)): (usize, (Value, Value, _, i32))| {
            listener["name"] = json!(format!("l{index}"));
            listener["port"] = json!(port);
            listener["hostname"] = json!(host);
            listener["allowedRoutes"] = from;
            listener
        };
        Value::Array(listeners.into_iter().enumerate().map(one).collect())
    })
}

fn gateway() -> BoxedStrategy<Value> {
    let addresses = json_of(&[
        "[]",
        "[]",
        "[]",
        "[]",
        r#"[{"value": "192.0.2.1"}]"#,
        r#"[{"value": "192.0.2.1"}, {}]"#,
        r#"[{"type": "Hostname", "value": "a.b"}]"#,
    ]);
    let tls = json_of(&[
        "null",
        "null",
        "null",
        r#"{"backend": {"clientCertificateRef": {"name": "x"}}}"#,
        r#"{"frontend": {"default": {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "x"}]}}}}"#,
    ]);
    let sets = json_of(&["null", r#"{"namespaces": {"from": "All"}}"#]);
    let spec = (
        listeners(),
        addresses,
        tls,
        sets,
        pick(&["fairway", "fairway", "fairway", "fairway", "other"]),
    );
    let spec = spec.prop_map(|(listeners, addresses, tls, sets, class)| {
        json!({"spec": {
            "gatewayClassName": class,
            "ingressClasses": ["i"],
            "listeners": listeners,
            "addresses": addresses,
            "tls": tls,
            "allowedListeners": sets,
        }})
    });
    let spec = spec.boxed();
    prop_oneof![
        3 => named("gateway.networking.k8s.io/v1", "Gateway", spec.clone()),
        1 => named("fairway.dev/v1alpha1", "Gateway", spec),
    ]
    .boxed()
}

fn listener_set() -> BoxedStrategy<Value> {
    let spec = (listeners(), parent()).prop_map(|(listeners, mut parent)| {
        parent.as_object_mut().unwrap().remove("kind");
        json!({"spec": {"parentRef": parent, "listeners": listeners}})
    });
    named("gateway.networking.k8s.io/v1", "ListenerSet", spec.boxed())
}

fn parent() -> impl Strategy<Value = Value> {
    let kinds = ["Gateway", "Gateway", "Gateway", "Gateway", "Gateway", "ListenerSet", "Service"];
    let kind = select(kinds.to_vec());
    let place = json_of(&["{}", "{}", "{}", r#"{"sectionName": "l1"}"#, r#"{"port": 81}"#]);
    let name = pick(&["x", "x", "x", "x", "y", "gone"]);
    let group = prop_oneof![5 => Just(None), 1 => pick(GROUPS).prop_map(Some)];
    (group, kind, option::weighted(0.3, pick(NAMESPACES)), name, place).prop_map(
        |(group, kind, namespace, name, mut parent)| {
            parent["group"] = json!(group);
            parent["kind"] = json!(kind);
            parent["namespace"] = json!(namespace);
            parent["name"] = json!(name);
            parent
        },
    )
}

fn backend() -> impl Strategy<Value = Value> {
    let name = pick(&["x", "x", "x", "x", "y", "y", "gone"]);
    let weight = select(&[1, 1, 1, 1, 1, 3, 0, -1][..]);
    let kind = prop_oneof![9 => Just("Service"), 1 => Just("Bucket")];
    (option::weighted(0.1, pick(NAMESPACES)), name, select(&[80, 80, 80, 81][..]), weight, kind).prop_map(
        |(namespace, name, port, weight, kind)| {
            json!({"kind": kind, "namespace": namespace, "name": name, "port": port, "weight": weight})
        },
    )
}

fn head(rules: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    (vec(parent(), 1..4), vec(pick(HOSTS), 0..3), rules, foreign())
        .prop_map(|(parents, hosts, rules, status)| {
            json!({
                "spec": {"parentRefs": parents, "hostnames": hosts, "rules": rules},
                "status": status,
            })
        })
        .boxed()
}

/// Statuses that objects carry already: of others, of ours from before.
fn foreign() -> impl Strategy<Value = Value> {
    json_of(&[
        "null",
        r#"{"parents": []}"#,
        r#"{"parents": [{"parentRef": {"name": "x"}, "controllerName": "example.com/other", "conditions": [
            {"type": "Accepted", "status": "False", "reason": "Pending", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}]}"#,
        r#"{"parents": [{"parentRef": {"name": "x"}, "controllerName": "fairway.dev/controller", "conditions": [
            {"type": "Accepted", "status": "True", "reason": "Accepted", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "example.com/Odd", "status": "True", "reason": "Odd", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
            {"parentRef": {"name": "former"}, "controllerName": "fairway.dev/controller", "conditions": []}]}"#,
    ])
}

fn http_rules() -> BoxedStrategy<Value> {
    let matches = json_of(&[
        "[]",
        "[]",
        r#"[{"path": {"value": "/"}}]"#,
        r#"[{"path": {"value": "/a"}}]"#,
        r#"[{"path": {"type": "Exact", "value": "/a"}}, {"method": "GET"}]"#,
        r#"[{"path": {"type": "RegularExpression", "value": "/a.*"}, "headers": [{"name": "X", "value": "1"}]}]"#,
        r#"[{"path": {"value": "wrong"}}]"#,
        r#"[{"path": {"type": "Odd"}}, {"queryParams": [{"name": "q", "value": "1"}]}]"#,
    ]);
    let filters = json_of(&[
        "[]",
        "[]",
        "[]",
        "[]",
        "[]",
        r#"[{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-A", "value": "a"}]}}]"#,
        r#"[{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]"#,
        r#"[{"type": "URLRewrite", "urlRewrite": {"hostname": "in.example.com"}}, {"type": "RequestRedirect", "requestRedirect": {}}]"#,
        r#"[{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "y", "port": 80}}}]"#,
        r#"[{"type": "Odd"}]"#,
    ]);
    let extra = json_of(&[
        "{}",
        "{}",
        "{}",
        "{}",
        r#"{"timeouts": {"request": "1s"}}"#,
        r#"{"retry": {"backoff": "odd"}}"#,
    ]);
    let rule = (matches, filters, vec(backend(), 0..3), extra);
    vec(rule, 1..4)
        .prop_map(|rules| {
            let one =
                |(matches, filters, backends, mut rule): (Value, Value, Vec<Value>, Value)| {
                    rule["matches"] = matches;
                    rule["filters"] = filters;
                    rule["backendRefs"] = json!(backends);
                    rule
                };
            Value::Array(rules.into_iter().map(one).collect())
        })
        .boxed()
}

fn http_route() -> BoxedStrategy<Value> {
    named("gateway.networking.k8s.io/v1", "HTTPRoute", head(http_rules()))
}

fn stream_rules() -> BoxedStrategy<Value> {
    let rule = vec(backend(), 0..3).prop_map(|backends| json!([{"backendRefs": backends}]));
    rule.boxed()
}

fn other_route() -> BoxedStrategy<Value> {
    const V1: &str = "gateway.networking.k8s.io/v1";
    let grpc = (json_of(&["[]", r#"[{"method": {"service": "s"}}]"#]), vec(backend(), 0..3));
    let grpc =
        grpc.prop_map(|(matches, backends)| json!([{"matches": matches, "backendRefs": backends}]));
    prop_oneof![
        named(V1, "GRPCRoute", head(grpc.boxed())),
        named(V1, "TLSRoute", head(stream_rules())),
        named(V1, "TCPRoute", head(stream_rules())),
        named(V1, "UDPRoute", head(stream_rules())),
    ]
    .boxed()
}

fn traffic_route() -> BoxedStrategy<Value> {
    let extra = json_of(&[
        "{}",
        r#"{"protocol": "TCP"}"#,
        r#"{"protocol": "GRPC"}"#,
        r#"{"protocol": "Odd"}"#,
        r#"{"hostnameWildcard": "SingleLabel"}"#,
        r#"{"defaults": {"ipDeny": ["10.0.0.0/8"]}}"#,
    ]);
    let spec = (head(http_rules()), extra).prop_map(|(mut value, extra)| {
        let extra = extra.as_object().unwrap().clone();
        value["spec"].as_object_mut().unwrap().extend(extra);
        value
    });
    named("fairway.dev/v1alpha1", "TrafficRoute", spec.boxed())
}

fn ingress() -> BoxedStrategy<Value> {
    let class = option::of(pick(&["i", "i", "other"]));
    let tls = json_of(&["[]", r#"[{"hosts": ["a.example.com"], "secretName": "x"}]"#]);
    let path =
        (pick(&["/", "/a", "wrong"]), pick(&["Prefix", "Exact", "Odd"]), pick(&["x", "gone"]));
    let path = path.prop_map(|(path, kind, name)| {
        let backend = json!({"service": {"name": name, "port": {"number": 80}}});
        json!({"path": path, "pathType": kind, "backend": backend})
    });
    let rule = (option::of(pick(HOSTS)), vec(path, 0..3))
        .prop_map(|(host, paths)| json!({"host": host, "http": {"paths": paths}}));
    let default = json_of(&["null", r#"{"service": {"name": "y", "port": {"name": "p"}}}"#]);
    let spec = (class, tls, vec(rule, 0..3), default).prop_map(|(class, tls, rules, default)| {
        json!({"spec": {"ingressClassName": class, "tls": tls, "rules": rules, "defaultBackend": default}})
    });
    named("networking.k8s.io/v1", "Ingress", spec.boxed())
}

fn service() -> BoxedStrategy<Value> {
    let spec = json_of(&[
        r#"{"spec": {"ports": [{"port": 80}]}}"#,
        r#"{"spec": {"ports": [{"port": 80}]}}"#,
        r#"{"spec": {"ports": [{"port": 80}, {"port": 81, "appProtocol": "kubernetes.io/h2c"}]}}"#,
        r#"{"spec": {"ports": [{"name": "p", "port": 80}, {"name": "q", "port": 81, "appProtocol": "kubernetes.io/h2c"}]}}"#,
        r#"{"spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 81, "appProtocol": "odd"}]}}"#,
        r#"{"spec": {"type": "ExternalName", "externalName": "a.b", "ports": [{"port": 80}]}}"#,
    ]);
    named("v1", "Service", spec.boxed())
}

fn slice() -> BoxedStrategy<Value> {
    let endpoints = (pick(NAMES), any::<bool>(), 1..4_u8, pick(&["", "", "p"]));
    let spec = endpoints.prop_map(|(service, ready, last, port)| {
        json!({
            "addressType": "IPv4",
            "service": service,
            "endpoints": [{"addresses": [format!("10.0.0.{last}")], "conditions": {"ready": ready}}],
            "ports": [{"name": port, "port": 8080}],
        })
    });
    let labelled = |mut value: Value| {
        let service = value.as_object_mut().unwrap().remove("service").unwrap();
        value["metadata"]["labels"] = json!({"kubernetes.io/service-name": service});
        value
    };
    named("discovery.k8s.io/v1", "EndpointSlice", spec.boxed()).prop_map(labelled).boxed()
}

fn grant() -> BoxedStrategy<Value> {
    let kind = json_of(&[
        r#"{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}"#,
        r#"{"group": "gateway.networking.k8s.io", "kind": "Gateway"}"#,
        r#"{"group": "fairway.dev", "kind": "TrafficRoute"}"#,
    ]);
    let to = json_of(&[
        r#"[{"group": "", "kind": "Service"}]"#,
        r#"[{"group": "", "kind": "Secret"}]"#,
        r#"[{"group": "", "kind": "Service", "name": "x"}]"#,
    ]);
    let spec = (kind, pick(NAMESPACES), to).prop_map(|(mut from, namespace, to)| {
        from["namespace"] = json!(namespace);
        json!({"spec": {"from": [from], "to": to}})
    });
    named("gateway.networking.k8s.io/v1", "ReferenceGrant", spec.boxed())
}

fn policy() -> BoxedStrategy<Value> {
    let validation = json_of(&[
        r#"{"hostname": "a.example.com", "wellKnownCACertificates": "System"}"#,
        r#"{"hostname": "a.example.com", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "x"}]}"#,
        r#"{"hostname": "a b", "wellKnownCACertificates": "System"}"#,
    ]);
    let section = option::of(Just("p"));
    let spec = (validation, pick(NAMES), section).prop_map(|(validation, name, section)| {
        let target = json!({"group": "", "kind": "Service", "name": name, "sectionName": section});
        json!({"spec": {"targetRefs": [target], "validation": validation}})
    });
    named("gateway.networking.k8s.io/v1", "BackendTLSPolicy", spec.boxed())
}

fn keys() -> BoxedStrategy<Value> {
    let secret = json_of(&[
        r#"{"type": "kubernetes.io/tls", "data": {"tls.crt": "$CERTIFICATE", "tls.key": "$KEY"}}"#,
        r#"{"type": "kubernetes.io/tls", "data": {"tls.crt": "$CERTIFICATE", "tls.key": "$KEY"}}"#,
        r#"{"type": "kubernetes.io/tls", "data": {"tls.crt": "$CERTIFICATE", "tls.key": "$KEY"}}"#,
        r#"{"type": "kubernetes.io/tls", "data": {"tls.crt": "$CERTIFICATE", "tls.key": "$OTHER_KEY"}}"#,
        r#"{"type": "Opaque", "data": {}}"#,
    ]);
    let bundle = json_of(&[r#"{"data": {"ca.crt": "$BUNDLE"}}"#, r#"{"data": {"ca.crt": "odd"}}"#]);
    prop_oneof![named("v1", "Secret", secret.boxed()), named("v1", "ConfigMap", bundle.boxed()),]
        .boxed()
}

fn classes() -> BoxedStrategy<Value> {
    let class = pick(&["fairway.dev/controller", "example.com/other"]).prop_map(|controller| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "other"},
            "spec": {"controllerName": controller},
        })
    });
    let default = pick(&["true", "false"]).prop_map(|default| {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {
                "name": "i",
                "annotations": {"ingressclass.kubernetes.io/is-default-class": default},
            },
            "spec": {"controller": "fairway.dev/ingress"},
        })
    });
    let namespace = (pick(NAMESPACES), pick(&["t", "u"])).prop_map(|(name, team)| {
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"team": team}},
        })
    });
    prop_oneof![class, default, namespace].boxed()
}

fn address_pool() -> impl Strategy<Value = Value> {
    let ranges = json_of(&[
        r#"["127.64.0.0/30"]"#,
        r#"["127.64.0.2-127.64.0.9", "10.9.0.1"]"#,
        r#"["10.9.0.0/29", "fd00::/126"]"#,
        r#"["shop"]"#,
    ]);
    let who = json_of(&[
        "{}",
        r#"{"namespaces": ["a"], "priority": 3}"#,
        r#"{"namespaceSelector": {"matchLabels": {"team": "blue"}}, "autoAssign": false}"#,
    ]);
    (pick(NAMES), 0..3_u8, ranges, who).prop_map(|(name, day, ranges, mut spec)| {
        spec["ranges"] = ranges;
        json!({
            "apiVersion": "fairway.dev/v1alpha1",
            "kind": "AddressPool",
            "metadata": {
                "name": name,
                "creationTimestamp": format!("2026-01-0{}T00:00:00Z", day + 1),
            },
            "spec": spec,
        })
    })
}

fn address_claim() -> impl Strategy<Value = Value> {
    let address = pick(&["127.64.0.1", "127.64.0.2", "10.9.0.1", "fd00::1"]);
    (address, pick(GROUPS), pick(NAMESPACES), pick(NAMES), pick(&["1", "2"])).prop_map(
        |(address, group, namespace, name, uid)| {
            let owner = json!({
                "group": group, "kind": "Gateway", "namespace": namespace, "name": name, "uid": uid,
            });
            json!({
                "apiVersion": "fairway.dev/v1alpha1",
                "kind": "AddressClaim",
                "metadata": {"name": address.replace(':', "-")},
                "spec": {"address": address, "owner": owner},
            })
        },
    )
}
