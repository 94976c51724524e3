//! What is refused, where it is shown, and in which words.

use super::source_directory::Directory;

const HTTP: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n";
const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n";
const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\n";

/// Checks that a file has exactly these problems, each without its `x.yaml:`.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let mut directory = Directory::with(&[("x.yaml", text)]);
    let problems = directory.problems();
    let problems: Vec<_> = problems.iter().map(|p| p.strip_prefix("x.yaml:").unwrap()).collect();
    assert_eq!(problems, expect, "{text}");
}

/// An HTTPRoute `a`, whose spec begins in line 4.
fn http(spec: &str) -> String {
    format!("{HTTP}metadata: {{name: a}}\n{spec}")
}

#[test]
fn documents_that_are_no_objects() {
    check("- 1\n- 2\n", &["1:1: is no Kubernetes object; write a map with apiVersion and kind"]);
    check("a: 1\n", &["1:1: kind: is required; add \"kind\", such as HTTPRoute"]);
    check(
        "metadata: {name: a}\nkind: HTTPRoute\n",
        &["1:1: apiVersion: is required; add \"apiVersion: gateway.networking.k8s.io/v1\""],
    );
    check(
        &format!("{HTTP}metadata:\n  namespace: a\n"),
        &["3:1: metadata.name: is required; add \"name\", as text"],
    );
}

#[test]
fn kinds_and_versions() {
    check(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoutes\nmetadata: {name: a}\n",
        &[
            "2:1: kind: there is no kind HttpRoutes in gateway.networking.k8s.io; write \"kind: HTTPRoute\"",
        ],
    );
    check(
        "apiVersion: fairway.dev/v1alpha1\nkind: HTTPRoute\nmetadata: {name: a}\n",
        &["2:1: kind: there is no kind HTTPRoute in fairway.dev; \
           write \"apiVersion: gateway.networking.k8s.io/v1\""],
    );
    check(
        "apiVersion: v1\nkind: Servcie\nmetadata: {name: a}\n",
        &[
            "2:1: warning: kind: there is no kind Servcie in the core group; write \"kind: Service\"",
        ],
    );
    check(
        "apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
        &["1:1: Ingress default/a: apiVersion: Ingress has no version \"v1beta1\", only v1; \
           write \"apiVersion: networking.k8s.io/v1\""],
    );
    // What we do not read is none of our business.
    check("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: x}\n", &[]);
    check(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a]\n",
        &[],
    );
    check("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", &[]);
}

#[test]
fn names() {
    check(
        &format!("{HTTP}metadata:\n  name: My_Shop\nspec: {{}}\n"),
        &[
            "4:3: HTTPRoute default/My_Shop: metadata.name: \"My_Shop\" is not a DNS name: at most 253 \
           lower-case letters, digits, \"-\" and \".\"; write my-shop",
        ],
    );
    check(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a.b}\nspec: {ports: [{port: 80}]}\n",
        &["3:12: Service default/a.b: metadata.name: \"a.b\" is not a DNS label: at most 63 \
           lower-case letters, digits and \"-\""],
    );
    check(
        &format!("{HTTP}metadata:\n  name: a\n  labels:\n    x: -1-\n    on: yes\nspec: {{}}\n"),
        &[
            "6:5: HTTPRoute default/a: metadata.labels.x: \"-1-\" is not a label's value: at most 63 \
             letters, digits, \"-\", \"_\", \".\"",
            "7:5: HTTPRoute default/a: metadata.labels.true: must be text, not true; \
             put it in quotes: \"yes\"",
        ],
    );
    check(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n\
         metadata: {name: a, namespace: b}\nspec: {controllerName: fairway.dev/gateway}\n",
        &[
            "3:21: warning: GatewayClass a: metadata.namespace: a GatewayClass is in no namespace; remove it",
        ],
    );
}

#[test]
fn types() {
    for (spec, expect) in [
        (
            "spec:\n  hostnames: a.example\n",
            "5:3: HTTPRoute default/a: spec.hostnames: must be a list, not the text \"a.example\"; \
             begin each entry with \"- \"",
        ),
        (
            "spec:\n  rules:\n    name: a\n",
            "5:3: HTTPRoute default/a: spec.rules: must be a list, not a map; begin each entry with \"- \"",
        ),
        (
            "spec:\n  rules:\n  - backendRefs:\n    - name: s\n      port: \"80\"\n",
            "8:7: HTTPRoute default/a: spec.rules[0].backendRefs[0].port: must be a whole number, not \
             the text \"80\"; write 80 without quotes",
        ),
        (
            "spec:\n  rules:\n  - matches:\n    - headers: [{name: a, value: 0755}]\n",
            "7:27: HTTPRoute default/a: spec.rules[0].matches[0].headers[0].value: must be text, not \
             493; put it in quotes: \"0755\"",
        ),
        (
            "spec:\n  rules:\n  - - a\n",
            "6:5: HTTPRoute default/a: spec.rules[0]: must be a map, not a list; remove the \"- \" before it",
        ),
    ] {
        check(&http(spec), &[expect]);
    }
}

