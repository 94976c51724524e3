//! What goes wrong around a run, and that everything else goes on: broken files over a restart, ports in
//! use, missing and expired certificates.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::certificate;
use crate::rig::{Backend, Loopback, OFFSET, Process, fairway, poll, text};
use crate::wire::get;

const HOST: &str = "shop.example.test";

const SHOP: &str = "\
apiVersion: fairway.dev/v1alpha1
kind: Gateway
metadata: {namespace: shop, name: edge}
spec:
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: second, port: 81, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: cart}
spec:
  parentRefs: [{group: fairway.dev, kind: Gateway, name: edge}]
  rules:
  - backendRefs: [{name: cart, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: cart}
spec: {ports: [{port: 80}]}
";

const TLS: &str = "\
apiVersion: fairway.dev/v1alpha1
kind: Gateway
metadata: {namespace: shop, name: secure}
spec:
  listeners:
  - name: https
    port: 443
    protocol: HTTPS
    tls: {certificateRefs: [{name: shop-tls}]}
";

struct Run {
    files: tempfile::TempDir,
    state: tempfile::TempDir,
    at: Loopback,
    backend: Backend,
}

impl Run {
    fn new() -> Self {
        let files = tempfile::tempdir().expect("a folder");
        fs::write(files.path().join("shop.yaml"), SHOP).expect("written");
        let state = tempfile::tempdir().expect("a folder");
        Self { files, state, at: Loopback::new(), backend: Backend::start("cart") }
    }

    fn start(&self) -> Process {
        let backend = format!("shop/cart:80={}", self.backend.address);
        Process::run(self.files.path(), &self.at, self.state.path(), &["--backend", &backend])
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.files.path().join(name), text).expect("written");
    }

    fn is_served(&self, port: u16) {
        poll("an answer", || {
            get(self.at.bound(port), HOST, "/").ok().filter(|answer| answer.status == 200)
        });
    }
}

#[test]
fn the_last_good_state_outlives_the_process() {
    let run = Run::new();
    let mut process = run.start();
    run.is_served(80);
    // On the disk it is a moment later.
    poll("the saved model", || {
        let entries = fs::read_dir(run.state.path()).ok()?;
        let saved = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
        saved.into_iter().any(|text| text.contains("http-route/shop/cart")).then_some(())
    });
    process.kill();
    run.write("shop.yaml", "kind: [broken");
    let mut process = run.start();
    process.line("what is broken", |line| line.contains("problem: ") && line.contains("shop.yaml"));
    run.is_served(80);
    process.kill();

    // Even without any directory to look at.
    fs::remove_file(run.files.path().join("shop.yaml")).expect("it is there");
    run.write("other.yaml", "a: [");
    let _process = run.start();
    run.is_served(80);
}

#[test]
fn a_broken_file_leaves_all_else_alone_and_is_named() {
    let run = Run::new();
    let process = run.start();
    run.is_served(80);
    let seen = process.lines();
    run.write("bad.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {namespace: shop, name: bad}\nspec:\n  rules:\n  - matches:\n    - path: {type: Nonsense, value: /}\n");
    let (_, line) = process.line_after(seen, "what is wrong", |line| line.contains("bad.yaml:7:"));
    assert!(line.contains("HTTPRoute shop/bad"), "{line}");
    assert!(line.contains("spec.rules[0].matches[0].path.type"), "{line}");
    assert!(line.contains("is not one of Exact"), "{line}");
    run.is_served(80);
    let seen = process.lines();
    fs::remove_file(run.files.path().join("bad.yaml")).expect("it is there");
    process.line_after(seen, "that it is mended", |line| line.starts_with("mended: "));
}

#[test]
fn a_port_in_use_is_told_and_taken_once_it_is_free() {
    let run = Run::new();
    let blocker = TcpListener::bind(run.at.bound(80)).expect("nobody else is there");
    let process = run.start();
    run.is_served(81);
    let line =
        process.line("the port", |line| line.starts_with("listener ") && line.contains("in use"));
    assert!(line.contains("shop/edge") && line.contains("http"), "{line}");
    assert!(line.contains("--port-offset"), "{line}");
    drop(blocker);
    run.is_served(80);
}

#[test]
fn a_missing_secret_is_named_with_its_place_and_remedy() {
    let run = Run::new();
    run.write("tls.yaml", TLS);
    let process = run.start();
    let line = process.line("the missing Secret", |line| {
        line.starts_with("problem: ") && line.contains("Secret shop/shop-tls does not exist")
    });
    assert!(line.contains("tls.yaml:9:"), "{line}");
    assert!(line.contains("spec.listeners[0].tls.certificateRefs"), "{line}");
    assert!(line.contains("create a Secret of type kubernetes.io/tls"), "{line}");
    run.is_served(80);
    let status = run.state.path().join("statuses/Gateway.fairway.dev.shop.secure.yaml");
    let status = poll("the status", || fs::read_to_string(&status).ok());
    assert!(status.contains("InvalidCertificateRef"), "{status}");
    // It comes, and is taken.
    let seen = process.lines();
    run.write("secret.yaml", &certificate::expired("shop", "shop-tls"));
    let (_, line) =
        process.line_after(seen, "the expired one", |line| line.contains("has expired at 2001-"));
    assert!(line.contains("secret.yaml:") && line.contains("Secret shop/shop-tls"), "{line}");
    poll("TLS", || std::net::TcpStream::connect((run.at.address(2), OFFSET + 443)).ok());
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let run = Run::new();
    let mut process = run.start();
    run.is_served(80);
    assert!(process.is_alive());
    process.terminate();
    assert!(process.ended().success(), "{}", process.printed());
}

#[test]
fn the_admin_endpoint_is_asked_by_status() {
    let run = Run::new();
    let _process = run.start();
    run.is_served(80);
    let admin = run.at.admin().to_string();
    let output = fairway(&["status", "--admin", &admin]);
    let shown = text(&output.stdout);
    assert!(shown.contains("HTTPRoute shop/cart") && shown.contains("second"), "{shown}");
    let output = fairway(&["status", "--admin", &admin, "-o", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["routes"][0]["route"], "HTTPRoute shop/cart", "{json:#}");
    for path in ["/healthz", "/readyz", "/metrics", "/api/model", "/api/verdicts"] {
        let answer = get(run.at.admin(), "admin", path).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let nobody = fairway(&["status", "--admin", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("is `fairway run` there?"), "{}", text(&nobody.stderr));
}

#[test]
fn what_cannot_begin_says_why() {
    let at = Loopback::new();
    let state = tempfile::tempdir().expect("a folder");
    let mut process = Process::run(Path::new("/nowhere/at/all"), &at, state.path(), &[]);
    assert_eq!(process.ended().code(), Some(2));
    process.line("the directory", |line| line.contains("/nowhere/at/all"));

    let run = Run::new();
    let _taken = TcpListener::bind(run.at.admin()).expect("nobody else is there");
    let mut process = run.start();
    assert_eq!(process.ended().code(), Some(2));
    process.line("another address", |line| line.contains("choose another one with --admin"));
}
