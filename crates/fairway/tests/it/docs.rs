//! What the documents say is true: their examples pass, and their list of features is complete.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fairway_model::Feature;

use crate::rig::{fairway, text};

/// What the examples refer to.
const AROUND: &str = "\
apiVersion: fairway.dev/v1alpha1
kind: Gateway
metadata: {namespace: shop, name: public}
spec:
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: database, port: 5432, protocol: TCP}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: cart}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: cart-canary}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: database}
spec: {ports: [{port: 5432}]}
";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[test]
fn the_examples_of_traffic_route_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("around.yaml"), AROUND).expect("written");
    let page = fs::read_to_string(docs().join("traffic-route.md")).expect("the page");
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
        .collect();
    assert!(examples.len() >= 7, "there are examples");
    for (nth, example) in examples.iter().enumerate() {
        fs::write(folder.path().join(format!("{nth}.yaml")), example).expect("written");
    }
    let output = fairway(&["check", &folder.path().display().to_string(), "--strict"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn the_list_of_features_is_complete() {
    let path = docs().join("features.md");
    let wanted = features();
    if std::env::var("FAIRWAY_GOLDEN").is_ok_and(|word| word == "update") {
        fs::write(&path, &wanted).expect("written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let command = "FAIRWAY_GOLDEN=update cargo test -p fairway --test it docs";
    assert!(found == wanted, "docs/features.md is out of date: `{command}` writes it");
}

fn features() -> String {
    let mut page = String::from(
        "# Features\n\nEverything that a configuration can ask of a data plane, by the names that tests and \
         messages use. Fairway's own data\nplane is the only one so far. A test keeps this list complete.\n\n\
         | name | what it is |\n| --- | --- |\n",
    );
    for feature in Feature::ALL {
        writeln!(page, "| `{}` | {} |", feature.name(), feature.description())
            .expect("writing to a String never fails");
    }
    page
}