#[test]
fn values() {
    for (spec, expect) in [
        (
            "spec:\n  rules:\n  - backendRefs:\n    - port: 80\n",
            "7:7: HTTPRoute default/a: spec.rules[0].backendRefs[0].name: is required; add \"name\"",
        ),
        (
            "spec:\n  rules:\n  - backendRefs:\n    - name: s\n      port: 70000\n",
            "8:7: HTTPRoute default/a: spec.rules[0].backendRefs[0].port: must be between 1 and 65535, \
             not 70000",
        ),
        (
            "spec:\n  rules:\n  - matches:\n    - method: PSOT\n",
            "7:7: HTTPRoute default/a: spec.rules[0].matches[0].method: \"PSOT\" is not one of GET, HEAD, \
             POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH; write POST",
        ),
        (
            "spec:\n  hostnames: [\"https://a.example/x\"]\n",
            "5:15: HTTPRoute default/a: spec.hostnames[0]: \"https://a.example/x\" is not a host name: \
             lower-case letters, digits, \"-\" and \".\", \"*.\" in front only; write a.example alone",
        ),
        (
            "spec:\n  rules:\n  - timeouts: {request: 10}\n",
            "6:16: HTTPRoute default/a: spec.rules[0].timeouts.request: must be text, not 10; \
             put it in quotes: \"10\"",
        ),
        (
            "spec:\n  rules:\n  - timeouts: {request: \"10\"}\n",
            "6:16: HTTPRoute default/a: spec.rules[0].timeouts.request: \"10\" is not a duration such as \
             10s, 1m30s or 500ms; write 10s",
        ),
        (
            "spec:\n  rules:\n  - matches:\n    - headers:\n      - {name: x, value: a}\n      - {name: x, value: b}\n",
            "9:9: HTTPRoute default/a: spec.rules[0].matches[0].headers[1]: entry [0] has the same name \
             \"x\"; give each entry its own name",
        ),
        (
            "spec:\n  parentRefs: [{name: \"\"}]\n",
            "5:17: HTTPRoute default/a: spec.parentRefs[0].name: must not be empty",
        ),
    ] {
        check(&http(spec), &[expect]);
    }
}

#[test]
fn rules() {
    for (spec, expect) in [
        (
            "spec:\n  rules:\n  - matches:\n    - path:\n        value: cart\n",
            "8:9: HTTPRoute default/a: spec.rules[0].matches[0].path.value: must start with \"/\"; \
             write \"/cart\"",
        ),
        (
            "spec:\n  rules:\n  - matches:\n    - path: {value: //a///b}\n",
            "7:14: HTTPRoute default/a: spec.rules[0].matches[0].path.value: must not contain \"//\"; \
             write \"/a/b\"",
        ),
        (
            "spec:\n  rules:\n  - backendRefs:\n    - name: s\n",
            "7:7: HTTPRoute default/a: spec.rules[0].backendRefs[0].port: is required for a Service; \
             add \"port\", the number of one of the Service's ports",
        ),
        (
            "spec:\n  rules:\n  - filters:\n    - type: RequestRedirect\n",
            "7:7: HTTPRoute default/a: spec.rules[0].filters[0]: filter.requestRedirect must be \
             specified for RequestRedirect filter.type",
        ),
        (
            "spec:\n  rules:\n  - timeouts: {request: 1s, backendRequest: 2s}\n",
            "6:5: HTTPRoute default/a: spec.rules[0].timeouts: backendRequest timeout cannot be longer \
             than request timeout",
        ),
        (
            "spec:\n  parentRefs: [{name: g}, {name: g}]\n",
            "5:3: HTTPRoute default/a: spec.parentRefs: sectionName or port must be unique when \
             parentRefs includes 2 or more references to the same parent",
        ),
    ] {
        check(&http(spec), &[expect]);
    }
}

