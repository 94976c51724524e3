//! Fairway's CRDs. What a kind shares with Gateway API takes its schema, with all its rules, from the
//! upstream CRD; what it adds takes its schema from the types in [`crate::own`] and the rules here. So an
//! HTTPRoute's spec is a valid TrafficRoute's spec, by construction.
//!
//! `cargo xtask crds` writes [`files`] to `charts/fairway/crds`, and a test holds the two together.

mod address;
mod schema;
mod upstream;

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::own::proxy::{LoadBalancerSpec, Marks, ProxySpec};
use crate::own::traffic_route::{HostnameWildcard, Plugins, TrafficFieldMatch, TrafficProtocol};
use crate::route::FieldMatchType;
use crate::route::filter::{DirectResponse, FilterType};
use crate::route::grpc::GrpcMethodMatch;
use crate::route::http::PathMatchType;
use crate::status::ProxiesStatus;
use crate::vendor::Version;

use schema::{Rule, add_rules, at, described, extend, schema_of, strings, words};

/// The head of each generated file.
const HEAD: &str = "# Written by `cargo xtask crds` from crates/api; do not edit.\n";

/// Gives Fairway's CRDs: the name of each file, and its YAML.
///
/// # Panics
/// Never, as the tests prove: the upstream schemas that it starts from are part of the binary.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let file = |(kind, definition): (Kind, Value)| {
        let yaml = serde_saphyr::to_string(&definition).expect("plain JSON is writable as YAML");
        (format!("{}_{}.yaml", kind.group(), kind.plural()), format!("{HEAD}{yaml}"))
    };
    all().into_iter().map(file).collect()
}

/// Gives Fairway's CRDs as objects.
///
/// # Panics
/// See [`files`].
#[must_use]
pub fn all() -> Vec<(Kind, Value)> {
    vec![
        (Kind::FairwayGateway, fairway_gateway()),
        (Kind::GatewayProfile, gateway_profile()),
        (Kind::TrafficRoute, traffic_route()),
        (Kind::AddressPool, address::pool()),
        (Kind::AddressClaim, address::claim()),
    ]
}

fn fairway_gateway() -> Value {
    let mut schema = upstream::schema(Version::V1_6_3, "gateways");
    schema.insert("description".into(), GATEWAY_HELP.into());
    let spec = at(&mut schema, "spec");
    spec.insert("description".into(), "What is wanted.".into());
    if let Some(Value::Array(required)) = spec.get_mut("required") {
        required.retain(|field| field != "gatewayClassName");
    }
    let fields = at(&mut schema, "spec.properties");
    for served_by_nobody in ["gatewayClassName", "infrastructure", "defaultScope"] {
        fields.shift_remove(served_by_nobody);
    }
    let marks = "Labels and annotations of every object made for it.";
    fields.insert("infrastructure".into(), described(schema_of::<Marks>(), marks));
    fields.extend(fleet_fields("it"));
    let classes = strings("Names of the IngressClasses whose Ingresses it serves.", 16, 253);
    fields.insert("ingressClasses".into(), Value::Object(classes));
    let status = at(&mut schema, "status.properties");
    let accessible = "Whether it has an address, an open listener and a ready proxy.";
    status.insert("accessible".into(), json!({"type": "boolean", "description": accessible}));
    let attached = "How many routes hang on it, counted once for each listener.";
    let attached = json!({"type": "integer", "format": "int32", "description": attached});
    status.insert("attachedRoutes".into(), attached);
    let proxies = described(schema_of::<ProxiesStatus>(), "How its proxies are.");
    status.insert("proxies".into(), proxies);
    let names = Names { short: "fgw", singular: "fairwaygateway", list: "GatewayList" };
    definition(Kind::FairwayGateway, &names, &schema, &GATEWAY_COLUMNS)
}

/// What Fairway's Gateway and GatewayProfile have in common.
fn fleet_fields(whose: &str) -> Map<String, Value> {
    let flag = |text: String| json!({"type": "boolean", "description": text});
    let proxy = format!("Which proxy serves {whose}, and how it runs.");
    let reached = format!("How the proxies of {whose} are reached.");
    let paused = "Whether the proxies are left as they are, whatever changes; what they serve still follows.";
    let retained = format!("Whether the proxies stay when the Gateway is deleted; {ADOPTED}");
    let fields = [
        ("proxy", described(schema_of::<ProxySpec>(), &proxy)),
        ("loadBalancer", described(schema_of::<LoadBalancerSpec>(), &reached)),
        ("paused", flag(paused.to_owned())),
        ("retainOnDelete", flag(retained)),
    ];
    fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn gateway_profile() -> Value {
    let schema = json!({
        "description": PROFILE_HELP,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "description": "What such Gateways are like.",
                "type": "object",
                "properties": fleet_fields("such Gateways"),
            },
        },
    });
    let Value::Object(schema) = schema else { unreachable!("an object is written above") };
    let names = Names { short: "fgp", singular: "gatewayprofile", list: "GatewayProfileList" };
    definition(Kind::GatewayProfile, &names, &schema, &PROFILE_COLUMNS)
}

