//! Who has which address: claims, pools, and what goes wrong without them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Cluster;

const SHOP: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";

const POOL: &str = "
apiVersion: fairway.dev/v1alpha1
kind: AddressPool
metadata: {name: small}
spec: {ranges: [10.245.7.1-10.245.7.3]}
";

/// Made by hand: it is for something that Fairway does not know.
const PRINTER: &str = "
apiVersion: fairway.dev/v1alpha1
kind: AddressClaim
metadata: {name: 10.245.7.2}
spec:
  address: 10.245.7.2
  owner: {group: '', kind: Service, namespace: shop, name: printer, uid: by-hand}
";

fn gateway(name: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
         metadata: {{name: {name}, namespace: shop}}\n\
         spec: {{gatewayClassName: fairway, \
         listeners: [{{name: http, port: 80, protocol: HTTP}}]}}\n"
    )
}

fn address(cluster: &Cluster, name: &str) -> String {
    let object = format!("gateways.gateway.networking.k8s.io/{name}");
    cluster.get(&object, "{.status.addresses[*].value}")
}

fn uid(cluster: &Cluster, name: &str) -> String {
    cluster.get(&format!("gateways.gateway.networking.k8s.io/{name}"), "{.metadata.uid}")
}

/// Gives the owner of each claim: `NAME UID`, by address.
fn claims(cluster: &Cluster) -> BTreeMap<String, String> {
    let line = "{range .items[*]}{.spec.address} {.spec.owner.name} {.spec.owner.uid}{'\\n'}{end}";
    let lines = cluster.get("addressclaims", line);
    let one = |line: &str| line.split_once(' ').map(|(a, owner)| (a.to_owned(), owner.to_owned()));
    lines.lines().filter_map(one).collect()
}

/// Gives the Services that carry an address, in one look.
fn carriers(cluster: &Cluster, address: &str) -> Vec<String> {
    let line = "{range .items[*]}{.metadata.name} {.status.loadBalancer.ingress[*].ip}{'\\n'}{end}";
    let lines = cluster.get("services", line);
    let carried = lines.lines().filter_map(|line| line.split_once(' '));
    let carried = carried.filter(|(_, carried)| carried.split(' ').any(|one| one == address));
    carried.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn an_address_is_of_one_gateway_at_a_time() {
    let mut cluster = Cluster::start("test-addresses");
    cluster.apply(SHOP);
    cluster.apply(POOL);
    cluster.apply(PRINTER);
    let figures = "{.status.assigned}/{.status.total} {.status.conditions[0].status}";
    let is = |cluster: &Cluster, expected| cluster.get("addresspool/small", figures) == expected;
    // Until the pool is known, that of the command line counts.
    cluster.until("the pool and the claim to be seen", |cluster| is(cluster, "1/3 True"));
    cluster.apply(&gateway("first"));
    cluster.until("an address", |cluster| address(cluster, "first") == "10.245.7.1");
    cluster.apply(&gateway("second"));
    // That in between is somebody's.
    cluster.until("another", |cluster| address(cluster, "second") == "10.245.7.3");
    let known = claims(&cluster);
    assert_eq!(known["10.245.7.1"], format!("first {}", uid(&cluster, "first")));
    assert_eq!(known["10.245.7.2"], "printer by-hand");
    assert_eq!(known["10.245.7.3"], format!("second {}", uid(&cluster, "second")));
    cluster.until("the pool's status", |cluster| is(cluster, "3/3 True"));

    // Without the garbage collector's help, which learns of new kinds late, and the address is the only one.
    cluster.kubectl(&[
        "--namespace=shop",
        "delete",
        "--wait=false",
        "gateways.gateway.networking.k8s.io/first",
    ]);
    cluster.apply(&gateway("third"));
    cluster.until("the address that is free again", |cluster| {
        let carriers = carriers(cluster, "10.245.7.1");
        assert!(carriers.len() < 2, "carried by {carriers:?}");
        address(cluster, "third") == "10.245.7.1"
    });
    assert_eq!(carriers(&cluster, "10.245.7.1"), ["fairway-third"]);
    let third = format!("third {}", uid(&cluster, "third"));
    assert_eq!(claims(&cluster)["10.245.7.1"], third);

    // The book is in the cluster: a controller that begins anew knows it, and the pool may be gone.
    cluster.kill_controller();
    cluster.kubectl(&["delete", "addresspool/small"]);
    cluster.kubectl(&["delete", "addressclaim/10.245.7.1"]);
    cluster.start_controller();
    cluster.until("the claim that was lost", |cluster| {
        assert_eq!(carriers(cluster, "10.245.7.1"), ["fairway-third"]);
        claims(cluster).get("10.245.7.1") == Some(&third)
    });
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        for (name, expected) in [("second", "10.245.7.3"), ("third", "10.245.7.1")] {
            assert_eq!(address(&cluster, name), expected);
            assert_eq!(carriers(&cluster, expected), [format!("fairway-{name}")]);
        }
    }
}
