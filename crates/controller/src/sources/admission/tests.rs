//! Whatever stands in an object, it is admitted or an error says why: never a panic, never a silence.

use super::*;
use crate::sources::yaml;
use serde_json::{Map, json};

/// One object of each sort, with many fields.
const OBJECTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: b, labels: {a: b}, annotations: {a.b/c: d}}
spec:
  parentRefs: [{name: g, sectionName: s, port: 80}]
  hostnames: [a.example, '*.b.example']
  rules:
  - name: r
    matches:
    - path: {type: Exact, value: /a}
      headers: [{name: x, value: z}]
      queryParams: [{name: q, value: z, type: RegularExpression}]
      method: GET
    filters:
    - type: URLRewrite
      urlRewrite: {hostname: c.example, path: {type: ReplaceFullPath, replaceFullPath: /b}}
    backendRefs: [{name: s, port: 80, weight: 3}]
    timeouts: {request: 10s, backendRequest: 5s}
    retry: {codes: [500], attempts: 2, backoff: 10ms}
    sessionPersistence: {sessionName: a, type: Cookie, absoluteTimeout: 1h}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: a}
spec:
  gatewayClassName: c
  addresses: [{type: IPAddress, value: 10.0.0.1}]
  listeners:
  - name: h
    port: 443
    protocol: HTTPS
    hostname: a.example
    tls: {mode: Terminate, certificateRefs: [{name: s}]}
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}, kinds: [{kind: HTTPRoute}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec:
  ingressClassName: c
  defaultBackend: {service: {name: s, port: {number: 80}}}
  tls: [{hosts: [a.example], secretName: s}]
  rules:
  - host: a.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {name: web}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {type: NodePort, selector: {a: b}, ports: [{name: a, port: 80, targetPort: web, nodePort: 30000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}, zone: z, hints: {forZones: [{name: z}]}}]
ports: [{name: a, port: 80, protocol: TCP}]
---
apiVersion: v1
kind: Secret
metadata: {name: a}
type: kubernetes.io/tls
data: {tls.crt: eA==, tls.key: eA==}
stringData: {other: z}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: a}
spec: {from: [{group: '', kind: Service, namespace: b}], to: [{group: '', kind: Secret, name: c}]}
";

/// What stands in for each field in turn.
fn hostile() -> Vec<Value> {
    let nested = (0..50).fold(json!(1), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{0}\u{202e}%s{}'\"\\"),
        json!("é".repeat(5000)),
        json!([]),
        json!([null, null]),
        json!({}),
        json!({"": {"": []}}),
        nested,
    ]
}

fn paths(value: &Value, here: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, below) in fields {
                let path = format!("{here}/{}", name.replace('/', "~1"));
                paths(below, &path, found);
                found.push(path);
            }
        }
        Value::Array(items) => {
            for (index, below) in items.iter().enumerate() {
                let path = format!("{here}/{index}");
                paths(below, &path, found);
                found.push(path);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn review(admission: &Admission, value: &Value) -> Option<Review> {
    match admission.identify(value) {
        Identity::Known(key, schema) => Some(admission.review(&key, schema, value)),
        Identity::Ignored(_) | Identity::Unclear(_) => None,
    }
}

/// Whatever stands in a field, the object is either admitted, or an error says what is wrong.
#[test]
fn every_field_takes_every_insult() {
    let admission = Admission::new(&Arc::new(Schemas::bundled()));
    let (mut admitted, mut refused) = (0, 0);
    for document in yaml::parse(OBJECTS).unwrap() {
        let good = review(&admission, &document.value).unwrap();
        assert_eq!(good.findings, [], "{}", document.value);
        let mut all = Vec::new();
        paths(&document.value, "", &mut all);
        for (path, insult) in
            all.iter().flat_map(|path| hostile().into_iter().map(move |i| (path, i)))
        {
            let mut value = document.value.clone();
            *value.pointer_mut(path).unwrap() = insult;
            let Some(review) = review(&admission, &value) else { continue };
            let errors = review.findings.iter().filter(|f| f.severity == Severity::Error).count();
            assert_eq!(review.admitted.is_none(), errors > 0, "{path}: {value}");
            admitted += usize::from(review.admitted.is_some());
            refused += usize::from(errors > 0);
        }
    }
    assert!(admitted > 100 && refused > 1000, "{admitted} admitted, {refused} refused");
}

/// What comes out of an admission is admitted again, as it is: defaults are found once.
#[test]
fn admission_changes_nothing_twice() {
    let admission = Admission::new(&Arc::new(Schemas::bundled()));
    for document in yaml::parse(OBJECTS).unwrap() {
        let first = review(&admission, &document.value).and_then(|review| review.admitted).unwrap();
        let again = review(&admission, &first.to_value().unwrap()).unwrap();
        assert_eq!(again.findings, []);
        assert_eq!(again.admitted, Some(first));
    }
}

#[test]
fn fields_without_limits_do_not_cost_without_limits() {
    let admission = Admission::new(&Arc::new(Schemas::bundled()));
    let labels: Map<String, Value> = (0..20_000).map(|n| (format!("l{n}"), json!("x"))).collect();
    let unknown: Map<String, Value> = (0..2_000).map(|n| (format!("u{n}"), json!(n))).collect();
    let mut value = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": labels},
    });
    value.as_object_mut().unwrap().extend(unknown);
    let first = review(&admission, &value).unwrap();
    assert!(first.admitted.is_some());
    assert_eq!(first.findings.len(), 20);

    let ports: Vec<Value> = (0..50_000).map(|n| json!({"port": n % 60_000 + 1})).collect();
    let value = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports},
    });
    assert!(review(&admission, &value).unwrap().admitted.is_none());
}