fn traffic_route() -> Value {
    let mut schema = upstream::schema(Version::V1_6_3, "httproutes");
    schema.insert("description".into(), ROUTE_HELP.into());
    let spec = at(&mut schema, "spec");
    spec.insert("description".into(), "What is wanted.".into());
    add_rules(spec, &PROTOCOL_RULES);
    let fields = at(&mut schema, "spec.properties");
    fields.shift_remove("useDefaultGateways");
    let wildcard = "How many labels a leading `*.` of a hostname stands for.";
    fields
        .insert("hostnameWildcard".into(), words(wildcard, HostnameWildcard::WORDS, "MultiLabel"));
    fields.insert("protocol".into(), words("What is routed.", TrafficProtocol::WORDS, "HTTP"));
    let defaults = "Plugin blocks for all rules that do not have them. A block counts as a whole.";
    fields.insert("defaults".into(), described(schema_of::<Plugins>(), defaults));
    let rule = at(&mut schema, "spec.properties.rules.items");
    add_rules(rule, &ANSWER_RULES);
    extend(rule, &schema_of::<Plugins>());
    newer_names(rule);
    route_filters(at(&mut schema, "spec.properties.rules.items.properties.filters.items"));
    route_match(at(&mut schema, "spec.properties.rules.items.properties.matches.items"));
    let names = Names { short: "tr", singular: "trafficroute", list: "TrafficRouteList" };
    definition(Kind::TrafficRoute, &names, &schema, &ROUTE_COLUMNS)
}

/// Takes in what v1.7.0 allows and v1.6.3 does not, so that a rule of either is a rule here.
fn newer_names(rule: &mut Map<String, Value>) {
    at(rule, "retry.attempts").insert("minimum".into(), 0.into());
    let mut newer = upstream::schema(Version::V1_7_0, "httproutes");
    let newer = at(&mut newer, "spec.properties.rules.items.sessionPersistence");
    // Its rules demand `cookie` or `header`; here the older names do as well.
    newer.shift_remove("x-kubernetes-validations");
    let older = at(rule, "sessionPersistence");
    extend(older, newer);
    add_rules(older, &SESSION_RULES);
}

fn route_filters(filter: &mut Map<String, Value>) {
    at(filter, "type").insert("enum".into(), json!(FilterType::WORDS));
    let answer = described(schema_of::<DirectResponse>(), "An answer given without a backend.");
    at(filter, "properties").insert("directResponse".into(), answer);
    add_rules(filter, &DIRECT_RESPONSE_RULES);
}

fn route_match(matched: &mut Map<String, Value>) {
    let path = at(matched, "path");
    at(path, "type").insert("enum".into(), json!(PathMatchType::WORDS));
    let case =
        json!({"type": "boolean", "description": "Whether case counts; it does when absent."});
    at(path, "properties").insert("caseSensitive".into(), case);
    if let Some(Value::Array(rules)) = path.get_mut("x-kubernetes-validations") {
        // The enum above knows the fourth type as well.
        rules.retain(|rule| rule["rule"] != KNOWN_PATH_TYPES);
        rules.iter_mut().filter(|rule| is_for_string_prefix(rule)).for_each(widen);
    }
    add_rules(path, &PATH_RULES);
    for fields in ["headers", "queryParams"] {
        let field = at(matched, &format!("{fields}.items"));
        at(field, "type").insert("enum".into(), json!(FieldMatchType::WORDS));
        field.insert("required".into(), json!(["name"]));
        let negate = json!({"type": "boolean", "description": "Turns the answer round."});
        at(field, "properties").insert("negate".into(), negate);
        add_rules(field, &FIELD_RULES);
    }
    let mut cookie = schema_of::<TrafficFieldMatch>();
    add_rules(&mut cookie, &FIELD_RULES);
    let fields = at(matched, "properties");
    let cookies = json!({
        "description": "Its cookies, all of them.", "type": "array", "maxItems": 16,
        "items": cookie,
    });
    fields.insert("cookies".into(), cookies);
    let method = fields.get("method").and_then(|method| method.get("enum")).cloned();
    let methods = json!({
        "description": "Its method, any of these; besides `method`.", "type": "array", "maxItems": 9,
        "items": {"type": "string", "enum": method},
    });
    fields.insert("methods".into(), methods);
    let mut networks = strings("Networks, one of which its client must be in.", 64, 64);
    add_rules(&mut networks, &NETWORK_RULES);
    fields.insert("clientCIDRs".into(), Value::Object(networks));
    let call = "Its service and method, for protocol GRPC.";
    fields.insert("grpc".into(), described(schema_of::<GrpcMethodMatch>(), call));
}

