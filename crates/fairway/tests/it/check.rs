//! `fairway check` on good and broken directories.

use std::fs;

use serde_json::Value;

use crate::certificate;
use crate::rig::{fairway, shop, text};

fn check(directory: &std::path::Path, more: &[&str]) -> (Option<i32>, String) {
    let directory = directory.display().to_string();
    let output = fairway(&[&["check", &directory], more].concat());
    (output.status.code(), text(&output.stdout))
}

const BROKEN: &str = "\
apiVersion: fairway.dev/v1alpha1
kind: Gateway
metadata: {namespace: shop, name: edge}
spec:
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - name: https
    port: 443
    protocol: HTTPS
    tls:
      certificateRefs:
      - name: nowhere
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: cart}
spec:
  parentRefs:
  - {group: fairway.dev, kind: Gateway, name: edge}
  - {group: fairway.dev, kind: Gateway, name: egde}
  rules:
  - backendRefs:
    - name: cart
      port: 80
";

#[test]
fn the_shop_is_good_once_its_certificate_is_there() {
    let (code, printed) = check(&shop(), &["--generate-certificates"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("0 errors, 0 warnings"), "{printed}");
    let (code, printed) = check(&shop(), &[]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("Secret shop/shop-tls does not exist"), "{printed}");
}

#[test]
fn every_fault_has_its_place_and_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    fs::write(&file, BROKEN).expect("written");
    fs::write(folder.path().join("b.yaml"), "a: [").expect("written");
    let (code, printed) = check(folder.path(), &[]);
    assert_eq!(code, Some(1), "{printed}");
    let shown = folder.path().display().to_string();
    for (place, said) in [
        ("a.yaml:11:7", "Gateway.fairway.dev shop/edge: spec.listeners[1].tls.certificateRefs"),
        ("a.yaml:11:7", "create a Secret of type kubernetes.io/tls"),
        ("a.yaml:20:5", "HTTPRoute shop/cart: spec.parentRefs[1]: NoMatchingParent"),
        ("a.yaml:23:7", "HTTPRoute shop/cart: spec.rules[0].backendRefs[0]: BackendNotFound"),
        ("b.yaml:1:4", "unclosed bracket"),
    ] {
        let begin = format!("{shown}/{place}: ");
        let found = printed.lines().any(|line| line.starts_with(&begin) && line.contains(said));
        assert!(found, "{begin}{said}:\n{printed}");
    }
}

#[test]
fn programs_get_json_and_yaml() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.yaml"), BROKEN).expect("written");
    let (code, printed) = check(folder.path(), &["-o", "json"]);
    assert_eq!(code, Some(1), "{printed}");
    let json: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(json["errors"], 3, "{json:#}");
    let fault = &json["problems"][1];
    assert_eq!((&fault["line"], &fault["column"]), (&20.into(), &5.into()), "{fault:#}");
    assert_eq!(fault["object"]["name"], "cart");
    assert_eq!(fault["field"], "spec.parentRefs[1]");
    let (_, printed) = check(folder.path(), &["-o", "yaml"]);
    let yaml: Value = serde_saphyr::from_str(&printed).expect("YAML");
    assert_eq!(yaml, json);
}

#[test]
fn a_directory_that_is_not_there_is_no_finding() {
    let (code, printed) = check(std::path::Path::new("/nowhere/at/all"), &[]);
    assert_eq!((code, printed.as_str()), (Some(2), ""));
    let output = fairway(&["check", "/nowhere/at/all"]);
    assert!(text(&output.stderr).contains("/nowhere/at/all"), "{}", text(&output.stderr));
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("tls.yaml"), certificate::expired("shop", "old"))
        .expect("written");
    let (code, printed) = check(folder.path(), &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("tls.yaml:"), "{printed}");
    assert!(printed.contains("warning: Secret shop/old: data[tls.crt]"), "{printed}");
    assert!(printed.contains("has expired at 2001-"), "{printed}");
    let (code, _) = check(folder.path(), &["--strict"]);
    assert_eq!(code, Some(1), "a warning counts with --strict");
}
