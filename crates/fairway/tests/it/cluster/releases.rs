//! Both releases of Gateway API that are known, and what the newer one adds: with the CRDs of either the same
//! objects are served the same. Upstream's own suite of v1.7.0 is not run; docs/conformance says what is instead.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fairway_api::vendor::Version;
use serde_json::Value;

use super::Cluster;
use super::foreign::entries_of_others_stay;

/// The objects of the comparison. The Gateway's name is the longest that there is.
const WORLD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: LONGEST, namespace: shop}
spec:
  gatewayClassName: fairway
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: one-host, port: 80, protocol: HTTP, hostname: cart.own.example}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: shop}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - name: echo
        image: fairway
        args: [echo, --listen, '0.0.0.0:8080']
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080, appProtocol: kubernetes.io/h2c}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: flaky, namespace: shop}
spec:
  selector: {matchLabels: {app: flaky}}
  template:
    metadata: {labels: {app: flaky}}
    spec:
      containers:
      - name: flaky
        image: echo-basic
        env: [{name: HTTP_PORT, value: '3000'}]
        readinessProbe: {httpGet: {path: /health, port: 3000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: flaky, namespace: shop}
spec:
  selector: {app: flaky}
  ports: [{port: 80, targetPort: 3000}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: retries, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: http}]
  hostnames: [retry.example]
  rules:
  - name: three-times
    matches: [{path: {value: /retry/three}}]
    retry: {codes: [500], attempts: 3}
    backendRefs: [{name: flaky, port: 80}]
  - name: by-default
    matches: [{path: {value: /retry/default}}]
    retry: {codes: [500]}
    backendRefs: [{name: flaky, port: 80}]
  - name: refused-connections
    matches: [{path: {value: /half}}]
    retry: {attempts: 100}
    backendRefs: [{name: half, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: half, namespace: shop}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: sealed, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: http}]
  hostnames: [sealed.example]
  rules: [{backendRefs: [{name: sealed, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: sealed, namespace: shop}
spec: {selector: {app: echo}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: sealed, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: sealed}]
  validation: {hostname: sealed.example, wellKnownCACertificates: System}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: rewrites, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: http}]
  hostnames: [rewrite.example]
  rules:
  - matches: [{path: {value: /old}}]
    backendRefs:
    - name: echo
      port: 80
      filters:
      - type: URLRewrite
        urlRewrite: {hostname: inner.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: http}]
  hostnames: [grpc.example]
  rules:
  - matches: [{method: {service: shop.Cart}}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: x-set, value: ours}]
        add: [{name: x-add, value: ours}]
        remove: [x-remove]
    backendRefs: [{name: echo, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a-wide, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: one-host}]
  hostnames: ['*.own.example']
  rules:
  - matches: [{path: {value: /deep/er}}, {path: {value: /other}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-route, value: wide}]}}]
    backendRefs: [{name: echo, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: b-narrow, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: one-host}]
  hostnames: [cart.own.example]
  rules:
  - matches: [{path: {value: /deep}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-route, value: narrow}]}}]
    backendRefs: [{name: echo, port: 80}]
";

/// A session, in the words of a release.
const SESSION: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: session, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: http}]
  hostnames: [session.example]
  rules:
  - sessionPersistence: WORDS
    backendRefs: [{name: echo, port: 80}]
";

/// One endpoint that works, and one that nobody listens at.
const HALF: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: half, namespace: shop, labels: {kubernetes.io/service-name: half}}
addressType: IPv4
ports: [{name: http, port: 3000}]
endpoints: [{addresses: [WORKS]}, {addresses: [REFUSES]}]
";

/// Two rules of one name.
const SAME_NAMES: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: same-names, namespace: shop}
spec:
  parentRefs: [{name: web}]
  rules:
  - {name: one, backendRefs: [{name: echo, port: 80}]}
  - {name: one, backendRefs: [{name: echo, port: 80}]}
";

/// What v1.6.3 does not let in.
const NEVER: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: never, namespace: shop}
spec:
  parentRefs: [{name: LONGEST, sectionName: http}]
  hostnames: [never.example]
  rules:
  - retry: {codes: [500], attempts: 0}
    backendRefs: [{name: flaky, port: 80}]
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XTelemetryPolicy
metadata: {name: traces, namespace: shop}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: LONGEST}]
  tracing: {mode: Enabled, provider: {backendRef: {name: echo, port: 80}}}