/// What no path holds, no prefix of one can hold. An ending is another matter: `/a/.` begins `/a/.well-known`.
fn is_for_string_prefix(rule: &Value) -> bool {
    rule["rule"].as_str().is_some_and(|rule| !rule.contains("endsWith"))
}

fn widen(rule: &mut Value) {
    for field in ["rule", "message"] {
        let text = rule[field].as_str().unwrap_or_default();
        let text = text.replace("['Exact','PathPrefix']", "['Exact','PathPrefix','StringPrefix']");
        rule[field] =
            text.replace("'Exact', 'PathPrefix'", "'Exact', 'PathPrefix', 'StringPrefix'").into();
    }
}

struct Names {
    short: &'static str,
    singular: &'static str,
    list: &'static str,
}

/// A column of `kubectl get`: name, type, path. One whose name begins with `+` is for `-o wide`.
type Column = (&'static str, &'static str, &'static str);

fn definition(kind: Kind, names: &Names, schema: &Map<String, Value>, columns: &[Column]) -> Value {
    let column = |(name, kind, path): &Column| match name.strip_prefix('+') {
        Some(wide) => json!({"name": wide, "type": kind, "jsonPath": path, "priority": 1}),
        None => json!({"name": name, "type": kind, "jsonPath": path}),
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", kind.plural(), kind.group())},
        "spec": {
            "group": kind.group(),
            "names": {
                "categories": ["fairway"],
                "kind": kind.name(),
                "listKind": names.list,
                "plural": kind.plural(),
                "shortNames": [names.short],
                "singular": names.singular,
            },
            "scope": if kind.is_namespaced() { "Namespaced" } else { "Cluster" },
            "versions": [{
                "name": kind.versions()[0],
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns.iter().map(column).collect::<Vec<_>>(),
                "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
            }],
        },
    })
}

const GATEWAY_HELP: &str = "An entry point for traffic: its ports and hosts, the proxy that serves them, \
    and the Ingress classes it answers for. Routes attach to it with `group: fairway.dev` in parentRefs.";

const PROFILE_HELP: &str = "What Gateways of Gateway API are like that name it in `parametersRef`, of \
    their class or of their own.";

const ROUTE_HELP: &str = "Which requests, calls or connections go where, and what is done to them: \
    HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute field for field, and more. An HTTPRoute's spec \
    means the same here.";

const ADOPTED: &str =
    "without it they serve what they served last, and a Gateway of the same name takes them over.";

const GATEWAY_COLUMNS: [Column; 10] = [
    ("Address", "string", ".status.addresses[*].value"),
    ("Accepted", "string", ".status.conditions[?(@.type==\"Accepted\")].status"),
    ("Programmed", "string", ".status.conditions[?(@.type==\"Programmed\")].status"),
    ("Proxies", "string", ".status.proxies.summary"),
    ("Routes", "integer", ".status.attachedRoutes"),
    ("Age", "date", ".metadata.creationTimestamp"),
    ("+Classes", "string", ".spec.ingressClasses"),
    ("+Accessible", "boolean", ".status.accessible"),
    ("+Reason", "string", ".status.conditions[?(@.type==\"Programmed\")].reason"),
    ("+Message", "string", ".status.conditions[?(@.type==\"Programmed\")].message"),
];

const PROFILE_COLUMNS: [Column; 6] = [
    ("Engine", "string", ".spec.proxy.engine"),
    ("Replicas", "integer", ".spec.proxy.replicas"),
    ("At-most", "integer", ".spec.proxy.autoscaling.maxReplicas"),
    ("Paused", "boolean", ".spec.paused"),
    ("Age", "date", ".metadata.creationTimestamp"),
    ("+Image", "string", ".spec.proxy.image"),
];

