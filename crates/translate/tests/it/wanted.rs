//! Which Secrets and ConfigMaps a plan wants to be read, and what is said of those that cannot be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fairway_translate::{Kind, Name, ObjectKey, Plan, Snapshot, translate};

use super::case::Case;
use super::print::shown;

const OBJECTS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: web}
spec:
  gatewayClassName: fairway
  listeners:
  - name: https
    port: 443
    protocol: HTTPS
    tls: {certificateRefs: [{name: there}, {name: missing}, {name: hers, namespace: granted}, {name: not-ours, namespace: other}]}
  tls:
    frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: not-ours}
spec:
  gatewayClassName: another
  listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: of-others}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {namespace: granted, name: grant}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}]
  to: [{group: "", kind: Secret}]
---
apiVersion: v1
kind: Secret
metadata: {namespace: shop, name: there}
type: kubernetes.io/tls
data: {tls.crt: $CERTIFICATE, tls.key: $KEY}
---
apiVersion: v1
kind: Secret
metadata: {namespace: shop, name: nobody-names-it}
data: {}
"#;

fn plan(snapshot: &Snapshot, case: &Case, previous: Option<&Plan>) -> Plan {
    translate(snapshot, &case.settings, &case.held, previous)
}

fn secret(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Secret, name: Name::new(namespace, name) }
}

#[test]
fn what_is_named_with_permission_is_wanted() {
    let case = Case::read(Path::new("wanted"), OBJECTS);
    let plan = plan(&Snapshot::new(case.objects.clone()), &case, None);
    let wanted: Vec<String> = plan.wanted.iter().map(ToString::to_string).collect();
    let expected = [
        "Secret granted/hers",
        "Secret shop/missing",
        "Secret shop/there",
        "ConfigMap shop/clients",
    ];
    assert_eq!(wanted, expected);
}

#[test]
fn what_cannot_be_read_is_not_said_to_be_missing() {
    let case = Case::read(Path::new("wanted"), OBJECTS);
    let missing = Snapshot::new(case.objects.clone());
    let before = plan(&missing, &case, None);
    assert!(shown(&before).contains("Secret shop/missing does not exist"), "{}", shown(&before));
    let mut unreadable = missing;
    let why = Arc::from("may not be read: give it the Role");
    unreadable.unreadable = Arc::new(BTreeMap::from([(secret("shop", "missing"), why)]));
    let after = plan(&unreadable, &case, Some(&before));
    let text = shown(&after);
    assert!(text.contains("Secret shop/missing may not be read: give it the Role"), "{text}");
    assert_eq!(text, shown(&plan(&unreadable, &case, None)), "with and without a memo");
    assert_eq!(after.wanted, before.wanted);
}
