//! Golden cases show one thing each, and expect something. That they are fresh is tested where they run.

use crate::tree::Tree;
use crate::{assert_finds, assert_none, sketch};

const MAX_LINES: usize = 150;
/// A fleet is a handful of whole Kubernetes objects, and each line of them is what is looked at.
const MAX_LINES_OF_FLEET: usize = 400;

fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let cases = [".yaml", ".yml"].into_iter().flat_map(|extension| tree.ours(extension));
    for (path, text) in cases.filter(|(path, _)| path.contains("/tests/golden/")) {
        let lines = text.lines().count();
        let most = if path.contains("/fleet/") { MAX_LINES_OF_FLEET } else { MAX_LINES };
        if lines > most {
            found.push(format!("{path}: {lines} lines of at most {most}; show one thing a case"));
        }
        let is_case = !path.ends_with("/_defaults.yaml");
        let expects =
            text.split_once("\n# expect\n").is_some_and(|(_, rest)| !rest.trim().is_empty());
        if is_case && !expects {
            found.push(format!("{path}: expects nothing; run `cargo xtask golden --update`"));
        }
    }
    found
}

#[test]
fn golden_cases_are_short_and_complete() {
    assert_none(&violations(Tree::of_repository()));
}

#[test]
fn a_long_case_is_found() {
    let long = format!("{}---\n# expect\nverdicts: {{}}\n", "a: 1\n".repeat(MAX_LINES));
    assert_finds(
        &violations(&sketch(&[("crates/t/tests/golden/cors/long.yaml", &long)])),
        "153 lines",
    );
}

#[test]
fn a_case_that_expects_nothing_is_found() {
    let case = "kind: HTTPRoute\n---\n# expect\n";
    assert_finds(&violations(&sketch(&[("crates/t/tests/golden/cors/a.yaml", case)])), "nothing");
    assert_none(&violations(&sketch(&[("crates/t/tests/golden/cors/_defaults.yaml", "a: 1\n")])));
}