";

fn longest() -> String {
    "l".repeat(253)
}

fn named(yaml: &str) -> String {
    yaml.replace("LONGEST", &longest())
}

struct Asked<'a> {
    cluster: &'a Cluster,
    address: IpAddr,
}

impl Asked<'_> {
    /// Gives the status, and what arrived at the backend.
    fn ask(&self, host: &str, path: &str, more: &[&str]) -> (String, Value) {
        let mut curl = self.cluster.command("curl");
        curl.args(["--silent", "--max-time", "5", "--write-out", "\n%{http_code}"]);
        curl.args(["--header", &format!("host: {host}")]).args(more);
        let output = curl.arg(format!("http://{}{path}", self.address)).output().expect("curl");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
        (status.to_owned(), serde_json::from_str(body).unwrap_or_default())
    }

    fn status(&self, host: &str, path: &str, more: &[&str]) -> String {
        self.ask(host, path, more).0
    }

    /// Gives the statuses that occur when one of two endpoints refuses connections.
    fn halves(&self, more: &[&str]) -> String {
        let one = |_| self.status("retry.example", "/half", more);
        let statuses: BTreeSet<String> = (0..10).map(one).collect();
        statuses.into_iter().collect::<Vec<_>>().join(" ")
    }

    /// Gives a session's cookie without its value.
    fn cookie(&self) -> String {
        let mut curl = self.cluster.command("curl");
        curl.args(["--silent", "--max-time", "5", "--output", "/dev/null", "--dump-header", "-"]);
        curl.args(["--header", "host: session.example"]);
        let output = curl.arg(format!("http://{}/", self.address)).output().expect("curl");
        let head = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let (name, rest) = cookie.and_then(|cookie| cookie.split_once('=')).unwrap_or_default();
        let attributes = rest.split_once(';').map_or("", |(_, attributes)| attributes);
        format!("{name};{attributes}")
    }

    /// Everything that both releases have to answer alike, each with a name.
    fn all(&self) -> Vec<(&'static str, String)> {
        let flaky = |host: &str, path: &str, more: &[&str]| self.status(host, path, more);
        let (_, rewritten) = self.ask("rewrite.example", "/old/shoes", &[]);
        let headers = ["--header", "x-set: theirs", "--header", "x-add: theirs"];
        let sent = [&headers[..], &["--header", "x-remove: theirs"]].concat();
        let (_, call) = self.ask("grpc.example", "/shop.Cart/List", &sent);
        let header = |name: &str| call["headers"][name].to_string();
        let own =
            |path| self.ask("cart.own.example", path, &[]).1["headers"]["x-route"].to_string();
        let thrice = "/retry/three?responseCode=500&succeedAfter";
        let default = "/retry/default?responseCode=500&succeedAfter";
        let broken = "/retry/default?succeedAfter=1&uuid";
        vec![
            ("3 of 3 tries more", flaky("retry.example", &format!("{thrice}=3&uuid=a"), &[])),
            ("a 4th is none", flaky("retry.example", &format!("{thrice}=4&uuid=b"), &[])),
            ("1 try more by default", flaky("retry.example", &format!("{default}=1&uuid=c"), &[])),
            ("a 2nd is none", flaky("retry.example", &format!("{default}=2&uuid=d"), &[])),
            ("a broken GET", flaky("retry.example", &format!("{broken}=e"), &[])),
            ("a broken POST", flaky("retry.example", &format!("{broken}=f"), &["-d", "x"])),
            ("path of a backend", rewritten["path"].to_string()),
            ("host of a backend", rewritten["host"].to_string()),
            ("x-set", header("x-set")),
            ("x-add", header("x-add")),
            ("x-remove", header("x-remove")),
            ("own hostname before a longer path", own("/deep/er")),
            ("what the narrow route leaves", own("/other")),
            ("GETs, half of them refused", self.halves(&[])),
            ("POSTs, half of them refused", self.halves(&["-d", "x"])),
            ("cookie of a session", self.cookie()),
        ]
    }
}

fn features(cluster: &Cluster) -> String {
    cluster.until("the class", |cluster| {
        let supported = "{.status.conditions[?(@.type=='SupportedVersion')].status}";
        cluster.get("gatewayclass/fairway", supported) == "True"
    });
    cluster.get("gatewayclass/fairway", "{.status.supportedFeatures[*].name}")
}