#[test]
fn gateways() {
    let gateway = |listeners: &str| {
        format!(
            "{GATEWAY}metadata: {{name: g}}\nspec:\n  gatewayClassName: c\n  listeners:\n{listeners}"
        )
    };
    check(&gateway("  - {name: a, port: 80, protocol: HTTP}\n"), &[]);
    check(
        &gateway(
            "  - {name: a, port: 80, protocol: HTTP}\n  - {name: a, port: 81, protocol: HTTP}\n",
        ),
        &["8:5: Gateway default/g: spec.listeners[1]: entry [0] has the same name \"a\"; \
           give each entry its own name"],
    );
    check(
        &gateway("  - {name: a, port: 0, protocol: HTTP}\n"),
        &["7:15: Gateway default/g: spec.listeners[0].port: must be between 1 and 65535, not 0"],
    );
    check(
        &gateway("  - {name: a, port: 80, protocol: TCP, hostname: x.example}\n"),
        &["6:3: Gateway default/g: spec.listeners: hostname must not be specified for protocols \
           ['TCP', 'UDP']"],
    );
    let text = gateway("  - {name: a, port: 80, protocol: HTTP}\n  addresses:\n  - value: 1.2.3\n");
    check(
        &text,
        &[
            "9:5: Gateway default/g: spec.addresses[0].value: \"1.2.3\" is not an IPv4 address such as \
           192.0.2.1, and \"1.2.3\" is not an IPv6 address such as 2001:db8::1",
        ],
    );
}

#[test]
fn unknown_fields_are_warned_of_and_the_object_counts() {
    let text = http("spec:\n  rules:\n  - backendRef: []\n    xyzzy: 1\n  parentRef: []\n");
    let mut directory = Directory::with(&[("x.yaml", &text)]);
    let scan = directory.scan();
    assert_eq!(
        directory.lines(&scan),
        [
            "x.yaml:6:5: warning: HTTPRoute default/a: spec.rules[0].backendRef: is not a known field, \
             and does nothing; did you mean \"backendRefs\"?",
            "x.yaml:7:5: warning: HTTPRoute default/a: spec.rules[0].xyzzy: is not a known field, and \
             does nothing",
            "x.yaml:8:3: warning: HTTPRoute default/a: spec.parentRef: is not a known field, and does \
             nothing; did you mean \"parentRefs\"?",
        ]
    );
    assert_eq!(scan.objects.iter().filter(|placed| !placed.implied).count(), 1);
    assert!(scan.problems.iter().all(|problem| !problem.is_error()));
}

#[test]
fn both_releases_of_gateway_api_are_understood() {
    let old = "sessionPersistence: {sessionName: a, type: Cookie}";
    let new = "sessionPersistence: {cookie: {name: a}, type: Cookie}";
    for persistence in [old, new] {
        check(&http(&format!("spec:\n  rules:\n  - {persistence}\n")), &[]);
    }
}

#[test]
fn services() {
    let service =
        |spec: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n{spec}");
    for (spec, expect) in [
        ("  selector: {a: b}\n", "4:1: Service default/s: spec.ports: is required; add \"ports\""),
        (
            "  ports:\n  - port: 80\n  - port: 81\n    name: b\n",
            "6:5: Service default/s: spec.ports[0].name: is required where a Service has several ports; \
             add \"name\"",
        ),
        (
            "  ports:\n  - {name: a, port: 80}\n  - {name: a, port: 81}\n",
            "7:6: Service default/s: spec.ports[1].name: \"a\" is the name of two ports",
        ),
        (
            "  ports:\n  - {name: a, port: 80}\n  - {name: b, port: 80}\n",
            "7:5: Service default/s: spec.ports[1]: entry [0] has the same port 80 and protocol \"TCP\"; \
             give each entry its own port and protocol",
        ),
        (
            "  ports:\n  - {port: 80, targetPort: 99999}\n",
            "6:16: Service default/s: spec.ports[0].targetPort: must be between 1 and 65535, not 99999",
        ),
        (
            "  ports:\n  - {port: 80, targetPort: \"8080\"}\n",
            "6:16: Service default/s: spec.ports[0].targetPort: \"8080\" is text, and would be the name \
             of a port; write 8080 without quotes",
        ),
        (
            "  type: ExternalName\n",
            "4:1: Service default/s: spec.externalName: is required for type ExternalName; add \
             \"externalName\", a host name",
        ),
        (
            "  ports: [{port: 80, protcol: TCP}]\n",
            "5:22: warning: Service default/s: spec.ports[0].protcol: is not a known field, and does \
             nothing; did you mean \"protocol\"?",
        ),
    ] {
        check(&service(spec), &[expect]);
    }
    check(&service("  clusterIP: None\n"), &[]);
}

