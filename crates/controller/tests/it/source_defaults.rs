//! What is filled in, and what is stamped.

use super::source_directory::{Directory, written};
use serde_json::{Value, json};

/// Scans one object, and gives it as JSON.
#[track_caller]
fn admit(text: &str) -> Value {
    let mut directory = Directory::with(&[("x.yaml", text)]);
    let scan = directory.scan();
    assert_eq!(directory.lines(&scan), [""; 0]);
    let objects: Vec<_> = written(&scan).collect();
    assert_eq!(objects.len(), 1);
    objects[0].object.to_value()
}

#[test]
fn a_route_is_defaulted_as_by_an_api_server() {
    let route = admit(
        "apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: a}
spec:
  parentRefs: [{name: g}]
  rules:
  - backendRefs: [{name: s, port: 80}]
  - matches: [{headers: [{name: x, value: why}]}]
    filters:
    - type: RequestRedirect
      requestRedirect: {hostname: b.example}
",
    );
    assert_eq!(route["apiVersion"], "gateway.networking.k8s.io/v1");
    let parent = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g"});
    assert_eq!(route["spec"]["parentRefs"][0], parent);
    let rules = &route["spec"]["rules"];
    assert_eq!(rules[0]["matches"], json!([{"path": {"type": "PathPrefix", "value": "/"}}]));
    let backend = json!({"group": "", "kind": "Service", "name": "s", "port": 80, "weight": 1});
    assert_eq!(rules[0]["backendRefs"][0], backend);
    assert_eq!(rules[1]["matches"][0]["headers"][0]["type"], "Exact");
    assert_eq!(rules[1]["filters"][0]["requestRedirect"]["statusCode"], 302);
}

#[test]
fn a_route_without_rules_gets_one() {
    let route = admit(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\n\
         spec: {rules: null}\n",
    );
    let path = json!({"type": "PathPrefix", "value": "/"});
    assert_eq!(route["spec"]["rules"], json!([{"matches": [{"path": path}]}]));
}

#[test]
fn gateways_listen_for_their_own_namespace() {
    let gateway = admit(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec:\n\
         \x20 gatewayClassName: c\n  listeners: [{name: h, port: 443, protocol: HTTPS, tls: \
         {certificateRefs: [{name: s}]}}]\n",
    );
    let listener = &gateway["spec"]["listeners"][0];
    assert_eq!(listener["allowedRoutes"]["namespaces"]["from"], "Same");
    assert_eq!(listener["tls"]["mode"], "Terminate");
    let certificate = json!({"group": "", "kind": "Secret", "name": "s"});
    assert_eq!(listener["tls"]["certificateRefs"][0], certificate);
}

#[test]
fn built_in_kinds() {
    let service = admit(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\n\
         spec: {ports: [{port: 80}, {port: 81, name: k, targetPort: web, protocol: UDP}, {port: 82, name: o}]}\n"
            .replace("{port: 80}", "{port: 80, name: m}")
            .as_str(),
    );
    let ports = &service["spec"]["ports"];
    assert_eq!((&ports[0]["protocol"], &ports[0]["targetPort"]), (&json!("TCP"), &json!(80)));
    assert_eq!((&ports[1]["protocol"], &ports[1]["targetPort"]), (&json!("UDP"), &json!("web")));

    let secret = admit(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: eA==, b: eA==}\n\
         stringData: {b: v, c: z}\n",
    );
    assert_eq!(secret["data"], json!({"a": "eA==", "b": "dg==", "c": "eg=="}));
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret.get("stringData"), None);

    let slice = admit(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\n\
         addressType: IPv4\nendpoints:\n- addresses: [10.0.0.1]\n- addresses: [10.0.0.2]\n  \
         conditions: {ready: false}\nports: [{port: 80}]\n",
    );
    let conditions = |at: usize| {
        let conditions = &slice["endpoints"][at]["conditions"];
        [conditions["ready"].clone(), conditions["serving"].clone()]
    };
    assert_eq!(conditions(0), [json!(true), json!(true)]);
    assert_eq!(conditions(1), [json!(false), json!(false)]);

    let namespace = admit("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: z}}\n");
    let labels = json!({"x": "z", "kubernetes.io/metadata.name": "a"});
    assert_eq!(namespace["metadata"]["labels"], labels);
}

#[test]
fn metadata_is_the_servers() {
    let value = admit(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  uid: mine\n  resourceVersion: \"7\"\n  \
         generation: 9\n  managedFields: []\n  creationTimestamp: null\n",
    );
    let metadata = &value["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["resourceVersion"], "1");
    assert_eq!(metadata["creationTimestamp"], "1970-01-01T00:00:01Z");
    assert_ne!(metadata["uid"], "mine");
    assert_eq!(metadata["uid"].as_str().map(str::len), Some(36));
}

#[test]
fn a_status_in_a_file_is_not_the_users_to_write() {
    let route = admit(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {}\n\
         status: {parents: nonsense}\n",
    );
    assert!(route.get("status").is_none_or(|status| status["parents"] != "nonsense"));
}

#[test]
fn used_namespaces_exist() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n";
    let mut directory = Directory::with(&[("a.yaml", text)]);
    let first = directory.scan();
    let implied: Vec<_> = first.objects.iter().filter(|placed| placed.implied).collect();
    assert_eq!(implied.len(), 1);
    let labels = &implied[0].object.object.metadata().labels;
    assert_eq!(labels["kubernetes.io/metadata.name"], "shop");

    directory.write("b.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
    let second = directory.scan();
    assert!(second.objects.iter().all(|placed| !placed.implied));
    assert_eq!(directory.lines(&second), [""; 0]);
}

/// What the documentation shows has no mistakes.
#[test]
fn every_example_is_admitted() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let schemas = std::sync::Arc::new(fairway_controller::sources::admission::Schemas::bundled());
    for folder in std::fs::read_dir(examples).unwrap() {
        let folder = folder.unwrap().path();
        let mut source = fairway_controller::sources::FileSource::new(&folder, &schemas);
        let scan = source.scan(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(scan.problems, [], "{}", folder.display());
        assert!(!scan.objects.is_empty(), "{}", folder.display());
    }
}
