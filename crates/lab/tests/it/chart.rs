//! The Helm chart: what it renders by the real helm, and what the rights in it come to on a real API server.
//!
//! `FAIRWAY_CHART=update cargo test -p fairway-lab chart` writes the expected manifests anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use fairway_api::vendor::{Channel, Version, gateway_api};
use fairway_lab::binaries::{helm, root};
use fairway_lab::{Lab, Options};

const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";
const CONTROLLER: &str = "system:serviceaccount:fairway-system:fairway-controller";

fn chart() -> PathBuf {
    root().join("charts/fairway")
}

fn template(arguments: &[&str]) -> Output {
    Command::new(helm().unwrap())
        .args(["template", "fairway"])
        .arg(chart())
        .args(["--namespace", "fairway-system", "--api-versions", GATEWAY_API])
        .args(arguments)
        .output()
        .unwrap()
}

fn rendered(arguments: &[&str]) -> String {
    let output = template(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn assert_expected(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart").join(name);
    if std::env::var("FAIRWAY_CHART").is_ok_and(|value| value == "update") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{} differs from what helm renders; FAIRWAY_CHART=update writes it anew",
        path.display()
    );
}

#[test]
fn the_chart_has_no_fault_that_helm_knows() {
    let output = Command::new(helm().unwrap()).args(["lint", "--strict"]).arg(chart()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_chart_renders_as_reviewed() {
    assert_expected("defaults.yaml", &rendered(&[]));
    let restricted = rendered(&["--set", "secretNamespaces={shop}"]);
    assert_expected("secrets-of-shop.yaml", &restricted);
    assert!(!restricted.contains("kind: ClusterRole\nmetadata:\n  name: fairway-secrets"));
}

#[test]
fn no_right_is_given_by_wildcard_or_to_raise_others() {
    let text = rendered(&[]);
    for word in ["\"*\"", "'*'", "[*]", "- *\n", "escalate", "impersonate", "cluster-admin"] {
        assert!(!text.contains(word), "{word} in the chart");
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    for value in ["replicas=many", "replica=2", "addressPools={shop}", "admin.address=192.0.2.1"] {
        let output = template(&["--set", value]);
        assert!(!output.status.success(), "{value} was taken");
    }
}

/// Who, what, on what, in which namespace, and whether it is allowed.
type Question<'a> = (&'a str, &'a str, &'a str, &'a str, bool);

struct Cluster {
    lab: Lab,
}

impl Cluster {
    /// Installs the chart's objects without a node: rights need no pods.
    fn start(name: &str, arguments: &[&str]) -> Self {
        let lab = Lab::start(&Options { name: name.to_owned() }).unwrap();
        let crds =
            gateway_api(Version::V1_6_3, Channel::Experimental).iter().map(|&(_, yaml)| yaml);
        lab.apply(&crds.collect::<Vec<_>>().join("\n---\n")).unwrap();
        lab.apply(NAMESPACES).unwrap();
        let installed = lab
            .namespace()
            .command(&helm().unwrap().display().to_string())
            .args(["upgrade", "--install", "fairway"])
            .arg(chart())
            .args(["--namespace", "fairway-system", "--kubeconfig"])
            .arg(lab.kubeconfig())
            .args(arguments)
            .output()
            .unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        Self { lab }
    }

    fn is_allowed(&self, user: &str, verb: &str, object: &str, namespace: &str) -> bool {
        // kubectl takes what follows a slash for a name, unless told otherwise.
        let (object, part) = object.split_once(':').unwrap_or((object, ""));
        let part = format!("--subresource={part}");
        let mut kubectl = self.lab.kubectl();
        kubectl.args(["auth", "can-i", verb, object, &part, "--as", user, "-n", namespace]);
        let output = kubectl.output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim() == "yes"
    }

    fn check(&self, questions: &[Question<'_>]) {
        let wrong: Vec<String> = questions
            .iter()
            .filter(|(user, verb, object, namespace, expected)| {
                self.is_allowed(user, verb, object, namespace) != *expected
            })
            .map(|(user, verb, object, namespace, expected)| {
                format!("{user} {verb} {object} in {namespace} is not {expected}")
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

const NAMESPACES: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: fairway-system, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: developers, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: dev}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operators, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: operator}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewers, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: providers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: fairway-infrastructure-provider}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: provider}]
";

const PEOPLE: &[Question<'_>] = &[
    ("dev", "create", "httproutes.gateway.networking.k8s.io", "shop", true),
    ("dev", "delete", "trafficroutes.fairway.dev", "shop", true),
    ("dev", "create", "httproutes.gateway.networking.k8s.io", "other", false),
    ("dev", "get", "gateways.gateway.networking.k8s.io", "shop", true),
    ("dev", "create", "gateways.gateway.networking.k8s.io", "shop", false),
    ("dev", "create", "gateways.fairway.dev", "shop", false),
    ("dev", "create", "referencegrants.gateway.networking.k8s.io", "shop", false),
    ("dev", "update", "httproutes.gateway.networking.k8s.io:status", "shop", false),
    ("operator", "create", "gateways.gateway.networking.k8s.io", "shop", true),
    ("operator", "create", "gateways.fairway.dev", "shop", true),
    ("operator", "create", "listenersets.gateway.networking.k8s.io", "shop", true),
    ("operator", "create", "referencegrants.gateway.networking.k8s.io", "shop", true),
    ("operator", "create", "trafficroutes.fairway.dev", "shop", true),
    ("operator", "create", "gateways.fairway.dev", "other", false),
    ("operator", "create", "gatewayclasses.gateway.networking.k8s.io", "shop", false),
    ("operator", "create", "gatewayprofiles.fairway.dev", "shop", false),
    ("operator", "create", "addresspools.fairway.dev", "shop", false),
    ("viewer", "watch", "trafficroutes.fairway.dev", "shop", true),
    ("viewer", "list", "gateways.fairway.dev", "shop", true),
    ("viewer", "update", "trafficroutes.fairway.dev", "shop", false),
    ("provider", "create", "gatewayclasses.gateway.networking.k8s.io", "other", true),
    ("provider", "create", "gatewayprofiles.fairway.dev", "other", true),
    ("provider", "create", "addresspools.fairway.dev", "other", true),
    ("provider", "delete", "addressclaims.fairway.dev", "other", true),
    ("provider", "create", "httproutes.gateway.networking.k8s.io", "other", false),
    ("provider", "get", "secrets", "other", false),
];

const OF_CONTROLLER: &[Question<'_>] = &[
    (CONTROLLER, "watch", "httproutes.gateway.networking.k8s.io", "other", true),
    (CONTROLLER, "update", "httproutes.gateway.networking.k8s.io:status", "other", true),
    (CONTROLLER, "update", "httproutes.gateway.networking.k8s.io", "other", false),
    (CONTROLLER, "update", "addresspools.fairway.dev:status", "other", true),
    (CONTROLLER, "update", "addresspools.fairway.dev", "other", false),
    (CONTROLLER, "create", "addressclaims.fairway.dev", "other", true),
    (CONTROLLER, "delete", "addressclaims.fairway.dev", "other", true),
    (CONTROLLER, "update", "addressclaims.fairway.dev", "other", false),
    (CONTROLLER, "patch", "deployments.apps", "other", true),
    (CONTROLLER, "delete", "deployments.apps", "other", true),
    (CONTROLLER, "delete", "namespaces", "other", false),
    (CONTROLLER, "patch", "pods", "fairway-system", true),
    (CONTROLLER, "patch", "pods", "shop", false),
    (CONTROLLER, "get", "pods:exec", "shop", false),
    (CONTROLLER, "update", "leases.coordination.k8s.io/fairway-controller", "fairway-system", true),
    (CONTROLLER, "update", "leases.coordination.k8s.io/another", "fairway-system", false),
    (CONTROLLER, "create", "clusterrolebindings.rbac.authorization.k8s.io", "other", false),
    (CONTROLLER, "delete", "secrets", "shop", false),
    (CONTROLLER, "watch", "secrets", "shop", true),
];

#[test]
fn people_and_controller_may_what_their_roles_say() {
    let cluster = Cluster::start("test-rights", &[]);
    let deadline = Instant::now() + Duration::from_secs(30);
    // Roles are gathered by a controller, in its own time.
    while !cluster.is_allowed("dev", "create", "trafficroutes.fairway.dev", "shop") {
        assert!(Instant::now() < deadline, "the role `edit` has not gathered ours in 30 s");
        std::thread::sleep(Duration::from_millis(100));
    }
    cluster.check(PEOPLE);
    cluster.check(OF_CONTROLLER);
    cluster.check(&[
        (CONTROLLER, "watch", "secrets", "other", true),
        (CONTROLLER, "patch", "secrets", "other", true),
    ]);
}

#[test]
fn the_controllers_pods_are_let_into_a_restricted_namespace() {
    let cluster = Cluster::start("test-restricted", &[]);
    let deadline = Instant::now() + Duration::from_secs(30);
    let pods = || {
        let mut kubectl = cluster.lab.kubectl();
        kubectl.args(["get", "pods", "--output=name", "--namespace=fairway-system"]);
        String::from_utf8(kubectl.output().unwrap().stdout).unwrap().lines().count()
    };
    while pods() != 2 {
        assert!(Instant::now() < deadline, "there are no two pods after 30 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn secrets_of_other_namespaces_are_closed_when_some_are_named() {
    let cluster = Cluster::start("test-secrets", &["--set", "secretNamespaces={shop}"]);
    cluster.check(OF_CONTROLLER);
    cluster.check(&[
        (CONTROLLER, "get", "secrets", "other", false),
        (CONTROLLER, "watch", "secrets", "other", false),
        (CONTROLLER, "patch", "secrets", "other", false),
        (CONTROLLER, "get", "secrets/fairway-ca", "fairway-system", true),
        (CONTROLLER, "get", "secrets/another", "fairway-system", false),
        (CONTROLLER, "watch", "secrets", "fairway-system", false),
    ]);
}