const ROUTE_COLUMNS: [Column; 9] = [
    ("Hostnames", "string", ".spec.hostnames"),
    ("Parents", "string", ".spec.parentRefs[*].name"),
    ("Accepted", "string", ".status.parents[*].conditions[?(@.type==\"Accepted\")].status"),
    ("Resolved", "string", ".status.parents[*].conditions[?(@.type==\"ResolvedRefs\")].status"),
    ("Live", "string", ".status.parents[*].conditions[?(@.type==\"Live\")].status"),
    ("Protocol", "string", ".spec.protocol"),
    ("Age", "date", ".metadata.creationTimestamp"),
    ("+Reason", "string", ".status.parents[*].conditions[?(@.type==\"Accepted\")].reason"),
    ("+Since", "string", ".status.parents[*].conditions[?(@.type==\"Live\")].message"),
];

const KNOWN_PATH_TYPES: &str =
    "self.type in ['Exact','PathPrefix'] || self.type == 'RegularExpression'";

const PATH_RULES: [Rule; 1] = [(
    "!has(self.caseSensitive) || self.caseSensitive || self.type in ['Exact','PathPrefix']",
    "caseSensitive: false is for types Exact and PathPrefix",
)];

const FIELD_RULES: [Rule; 1] = [(
    "has(self.value) || (has(self.type) && self.type in ['Present','Absent'])",
    "value is needed unless type is Present or Absent",
)];

const NETWORK_RULES: [Rule; 1] = [(
    "self.all(network, isIP(network) || isCIDR(network))",
    "write addresses or networks such as 10.0.0.0/8",
)];

const DIRECT_RESPONSE_RULES: [Rule; 2] = [
    (
        "!(has(self.directResponse) && self.type != 'DirectResponse')",
        "directResponse must not be set unless type is DirectResponse",
    ),
    (
        "!(!has(self.directResponse) && self.type == 'DirectResponse')",
        "directResponse must be set when type is DirectResponse",
    ),
];

const ANSWER_RULES: [Rule; 1] = [(
    "!(has(self.filters) && self.filters.exists(f, f.type == 'DirectResponse')) || \
     ((!has(self.backendRefs) || size(self.backendRefs) == 0) && \
     !self.filters.exists(f, f.type == 'RequestRedirect' || f.type == 'URLRewrite'))",
    "a rule with a DirectResponse filter has no backendRefs, no redirect and no rewrite",
)];

const SESSION_RULES: [Rule; 4] = [
    (
        "!has(self.cookie) || !has(self.cookie.lifetimeType) || \
         self.cookie.lifetimeType != 'Permanent' || has(self.absoluteTimeout)",
        "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent",
    ),
    ("!has(self.cookie) || self.type == 'Cookie'", "cookie must be nil if type is not Cookie"),
    ("!has(self.header) || self.type == 'Header'", "header must be nil if type is not Header"),
    (
        "!(has(self.cookie) || has(self.header)) || \
         !(has(self.cookieConfig) || has(self.sessionName))",
        "write either cookie and header, or sessionName and cookieConfig",
    ),
];

const PROTOCOL_RULES: [Rule; 5] = [
    (
        "!(self.protocol in ['TLS','TCP','UDP']) || !has(self.rules) || \
         self.rules.all(r, !has(r.filters) || size(r.filters) == 0)",
        "rules of protocols TLS, TCP and UDP have no filters",
    ),
    (
        "!(self.protocol in ['TLS','TCP','UDP']) || !has(self.rules) || \
         self.rules.all(r, !has(r.retry) && !has(r.rateLimit) && !has(r.sessionPersistence))",
        "rules of protocols TLS, TCP and UDP have no retry, rateLimit and sessionPersistence",
    ),
    (
        "!(self.protocol in ['TLS','TCP','UDP']) || !has(self.rules) || \
         self.rules.all(r, !has(r.matches) || r.matches.all(m, !has(m.headers) && \
         !has(m.queryParams) && !has(m.cookies) && !has(m.method) && !has(m.methods) && \
         (!has(m.path) || (m.path.type == 'PathPrefix' && m.path.value == '/'))))",
        "matches of protocols TLS, TCP and UDP have clientCIDRs and nothing else",
    ),
    (
        "!(self.protocol in ['TCP','UDP']) || !has(self.hostnames) || size(self.hostnames) == 0",
        "routes of protocols TCP and UDP have no hostnames",
    ),
    (
        "self.protocol == 'GRPC' || !has(self.rules) || \
         self.rules.all(r, !has(r.matches) || r.matches.all(m, !has(m.grpc)))",
        "matches[].grpc is for protocol GRPC",
    ),
];
