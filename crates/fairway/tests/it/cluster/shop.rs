//! The same folder means the same: applied to a cluster, and served from files.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Cluster;
use crate::rig::{binary, shop};

/// Requests, each as what curl is told besides the address.
const REQUESTS: &[&[&str]] = &[
    &["http://shop.example.test/catalog/shoes?color=red"],
    &["http://shop.example.test/catalog"],
    &["http://shop.example.test/orders/7"],
    &["http://shop.example.test/robots.txt"],
    &["http://shop.example.test/nowhere"],
    &["http://shop.example.test/checkout", "--request", "POST", "--data", "x=1"],
    &["http://shop.example.test/cart"],
    &["http://other.example.test/cart"],
    &["http://elsewhere.test/cart"],
    &["https://shop.example.test/orders/7", "--insecure"],
];

/// What is compared of an answer: all that does not tell who gave it and when.
fn answer(cluster: &Cluster, address: &str, request: &[&str]) -> String {
    let mut curl = cluster.command("curl");
    curl.args(["--silent", "--show-error", "--max-time", "5", "--include"]);
    curl.args(["--connect-to", &format!("::{address}:")]).args(request);
    let output = curl.output().expect("curl");
    // Every tenth request for the cart is the canary's, by chance.
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let text = text.replace("\"cart-canary\"", "\"cart\"");
    let told = |line: &&str| {
        let line = line.trim_start().to_ascii_lowercase();
        ![
            "date:",
            "content-length:",
            "\"pod\"",
            "\"x-forwarded-for\"",
            "\"client\"",
            "\"10.",
            "\"127.",
        ]
        .iter()
        .any(|own| line.starts_with(own))
    };
    text.lines().filter(told).collect::<Vec<_>>().join("\n")
}

/// A route that comes later than the others.
const LATE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: late, namespace: shop}
spec:
  parentRefs: [{group: fairway.dev, kind: Gateway, name: public}]
  hostnames: [late.example.test]
  rules: [{backendRefs: [{name: cart, port: 80}]}]
";

/// Waits for a route as people do; gives what they read, and how long it took.
fn wait_for(cluster: &Cluster, folder: &Path, route: &str) -> (String, Duration) {
    // kubectl finds its plugins by their name.
    let plugin = folder.join("kubectl-fairway");
    if !plugin.exists() {
        std::os::unix::fs::symlink(binary(), plugin).expect("a plugin");
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"));
    let kubectl = cluster.lab.binaries().path("kubectl").display().to_string();
    let mut command = cluster.command(&kubectl);
    command.env("PATH", path).env("KUBECONFIG", cluster.lab.kubeconfig());
    command.args(["fairway", "wait", route, "--namespace", "shop", "--timeout", "60s"]);
    let began = Instant::now();
    let output = command.output().expect("kubectl");
    let took = began.elapsed();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let remarks = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{route}: {said}{remarks}");
    (said, took)
}

#[test]
fn the_shop_answers_the_same_on_a_cluster_as_from_files() {
    let cluster = Cluster::start("test-shop");
    // The folder names a certificate that everybody has to bring.
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = rcgen::generate_simple_self_signed(vec!["shop.example.test".to_owned()])
        .expect("a certificate");
    let (chain, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&chain, certificate.cert.pem()).expect("written");
    std::fs::write(&key, certificate.signing_key.serialize_pem()).expect("written");
    cluster.kubectl(&["create", "namespace", "shop"]);
    cluster.kubectl(&[
        "--namespace=shop",
        "create",
        "secret",
        "tls",
        "shop-tls",
        &format!("--cert={}", chain.display()),
        &format!("--key={}", key.display()),
    ]);
    let directory = shop().display().to_string();
    cluster.until("the kinds of the shop", |cluster| {
        let output = cluster.lab.kubectl().args(["apply", "-f", &directory]).output();
        output.is_ok_and(|output| output.status.success())
    });
    cluster.until("the Gateway", |cluster| {
        cluster.get("fgw/public", "{.status.conditions[?(@.type=='Programmed')].status}") == "True"
    });
    let address = cluster.get("fgw/public", "{.status.addresses[0].value}");
    for route in ["route/cart", "route/catalog", "grpcroute/inventory"] {
        wait_for(&cluster, folder.path(), route);
    }
    cluster.apply(LATE);
    let (said, took) = wait_for(&cluster, folder.path(), "route/late");
    println!("kubectl fairway wait: {took:?}: {said}");
    assert!(said.starts_with("HTTPRoute shop/late is Live"), "{said}");
    let live = "{.status.parents[0].conditions[?(@.type=='Live')].status}";
    assert_eq!(cluster.get("httproute/late", live), "True", "it said so");
    assert!(took < Duration::from_secs(10), "a change that takes {took:?} is not waited for");
    cluster.until("the backends", |cluster| {
        let ready = cluster.get("deployments", "{.items[*].status.readyReplicas}");
        let all = cluster.get("deployments", "{.items[*].spec.replicas}");
        ready == all
    });

    let mut demo = cluster.command(binary());
    demo.args(["demo", &directory, "--port-offset", "0", "--admin", "127.0.0.1:9901"]);
    let log = std::fs::File::create(folder.path().join("demo.log")).expect("a log");
    let mut demo = demo.stdout(log).spawn().expect("the demo");
    let from_files = "127.64.0.1";
    cluster.until("the demo", |cluster| {
        answer(cluster, from_files, REQUESTS[0]).starts_with("HTTP/1.1 200")
    });

    let compared: Vec<(String, String)> = REQUESTS
        .iter()
        .map(|request| (answer(&cluster, &address, request), answer(&cluster, from_files, request)))
        .collect();
    demo.kill().expect("it ran");
    demo.wait().expect("it has ended");
    for (request, (there, here)) in REQUESTS.iter().zip(&compared) {
        assert_eq!(there, here, "{request:?}");
    }
    let statuses: Vec<&str> =
        compared.iter().filter_map(|(there, _)| there.lines().next()).collect();
    assert!(statuses.iter().filter(|status| status.contains("200")).count() >= 5, "{statuses:?}");
    assert!(statuses.iter().any(|status| status.contains("404")), "{statuses:?}");

    // What a help desk reads.
    let table = cluster.kubectl(&["--namespace=shop", "get", "fgw,tr"]);
    println!("{table}");
    assert!(table.contains("ADDRESS") && table.contains(&address), "{table}");
    assert!(table.contains("PROGRAMMED") || table.contains("READY"), "{table}");
}
