//! What may fail without a request being lost: the controller, the API server, a proxy.

use std::net::SocketAddr;
use std::time::Duration;

use super::Cluster;
use super::load::Load;

const WORLD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: fairway
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: shop}
spec:
  replicas: 1
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
  ports: [{port: 80, targetPort: 8080}]
---
";

/// A route of the world's Gateway to its backend.
fn route(name: &str) -> String {
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

fn await_live(cluster: &Cluster, route: &str) {
    cluster.until(route, |cluster| {
        let live = "{.status.parents[0].conditions[?(@.type=='Live')].status}";
        cluster.get(&format!("httproute/{route}"), live) == "True"
    });
}

fn address(cluster: &Cluster) -> SocketAddr {
    cluster.until("an address", |cluster| {
        !cluster.get("gateway/web", "{.status.addresses[0].value}").is_empty()
    });
    let address = cluster.get("gateway/web", "{.status.addresses[0].value}");
    SocketAddr::new(address.parse().expect("an address"), 80)
}

fn await_answer(cluster: &Cluster, host: &str) {
    let url = format!("http://{}/", address(cluster).ip());
    cluster.until(host, |cluster| {
        let mut curl = cluster.command("curl");
        curl.args(["--silent", "--fail", "--max-time", "2", "--output", "/dev/null"]);
        let status = curl.args(["--header", &format!("host: {host}"), &url]).status();
        status.is_ok_and(|status| status.success())
    });
}

#[test]
fn what_is_served_goes_on_whoever_fails() {
    let mut cluster = Cluster::start("test-failure");
    cluster.apply(&format!("{WORLD}{}", route("first")));
    await_live(&cluster, "first");
    await_answer(&cluster, "first.example");
    let load = Load::begin(cluster.lab.namespace(), address(&cluster), "first.example", "/");

    // The controller is killed. What was declared meanwhile is served by the next one.
    cluster.kill_controller();
    cluster.apply(&route("second"));
    std::thread::sleep(Duration::from_secs(2));
    cluster.start_controller();
    await_answer(&cluster, "second.example");
    await_live(&cluster, "second");

    // The API server is away, and then another one: every watch has to begin anew.
    let plane = cluster.lab.control_plane().expect("it runs");
    plane.stop_api_server();
    std::thread::sleep(Duration::from_secs(10));
    plane.start_api_server().expect("it comes back");
    cluster.apply(&route("third"));
    await_answer(&cluster, "third.example");
    await_live(&cluster, "third");
    // The cluster's own controllers take their time to come back. Until then nobody tells clients that a pod ends.
    cluster.kubectl(&["--namespace=shop", "scale", "deployment/echo", "--replicas=2"]);
    cluster.until("the cluster's own controllers", |cluster| {
        let slices = "endpointslices --selector=kubernetes.io/service-name=echo";
        let arguments: Vec<&str> = ["--namespace=shop", "get"]
            .into_iter()
            .chain(slices.split(' '))
            .chain(["--output=jsonpath={.items[*].endpoints[*].conditions.ready}"])
            .collect();
        cluster.kubectl(&arguments) == "true true"
    });

    // A proxy is restarted while there is no controller: it starts from nothing, and gets no client until it
    // has a configuration; the other one serves on.
    let before = cluster.get("pods", "{.items[*].metadata.name}");
    let proxy = before.split(' ').find(|pod| pod.starts_with("fairway-web-")).expect("a proxy");
    cluster.kill_controller();
    cluster.kubectl(&["--namespace=shop", "delete", "pod", proxy, "--wait=false"]);
    std::thread::sleep(Duration::from_secs(8));
    cluster.start_controller();
    cluster.until("a proxy in its place", |cluster| {
        cluster.get("deployment/fairway-web", "{.status.readyReplicas}") == "2"
            && !cluster.get("pods", "{.items[*].metadata.name}").contains(proxy)
    });

    // All proxies are replaced, one after another.
    cluster.kubectl(&["--namespace=shop", "rollout", "restart", "deployment/fairway-web"]);
    cluster.kubectl(&[
        "--namespace=shop",
        "rollout",
        "status",
        "deployment/fairway-web",
        "--timeout=90s",
    ]);

    let answered = load.end();
    assert!(answered > 1000, "{answered} answers are no load");
}
