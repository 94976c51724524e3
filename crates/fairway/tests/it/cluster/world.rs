//! What tests of failures stand on: a Gateway, a backend, routes between them, and questions about them.

use std::net::SocketAddr;

use super::Cluster;
use super::running::WORLD;

/// A route of the world's Gateway to its backend.
pub(super) fn route(name: &str) -> String {
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: shop}}
spec:
  parentRefs: [{{name: web}}]
  hostnames: [{name}.example]
  rules: [{{backendRefs: [{{name: echo, port: 80}}]}}]
"
    )
}

pub(super) fn await_live(cluster: &Cluster, route: &str) {
    cluster.until(route, |cluster| {
        let live = "{.status.parents[0].conditions[?(@.type=='Live')].status}";
        cluster.get(&format!("httproute/{route}"), live) == "True"
    });
}

pub(super) fn address(cluster: &Cluster) -> SocketAddr {
    cluster.until("an address", |cluster| {
        !cluster.get("gateway/web", "{.status.addresses[0].value}").is_empty()
    });
    let address = cluster.get("gateway/web", "{.status.addresses[0].value}");
    SocketAddr::new(address.parse().expect("an address"), 80)
}

pub(super) fn await_answer(cluster: &Cluster, host: &str) {
    let url = format!("http://{}/", address(cluster).ip());
    cluster.until(host, |cluster| {
        let mut curl = cluster.command("curl");
        curl.args(["--silent", "--fail", "--max-time", "2", "--output", "/dev/null"]);
        let status = curl.args(["--header", &format!("host: {host}"), &url]).status();
        status.is_ok_and(|status| status.success())
    });
}

/// Adds the backend, the Gateway and a first route, and waits until it is served.
pub(super) fn begin(cluster: &Cluster) {
    cluster.apply(&format!("{WORLD}{}", route("first")));
    await_live(cluster, "first");
    await_answer(cluster, "first.example");
}

/// Says which status a request gets, 0 when there is no answer.
pub(super) fn status(cluster: &Cluster, to: SocketAddr, host: &str) -> u16 {
    let mut curl = cluster.command("curl");
    curl.args([
        "--silent",
        "--max-time",
        "2",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
    ]);
    let output =
        curl.args(["--header", &format!("host: {host}"), &format!("http://{to}/")]).output();
    String::from_utf8_lossy(&output.expect("curl runs").stdout).parse().unwrap_or(0)
}
