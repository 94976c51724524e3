//! What a run's options do, seen from outside.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::Value;

use crate::rig::{Backend, Loopback, OFFSET, Process, poll};
use crate::wire::{Connection, get};

const HOST: &str = "shop.example.test";

const GATEWAY: &str = "\
apiVersion: fairway.dev/v1alpha1
kind: Gateway
metadata: {namespace: shop, name: edge}
spec:
  listeners:
  - {name: http, port: 80, protocol: HTTP}
";

const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: cart}
spec:
  parentRefs: [{group: fairway.dev, kind: Gateway, name: edge}]
  rules:
  - matches: [{path: {value: /moved}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /here}}
  - backendRefs: [{name: cart, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: cart}
spec: {ports: [{port: 80}]}
";

/// An EndpointSlice of the Service, as a cluster would make it.
fn slice(backend: SocketAddr) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata:\n  namespace: shop\n  name: cart-1\n  \
         labels: {{kubernetes.io/service-name: cart}}\naddressType: IPv4\n\
         ports: [{{port: {}}}]\nendpoints:\n- addresses: [{}]\n",
        backend.port(),
        backend.ip()
    )
}

struct Files(tempfile::TempDir, tempfile::TempDir);

impl Files {
    fn new(backend: &Backend) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("gateway.yaml"), GATEWAY).expect("written");
        fs::write(folder.path().join("route.yaml"), ROUTE).expect("written");
        fs::write(folder.path().join("slice.yaml"), slice(backend.address)).expect("written");
        Self(folder, state)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, at: &Loopback, more: &[&str]) -> Process {
        Process::run(self.path(), at, self.1.path(), more)
    }
}

fn served(to: SocketAddr, path: &str) {
    poll("an answer", || get(to, HOST, path).ok().filter(|answer| answer.status == 200));
}

#[test]
fn endpoints_come_from_slices_and_addresses_from_bind() {
    let (backend, at) = (Backend::start("cart"), Loopback::new());
    let files = Files::new(&backend);
    let address: IpAddr = at.address(77);
    let bind = format!("shop/edge={address}");
    let _process = files.run(&at, &["--bind", &bind]);
    let to = SocketAddr::new(address, OFFSET + 80);
    served(to, "/x");
    // Matching, and what is written, use the declared port.
    let answer = get(to, HOST, "/moved").expect("an answer");
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, Some("http://shop.example.test/here"))
    );
}

#[test]
fn requests_are_logged_in_the_combined_form_and_as_json() {
    let backend = Backend::start("cart");
    let files = Files::new(&backend);
    for form in ["combined", "json"] {
        let at = Loopback::new();
        let process = files.run(&at, &["--access-log", form]);
        served(at.bound(80), "/logged?a=b");
        let line = process.line("the request", |line| line.contains("/logged?a=b"));
        if form == "json" {
            let json: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(json["status"], 200, "{json:#}");
        } else {
            assert!(line.contains("\"GET /logged?a=b HTTP/1.1\" 200 "), "{line}");
        }
    }
}

#[test]
fn deleted_objects_are_gone_and_a_vanished_directory_is_not() {
    let (backend, at) = (Backend::start("cart"), Loopback::new());
    let files = Files::new(&backend);
    let process = files.run(&at, &[]);
    served(at.bound(80), "/");
    fs::remove_file(files.path().join("route.yaml")).expect("it is there");
    poll("a 404", || get(at.bound(80), HOST, "/").ok().filter(|answer| answer.status == 404));
    fs::write(files.path().join("route.yaml"), ROUTE).expect("written");
    served(at.bound(80), "/");

    let aside = files.path().with_extension("aside");
    let seen = process.lines();
    fs::rename(files.path(), &aside).expect("moved");
    process.line_after(seen, "that the directory is gone", |line| line.starts_with("problem: "));
    served(at.bound(80), "/");
    fs::rename(&aside, files.path()).expect("moved back");
    process.line_after(seen, "that it is back", |line| line.starts_with("mended: "));
    served(at.bound(80), "/");
}

#[test]
fn requests_under_way_end_before_the_process_does() {
    let (backend, at) = (Backend::start("cart"), Loopback::new());
    let files = Files::new(&backend);
    let mut process = files.run(&at, &["--drain", "20"]);
    served(at.bound(80), "/");
    let mut slow = Connection::open(at.bound(80)).expect("it listens");
    let request = format!("GET /slow?delay=1500ms HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    slow.send(request.as_bytes()).expect("sent");
    // It has come as far as the backend, surely, when a later one has been answered.
    served(at.bound(80), "/later");
    process.terminate();
    let answer = slow.answer().expect("an answer, in spite of the signal");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(process.ended().success());
}

#[test]
fn a_state_directory_is_one_process_own() {
    let (backend, at) = (Backend::start("cart"), Loopback::new());
    let files = Files::new(&backend);
    let _process = files.run(&at, &[]);
    served(at.bound(80), "/");
    let mut second = files.run(&Loopback::new(), &[]);
    assert_eq!(second.ended().code(), Some(2));
    second.line("another one", |line| line.contains("choose another one with --state"));
}