fn answers(version: Version, name: &'static str) -> Vec<(&'static str, String)> {
    let cluster = Cluster::with(name, version);
    cluster.apply(&named(WORLD));
    let newer = version == Version::V1_7_0;
    let words = if newer { "{cookie: {name: s}}" } else { "{sessionName: s}" };
    cluster.apply(&named(SESSION).replace("WORDS", words));
    let features = features(&cluster);
    let has = |feature: &str| features.split(' ').any(|name| name == feature);
    assert_eq!(has("HTTPRouteRetryCodes"), newer, "{features}");
    assert_eq!(has("HTTPRouteRetry"), !newer, "{features}");
    assert_eq!(has("GatewayRouteHostnameIntersectionPrecedence"), newer, "{features}");

    let refused = cluster.lab.apply(SAME_NAMES).expect_err("two rules of one name").to_string();
    assert!(refused.contains("must be unique"), "{refused}");
    if newer {
        cluster.apply(&named(NEVER));
    }

    let gateway = format!("gateway/{}", longest());
    cluster.until("the Gateway", |cluster| {
        cluster.get(&gateway, "{.status.conditions[?(@.type=='Programmed')].status}") == "True"
    });
    let routes = ["retries", "rewrites", "a-wide", "b-narrow", "session"]
        .map(|it| format!("httproute/{it}"));
    for route in routes.iter().map(String::as_str).chain(["grpcroute/calls"]) {
        cluster.until(route, |cluster| {
            let live = "{.status.parents[0].conditions[?(@.type=='Live')].status}";
            cluster.get(route, live) == "True"
        });
    }
    cluster.until("the backends", |cluster| {
        cluster.get("deployments", "{.items[*].status.readyReplicas}").split(' ').count() == 3
    });
    let pod = |app: &str| {
        let path = format!("{{.items[?(@.metadata.labels.app=='{app}')].status.podIP}}");
        cluster.get("pods", &path)
    };
    cluster.apply(&HALF.replace("WORKS", &pod("flaky")).replace("REFUSES", &pod("echo")));
    let address = cluster.get(&gateway, "{.status.addresses[0].value}");
    let asked = Asked { cluster: &cluster, address: address.parse().expect("an address") };
    cluster.until("both backends to be known", |_| {
        asked.status("rewrite.example", "/old", &[]) == "200"
            && asked.status("retry.example", "/retry/three?succeedAfter=0&uuid=z", &[]) == "200"
            && asked.status("retry.example", "/half", &[]) == "200"
    });
    let answers = asked.all();
    if newer {
        let path = "/retry/?responseCode=500&succeedAfter=1&uuid=n";
        assert_eq!(asked.status("never.example", path, &[]), "500", "no attempt is none");
        let refused = "{.status.ancestors[0].conditions[?(@.type=='Accepted')].reason}";
        cluster.until("the policy to be refused", |cluster| {
            cluster.get("xtelemetrypolicy/traces", refused) == "UnsupportedValue"
        });
    }
    entries_of_others_stay(&cluster, &gateway);
    answers
}

#[test]
fn both_releases_are_served_the_same() {
    let old = answers(Version::V1_6_3, "test-releases");
    let new = answers(Version::V1_7_0, "test-releases");
    assert_eq!(old, new);
    let expected = [
        ("3 of 3 tries more", "200"),
        ("a 4th is none", "500"),
        ("1 try more by default", "200"),
        ("a 2nd is none", "500"),
        ("a broken GET", "200"),
        ("a broken POST", "502"),
        ("path of a backend", "\"/new/shoes\""),
        ("host of a backend", "\"inner.example\""),
        ("x-set", "[\"ours\"]"),
        ("x-add", "[\"theirs\",\"ours\"]"),
        ("x-remove", "null"),
        ("own hostname before a longer path", "[\"narrow\"]"),
        ("what the narrow route leaves", "[\"wide\"]"),
        ("GETs, half of them refused", "200"),
        ("POSTs, half of them refused", "200"),
        ("cookie of a session", "s; path=/; httponly; samesite=lax"),
    ];
    assert_eq!(new, expected.map(|(name, answer)| (name, answer.to_owned())));
}
