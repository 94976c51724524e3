//! Names that say nothing are not used, for files as for types: one cannot guess what is in them.

use crate::tree::Tree;
use crate::{assert_finds, assert_none, sketch};

/// Names of files and modules from which nothing can be guessed.
const FILES: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "misc", "types", "traits", "consts", "manager",
    "context", "handler",
];

/// Ends of names of types that do not say what the type is.
const TYPES: &[&str] =
    &["Utils", "Util", "Helpers", "Helper", "Common", "Misc", "Manager", "Context", "Handler"];

fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ours(".rs") {
        let parts = path.trim_end_matches(".rs").split('/');
        for part in parts.filter(|part| FILES.contains(part)) {
            found.push(format!("{path}: `{part}` does not say what is in the file"));
        }
        if path.ends_with("/mod.rs") {
            found.push(format!("{path}: write foo.rs beside foo/, so that tabs have names"));
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = declared_type(line)
                && TYPES.iter().any(|end| name.ends_with(end))
            {
                let line = number + 1;
                found.push(format!("{path}:{line}: `{name}` does not say what the type is"));
            }
        }
    }
    found
}

/// Gives the name of the type that a line declares.
fn declared_type(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let declaration = ["struct ", "enum ", "trait ", "type "]
        .iter()
        .find_map(|keyword| line.strip_prefix(keyword))?;
    declaration.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[test]
fn names_say_something() {
    assert_none(&violations(Tree::of_repository()));
}

#[test]
fn a_file_whose_name_says_nothing_is_found() {
    assert_finds(&violations(&sketch(&[("crates/proxy/src/utils.rs", "")])), "utils");
    assert_finds(&violations(&sketch(&[("crates/proxy/src/common/tls.rs", "")])), "common");
    assert_finds(&violations(&sketch(&[("crates/proxy/src/tls/mod.rs", "")])), "foo.rs");
}

#[test]
fn a_type_whose_name_says_nothing_is_found() {
    let text = "struct A;\n    pub(crate) struct RouteContext<'a> {\n";
    assert_finds(
        &violations(&sketch(&[("crates/proxy/src/route.rs", text)])),
        "rs:2: `RouteContext`",
    );
}

#[test]
fn a_name_that_is_only_used_is_well() {
    let text = "use std::task::Context;\nfn poll(_: &mut Context<'_>) {}\n// type Handler\n";
    assert_none(&violations(&sketch(&[("crates/proxy/src/route.rs", text)])));
}
