//! Cargo manifests: versions and features of dependencies stand in the root's alone, and lints are
//! inherited by every crate.

use crate::tree::Tree;
use crate::{assert_finds, assert_none, sketch};

/// A line that names a dependency.
pub(crate) struct Dependency<'a> {
    pub(crate) name: &'a str,
    /// Whether only tests and benchmarks use it.
    pub(crate) only_tests: bool,
    /// Whether it is written as `name.workspace = true`, which is all that a crate has to say; its tests may ask
    /// for features besides.
    inherited: bool,
}

/// Reads the dependencies of a manifest. It need not be TOML's every form: a form that is not read as
/// `name.workspace = true` is a violation anyway.
pub(crate) fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            // [dependencies.name] spells one dependency out.
            if let Some((kind, name)) = section.rsplit_once("dependencies.") {
                found.push(Dependency {
                    name,
                    only_tests: kind.ends_with("dev-"),
                    inherited: false,
                });
            }
        } else if section.ends_with("dependencies")
            && !line.starts_with('#')
            && let Some((name, _)) = line.split_once(['.', ' ', '='])
        {
            let rest = line.strip_prefix(name).unwrap_or_default();
            let only_tests = section.ends_with("dev-dependencies");
            // What the root switched on for tests would be on in what is released, too.
            let for_tests = only_tests && rest.starts_with(" = { workspace = true, features = [");
            let inherited = rest == ".workspace = true" || for_tests;
            found.push(Dependency { name, only_tests, inherited });
        }
    }
    found
}

fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ours("Cargo.toml").filter(|(path, _)| *path != "Cargo.toml") {
        for dependency in dependencies(text).iter().filter(|dependency| !dependency.inherited) {
            let name = dependency.name;
            found.push(format!(
                "{path}: write `{name}.workspace = true`; all else stands in the root"
            ));
        }
        if !text.contains("[lints]\nworkspace = true\n") {
            found.push(format!("{path}: does not inherit the workspace's lints"));
        }
        for field in ["version", "edition", "license", "rust-version"] {
            if !text.contains(&format!("\n{field}.workspace = true\n")) {
                found.push(format!("{path}: does not inherit `{field}`"));
            }
        }
    }
    found
}

#[test]
fn manifests_inherit_what_is_shared() {
    assert_none(&violations(Tree::of_repository()));
}

const GOOD: &str = "[package]\nversion.workspace = true\nedition.workspace = true\n\
    license.workspace = true\nrust-version.workspace = true\n[lints]\nworkspace = true\n\
    [dependencies]\n";

fn with(line: &str) -> Vec<String> {
    violations(&sketch(&[("crates/model/Cargo.toml", &format!("{GOOD}{line}\n"))]))
}

#[test]
fn an_inherited_dependency_is_well() {
    assert_none(&with("# why\nserde.workspace = true"));
    let for_tests = "tokio = { workspace = true, features = [\"test-util\"] }";
    assert_none(&with(&format!("[dev-dependencies]\n{for_tests}")));
    assert_finds(&with(for_tests), "tokio");
}

#[test]
fn a_version_in_a_crate_is_found() {
    assert_finds(&with("serde = \"1\""), "serde");
    assert_finds(&with("serde = { workspace = true, features = [\"rc\"] }"), "serde");
    assert_finds(&with("[dependencies.serde]\nworkspace = true\nfeatures = [\"rc\"]"), "serde");
}

#[test]
fn lints_that_are_not_inherited_are_found() {
    let manifest = GOOD.replace("[lints]\nworkspace = true\n", "");
    assert_finds(&violations(&sketch(&[("crates/model/Cargo.toml", &manifest)])), "lints");
}
