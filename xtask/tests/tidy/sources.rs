//! Every source file is short, says first what it is for, and is compiled.

use crate::tree::Tree;
use crate::{assert_finds, assert_none, sketch};

const MAX_LINES: usize = 600;

fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ours(".rs") {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            found
                .push(format!("{path}: {lines} lines of at most {MAX_LINES}; split it by concept"));
        }
        if !text.starts_with("//!") {
            found.push(format!("{path}: begin with //! and what the file is for"));
        }
        if !is_compiled(tree, path) {
            found.push(format!("{path}: no `mod` names this file, so nothing compiles it"));
        }
        // In two halves, since this file is checked too.
        let exception = concat!("expect(unsafe", "_code");
        if text.contains(exception) && !path.ends_with("/sys.rs") {
            found.push(format!("{path}: unsafe code belongs into a file sys.rs"));
        }
    }
    found
}

/// Whether a target of cargo's, or a `mod` in the file above it, leads to this file.
fn is_compiled(tree: &Tree, path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    let stem = name.trim_end_matches(".rs");
    let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
    let in_package = |folder: &str| tree.text(&format!("{folder}/Cargo.toml")).is_some();
    let is_target_folder = ["/tests", "/benches", "/examples", "/src/bin"]
        .iter()
        .any(|target| folder.strip_suffix(target).is_some_and(in_package));
    let is_root = folder.ends_with("/src") && matches!(stem, "lib" | "main")
        || folder.ends_with("/tests/tidy") && stem == "main"
        || in_package(folder) && stem == "build"
        || folder.starts_with("fuzz/");
    if is_target_folder || is_root {
        return true;
    }
    let parents = [format!("{folder}/lib.rs"), format!("{folder}/main.rs"), format!("{folder}.rs")];
    let by_path = format!("/{name}\"]");
    let named = parents.iter().filter_map(|parent| tree.text(parent)).any(|text| names(text, stem));
    // A test binary may give the path of a file in its folder.
    let mut beside = tree.ours(".rs").filter(|(other, _)| {
        other
            .strip_prefix(above)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|rest| !rest.contains('/'))
    });
    named || beside.any(|(_, text)| text.contains(&by_path) && names(text, stem))
}

fn names(text: &str, module: &str) -> bool {
    let declaration = format!("mod {module};");
    text.lines().map(str::trim).any(|line| {
        line.strip_suffix(&declaration).is_some_and(|before| {
            let before = before.trim();
            before.is_empty() || before.starts_with("pub") || before.ends_with(']')
        })
    })
}

#[test]
fn sources_are_short_introduced_and_compiled() {
    assert_none(&violations(Tree::of_repository()));
}

#[test]
fn a_long_file_is_found() {
    let long = format!("//! Long.\n{}", "//\n".repeat(MAX_LINES));
    assert_finds(&violations(&sketch(&[("crates/model/src/lib.rs", &long)])), "601 lines");
}

#[test]
fn a_file_without_an_introduction_is_found() {
    assert_finds(&violations(&sketch(&[("crates/model/src/lib.rs", "// No.\n")])), "//!");
}

#[test]
fn a_file_that_nothing_compiles_is_found() {
    let parent = "//! Parent.\n// mod lost;\npub(crate) mod kept;\nmod also_lost { }\n";
    let child = "//! Child.\n";
    let lost = violations(&sketch(&[
        ("crates/model/src/lib.rs", parent),
        ("crates/model/src/kept.rs", child),
        ("crates/model/src/lost.rs", child),
    ]));
    assert_finds(&lost, "lost.rs");
}

#[test]
fn modules_of_a_test_binary_are_compiled() {
    let good = violations(&sketch(&[
        ("crates/model/Cargo.toml", ""),
        ("crates/model/tests/it.rs", "//! Tests.\nmod it {\n    mod laws;\n}\n"),
        ("crates/model/tests/it/laws.rs", "//! Laws.\n"),
        ("crates/api/Cargo.toml", ""),
        ("crates/api/tests/it.rs", "//! Tests.\n#[path = \"it/crds.rs\"]\nmod crds;\n"),
        ("crates/api/tests/it/crds.rs", "//! CRDs.\n"),
    ]));
    assert_none(&good);
}

#[test]
fn unsafe_code_outside_sys_is_found() {
    let text = concat!("//! Sly.\n#![expect(unsafe", "_code, reason = \"fast\")]\n");
    assert_finds(&violations(&sketch(&[("crates/proxy/src/lib.rs", text)])), "sys.rs");
}
