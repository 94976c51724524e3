//! Who may depend on whom: ARCHITECTURE.md's table, held to the manifests.

use crate::manifest::dependencies;
use crate::tree::Tree;
use crate::{assert_finds, assert_none, sketch};

/// Each crate, and which of our crates it may name under `[dependencies]`.
const LAYERS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("model", &[]),
    ("translate", &["api", "model"]),
    ("stream", &["model"]),
    ("proxy", &["model"]),
    ("controller", &["api", "model", "translate", "stream", "proxy"]),
    ("fairway", &["api", "model", "translate", "stream", "proxy", "controller"]),
    ("lab", &["api", "model"]),
];

/// Crates without clock, network, tasks, chance and logs, also through others' code.
const PURE: &[&str] = &["api", "model", "translate"];
/// What the `clippy.toml` of a crate has to ban whose output must depend on its input alone.
const BANNED: &[&str] = &[
    "std::time::SystemTime::now",
    "std::env::var",
    "std::collections::HashMap",
    "std::sync::Mutex",
];
const DETERMINED: &[&str] = &["model", "translate"];
const IMPURE: &[&str] = &[
    "arc-swap",
    "h2",
    "hyper",
    "hyper-util",
    "kube",
    "libc",
    "mio",
    "notify",
    "rand",
    "reqwest",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-rustls",
    "tracing",
];

/// The process that meets the internet has no Kubernetes client in it.
const NEAR_CLIENTS: &[&str] = &["model", "stream", "proxy"];
const KUBERNETES: &[&str] = &["k8s-openapi", "kube", "kube-cel", "gateway-api"];

/// Where alone the controller may name the data plane.
const EMBEDDED: &str = "crates/controller/src/drivers/embedded";

fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for name in tree.folders_in("crates") {
        let manifest = format!("crates/{name}/Cargo.toml");
        let Some((_, may)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            found.push(format!(
                "crates/{name}: has no layer; give it one here and in ARCHITECTURE.md"
            ));
            continue;
        };
        let Some(text) = tree.text(&manifest) else {
            found.push(format!("{manifest}: is missing"));
            continue;
        };
        let lints = tree.text(&format!("crates/{name}/clippy.toml")).unwrap_or_default();
        for ban in BANNED.iter().filter(|ban| DETERMINED.contains(&name) && !lints.contains(**ban))
        {
            found.push(format!("crates/{name}/clippy.toml: has to ban {ban}"));
        }
        for dependency in dependencies(text).iter().filter(|found| !found.only_tests) {
            let other = dependency.name;
            let ours = other.strip_prefix("fairway-");
            if ours.is_some_and(|ours| !may.contains(&ours)) {
                found.push(format!("{manifest}: {name} must not depend on {other}"));
            }
            if PURE.contains(&name) && IMPURE.contains(&other) {
                found.push(format!("{manifest}: {name} is pure, and {other} is not"));
            }
            if NEAR_CLIENTS.contains(&name) && KUBERNETES.contains(&other) {
                found.push(format!("{manifest}: {name} knows nothing of Kubernetes; {other} does"));
            }
        }
    }
    for (path, text) in tree.ours(".rs") {
        let is_controller = path.starts_with("crates/controller/src/");
        if is_controller && !path.starts_with(EMBEDDED) && text.contains("fairway_proxy") {
            found.push(format!("{path}: only drivers/embedded.rs may name the data plane"));
        }
    }
    found
}

#[test]
fn layers_hold() {
    assert_none(&violations(Tree::of_repository()));
}

#[test]
fn every_layer_has_its_crate() {
    let crates = Tree::of_repository().folders_in("crates");
    for (name, _) in LAYERS {
        assert!(crates.contains(name), "crates/{name} is gone, and its layer is not");
    }
}

#[test]
fn a_dependency_against_the_layers_is_found() {
    let manifest = "[dependencies]\nfairway-api.workspace = true\n";
    assert_finds(&violations(&sketch(&[("crates/proxy/Cargo.toml", manifest)])), "fairway-api");
}

#[test]
fn a_dependency_of_tests_may_cross_layers() {
    let manifest = "[dev-dependencies]\nfairway-model.workspace = true\ntokio.workspace = true\n";
    assert_none(&violations(&sketch(&[("crates/api/Cargo.toml", manifest)])));
}

#[test]
fn a_pure_crate_without_its_bans_is_found() {
    let bans = BANNED.join("\n");
    let with = |lints: &str| {
        let manifest = ("crates/model/Cargo.toml", "");
        violations(&sketch(&[manifest, ("crates/model/clippy.toml", lints)]))
    };
    assert_none(&with(&bans));
    assert_finds(&with(&bans.replace("std::env::var", "")), "std::env::var");
}

#[test]
fn an_impure_dependency_of_a_pure_crate_is_found() {
    let manifest = "[dependencies]\ntokio.workspace = true\n";
    assert_finds(&violations(&sketch(&[("crates/api/Cargo.toml", manifest)])), "tokio");
}

#[test]
fn kubernetes_near_clients_is_found() {
    let manifest = "[target.'cfg(unix)'.dependencies]\nkube-cel.workspace = true\n";
    assert_finds(&violations(&sketch(&[("crates/proxy/Cargo.toml", manifest)])), "kube-cel");
}

#[test]
fn a_crate_without_a_layer_is_found() {
    assert_finds(&violations(&sketch(&[("crates/extra/Cargo.toml", "")])), "no layer");
}

#[test]
fn the_data_plane_named_outside_its_driver_is_found() {
    let manifest = ("crates/controller/Cargo.toml", "");
    let code = "use fairway_proxy::Proxy;\n";
    let inside = ("crates/controller/src/drivers/embedded.rs", code);
    let outside = ("crates/controller/src/status.rs", code);
    assert_finds(&violations(&sketch(&[manifest, inside, outside])), "status.rs");
}
