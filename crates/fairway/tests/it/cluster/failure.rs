//! What may fail without a request being lost: the controller, the API server, a proxy.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fairway_model::listener::container_port;

use super::Cluster;
use super::load::Load;
use super::process;
use super::world::{address, await_answer, await_live, begin, route, status};

/// How long the API server is away.
const OUTAGE: Duration = Duration::from_mins(1);

#[test]
fn what_is_served_goes_on_whoever_fails() {
    let mut cluster = Cluster::start("test-failure");
    begin(&cluster);
    let load = Load::begin(cluster.lab.namespace(), address(&cluster), "first.example", "/");

    // The controller is killed. What was declared meanwhile is served by the next one.
    cluster.kill_controller();
    cluster.apply(&route("second"));
    std::thread::sleep(Duration::from_secs(2));
    cluster.start_controller();
    await_answer(&cluster, "second.example");
    await_live(&cluster, "second");

    // The API server is away for a minute, in which the controller and a proxy are killed.
    without_an_api_server(&mut cluster, &load);
    let refused = load.refused();
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

    assert_eq!(load.refused(), refused, "somebody could tell clients where to go");
    let answered = load.end();
    assert!(answered > 1000, "{answered} answers are no load");
}

/// Nobody can be told that a proxy's process has ended: it has to be back at once, from its own disk.
fn without_an_api_server(cluster: &mut Cluster, load: &Load) {
    let path = "{range .items[*]}{.metadata.name} {.status.podIP}{'\\n'}{end}";
    let pods = cluster.kubectl(&[
        "--namespace=shop",
        "get",
        "pods",
        "--selector=fairway.dev/fleet=fairway-web",
        &format!("--output=jsonpath={path}"),
    ]);
    let (pod, address) = pods.lines().next().and_then(|line| line.split_once(' ')).expect("a pod");
    let at = SocketAddr::new(address.parse().expect("an address"), container_port(80));
    let killed = process::proxy(pod).expect("it runs");
    let plane = cluster.lab.control_plane().expect("it runs");
    plane.stop_api_server();
    let back = Instant::now() + OUTAGE;

    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(load.refused(), 0);
    cluster.kill_controller();
    load.between(|| process::signal("-KILL", killed));
    cluster
        .until("the proxy's next process", |_| process::proxy(pod).is_some_and(|id| id != killed));
    cluster.until("what it served before", |cluster| status(cluster, at, "second.example") == 200);
    let refused = load.refused();
    cluster.start_controller();
    std::thread::sleep(back.saturating_duration_since(Instant::now()));
    assert_eq!(load.refused(), refused, "from then on it takes every client");
    assert!(cluster.controller_runs(), "it waits for the API server");
    assert_eq!(status(cluster, at, "first.example"), 200);
    let plane = cluster.lab.control_plane().expect("it runs");
    plane.start_api_server().expect("it comes back");
    plane.restart_controllers().expect("they start");
}
