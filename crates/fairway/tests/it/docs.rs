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

/// The last column of the table of Gateway API v1.7.0 names its tests.
#[test]
fn what_the_additions_of_gateway_api_name_exists() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(docs().join(name)).expect("the page");
    let page = read("conformance/README.md");
    let passed = read("conformance/v1.6.3/tests.txt");
    let (_, table) = page.split_once("| --- | --- | --- |\n| `retry`").expect("the table");
    let mut named = 0;
    for row in table.lines().take_while(|line| line.ends_with('|')) {
        let cell = row.trim_end_matches('|').rsplit('|').next().expect("a last cell");
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "nothing stands for: {row}");
        for name in names {
            let file = if let Some(module) = name.strip_prefix("cluster::") {
                crates.join(format!("fairway/tests/it/cluster/{module}.rs"))
            } else if name.ends_with(".rs") {
                crates.join(name)
            } else if name.contains('/') {
                crates.join(format!("translate/tests/golden/{name}.yaml"))
            } else {
                let line = format!("PASS {name}");
                assert!(passed.lines().any(|passed| passed == line), "{name} is no test");
                continue;
            };
            assert!(file.is_file(), "{name}: there is no {}", file.display());
            named += 1;
        }
    }
    assert!(named > 30, "the table was read");
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