#[test]
fn secrets_and_config_maps() {
    check(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: not base64!\n",
        &["5:3: Secret default/s: data.a: is not base64; encode it, or write it as it is under \
           \"stringData\""],
    );
    check(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: x\n",
        &[
            "1:1: Secret default/s: data[tls.key]: is required for a Secret of type kubernetes.io/tls; \
           add \"tls.key\"",
        ],
    );
    check(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata:\n  a b: x\n  m: 1\n",
        &["6:3: ConfigMap default/s: data.m: must be text, not 1; put it in quotes: \"1\""],
    );
    check(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata:\n  a b: x\n",
        &[
            "5:3: ConfigMap default/s: data.a b: must consist of letters, digits, \"-\", \"_\" and \".\"",
        ],
    );
}

#[test]
fn endpoint_slices() {
    let slice = |rest: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: s}}\n{rest}"
        )
    };
    check(
        &slice("addressType: IPv4\nendpoints:\n- addresses: [10.0.0.1, \"::1\"]\n"),
        &["6:25: EndpointSlice default/s: endpoints[0].addresses[1]: \"::1\" is no IPv4 address"],
    );
    check(
        &slice("endpoints:\n- addresses: []\n"),
        &[
            "1:1: EndpointSlice default/s: addressType: is required; add \"addressType\" (IPv4, IPv6, FQDN)",
            "5:3: EndpointSlice default/s: endpoints[0].addresses: must have at least 1 entry, and has 0",
        ],
    );
}

#[test]
fn ingresses() {
    let ingress = |spec: &str| format!("{INGRESS}metadata: {{name: i}}\nspec:\n{spec}");
    let path =
        |path: &str| ingress(&format!("  rules:\n  - http:\n      paths:\n      - {path}\n"));
    let backend = "backend: {service: {name: s, port: {number: 80}}}";
    check(&path(&format!("{{path: /, pathType: Prefix, {backend}}}")), &[]);
    for (text, expect) in [
        (
            path(&format!("{{path: /, {backend}}}")),
            "8:9: Ingress default/i: spec.rules[0].http.paths[0].pathType: is required; add \"pathType\" \
             (Exact, Prefix, ImplementationSpecific)",
        ),
        (
            path(&format!("{{path: a, pathType: Prefix, {backend}}}")),
            "8:10: Ingress default/i: spec.rules[0].http.paths[0].path: must start with \"/\"; write \"/a\"",
        ),
        (
            path(&format!("{{path: /a//b, pathType: Exact, {backend}}}")),
            "8:10: Ingress default/i: spec.rules[0].http.paths[0].path: must not contain \"//\"",
        ),
        (
            path("{path: /, pathType: Prefix, backend: {}}"),
            "8:37: Ingress default/i: spec.rules[0].http.paths[0].backend: names neither a service nor a \
             resource; add \"service\"",
        ),
        (
            path("{path: /, pathType: Prefix, backend: {service: {name: s}}}"),
            "8:47: Ingress default/i: spec.rules[0].http.paths[0].backend.service.port: names no port; \
             add \"number\" or \"name\" below it",
        ),
        (
            ingress("  ingressClassName: a\n"),
            "4:1: Ingress default/i: spec: has neither rules nor a default backend; add \"rules\" or \
             \"defaultBackend\"",
        ),
        (
            ingress("  rules: [{host: 10.0.0.1}]\n"),
            "5:12: Ingress default/i: spec.rules[0].host: \"10.0.0.1\" is an IP address, not a host name; \
             leave \"host\" out, and every host will match",
        ),
    ] {
        check(&text, &[expect]);
    }
}

#[test]
fn problems_are_bounded_and_serialised() {
    let rules = "  - backendRefs: [{port: 80}]\n".repeat(16);
    let mut directory = Directory::with(&[("x.yaml", &http(&format!("spec:\n  rules:\n{rules}")))]);
    let scan = directory.scan();
    assert_eq!(scan.problems.len(), 16);
    let json = serde_json::to_value(&scan.problems[0]).unwrap();
    assert_eq!(json["line"], 6);
    assert_eq!(json["column"], 19);
    assert_eq!(json["field"], "spec.rules[0].backendRefs[0].name");
    assert_eq!(json["object"]["name"], "a");
    assert_eq!(json["severity"], "error");
    assert_eq!(json["remedy"], "add \"name\"");
}
