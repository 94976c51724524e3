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
    all_keep_theirs(&cluster);
}

/// Looks for a while.
fn all_keep_theirs(cluster: &Cluster) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        for (name, expected) in [("second", "10.245.7.3"), ("third", "10.245.7.1")] {
            assert_eq!(address(cluster, name), expected);
            assert_eq!(carriers(cluster, expected), [format!("fairway-{name}")]);
        }
    }
}

/// As after an upgrade by Helm, which adds no CRDs.
#[test]
fn without_the_definition_of_claims_addresses_stay_and_no_new_one_is_given() {
    let mut cluster = Cluster::start("test-claims");
    cluster.apply(SHOP);
    cluster.apply(&gateway("old"));
    cluster.until("an address", |cluster| address(cluster, "old") == "10.245.0.1");
    cluster.kill_controller();
    cluster.kubectl(&["delete", "crd/addressclaims.fairway.dev"]);
    cluster.start_controller();
    cluster.apply(&gateway("new"));
    let why = "{.status.conditions[?(@.type=='Programmed')].message}";
    cluster.until("the Gateway to say what is missing", |cluster| {
        let said = cluster.get("gateways.gateway.networking.k8s.io/new", why);
        said.contains("addressclaims.fairway.dev is not installed")
    });
    assert_eq!(address(&cluster, "old"), "10.245.0.1");
    assert_eq!(carriers(&cluster, "10.245.0.1"), ["fairway-old"]);
    let ours = fairway_api::crd::files().into_iter().map(|(_, yaml)| yaml);
    cluster.apply(&ours.collect::<Vec<_>>().join("\n---\n"));
    cluster.until("another address", |cluster| address(cluster, "new") == "10.245.0.2");
    let expected = ["old", "new"].map(|name| format!("{name} {}", uid(&cluster, name)));
    cluster.until("both claims", |cluster| {
        assert_eq!(carriers(cluster, "10.245.0.1"), ["fairway-old"]);
        claims(cluster).into_values().eq(expected.iter().cloned())
    });
}

/// What the API server refuses by our schemas, and takes.
#[test]
fn what_makes_no_sense_is_refused() {
    let cluster = Cluster::start("test-address-schemas");
    let pool = |ranges: &str| {
        format!(
            "apiVersion: fairway.dev/v1alpha1\nkind: AddressPool\n\
             metadata: {{name: pool}}\nspec: {{ranges: [{ranges}]}}\n"
        )
    };
    let claim = |name: &str, address: &str| {
        format!(
            "apiVersion: fairway.dev/v1alpha1\nkind: AddressClaim\n\
             metadata: {{name: {name}}}\nspec:\n  address: '{address}'\n  \
             owner: {{kind: Service, namespace: shop, name: printer, uid: by-hand}}\n"
        )
    };
    let full = "fd00-0000-0000-0000-0000-0000-0000-0007";
    cluster.apply(&pool(
        "10.0.0.0/24, 10.0.1.1-10.0.1.9, '2001:db8::/64', 'fd00::1-fd00::9', 10.0.2.1",
    ));
    cluster.apply(&claim("10.0.0.7", "10.0.0.7"));
    cluster.apply(&claim(full, "fd00::7"));
    let ranges = "write 10.0.0.0/24, 10.0.0.10-10.0.0.20, or 10.0.0.7";
    for (yaml, said) in [
        (pool(""), "at least 1 items"),
        (pool("10.0.0.0/33"), ranges),
        (pool("10.0.0.1-shop"), ranges),
        (pool("10.0.0.1-10.0.0.2-10.0.0.3"), ranges),
        (claim("10.0.0.8", "shop"), "write an address"),
        (claim("10.0.0.8", "10.0.0.9"), "metadata.name must be the address"),
        (claim("fd00--7", "fd00::7"), "metadata.name must be the address"),
        (claim(full, "fd00::8"), "metadata.name must be the address"),
        (claim("10.0.0.7", "10.0.0.7").replace("printer", "another"), "a claim is not changed"),
    ] {
        let error = cluster.lab.apply(&yaml).expect_err(&yaml).to_string();
        assert!(error.contains(said), "{yaml}\n{error}");
    }
}
