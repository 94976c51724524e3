//! The documents are true: links lead somewhere, and ARCHITECTURE.md knows every crate and names only
//! places that exist.

use crate::tree::Tree;
use crate::{assert_finds, assert_none, sketch};

fn dead_links(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ours(".md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in links(text) {
            let file = target.split_once('#').map_or(target, |(file, _)| file);
            let is_elsewhere = file.contains("://") || file.starts_with("mailto:");
            if !is_elsewhere && !tree.holds(&joined(folder, file)) {
                found.push(format!("{path}: the link to {target} leads nowhere"));
            }
        }
    }
    found
}

/// Gives the targets of `[text](target)` and of `[text]: target`, outside blocks of code.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(inline.map(|(target, _)| target));
        let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        found.extend(reference.map(|(_, target)| target.trim()));
    }
    found
}

/// Resolves a relative link in a file of `folder`.
fn joined(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return format!("outside the repository: {link}");
                }
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

const MAP: &str = "ARCHITECTURE.md";

fn holes_in_the_map(tree: &Tree) -> Vec<String> {
    let Some(map) = tree.text(MAP) else { return vec![format!("{MAP}: is missing")] };
    let crates = tree.folders_in("crates");
    let mut found = Vec::new();
    for name in &crates {
        if !map.contains(&format!("| `{name}` |")) {
            found.push(format!("{MAP}: the code map has no row for `{name}`"));
        }
        if !map.contains(&format!("### `{name}`")) {
            found.push(format!("{MAP}: no section says what `{name}` is and is not"));
        }
    }
    for place in map.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
        let in_crate = place.split_once('/').is_some_and(|(name, _)| crates.contains(&name));
        let is_pattern = place.contains(['<', '{', '*', ' ']);
        let exists =
            tree.holds(&format!("crates/{place}")) || tree.holds(&format!("crates/{place}.rs"));
        if in_crate && !is_pattern && !exists {
            found.push(format!("{MAP}: names `{place}`, which does not exist"));
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    assert_none(&dead_links(Tree::of_repository()));
}

#[test]
fn the_map_is_true() {
    assert_none(&holes_in_the_map(Tree::of_repository()));
}

#[test]
fn a_dead_link_is_found() {
    let text =
        "[a](b.md#part) and [c](gone.md), [d](https://example.test/x)\n```\n[e](f.md)\n```\n";
    let tree = sketch(&[("docs/a.md", text), ("docs/b.md", "[up](../docs/a.md)\n")]);
    assert_finds(&dead_links(&tree), "gone.md");
    assert_finds(&dead_links(&sketch(&[("a.md", "[b]: ../../etc/passwd\n")])), "nowhere");
}

#[test]
fn a_hole_in_the_map_is_found() {
    let code = ("crates/model/src/lib.rs", "");
    let row = "| `model` | plain data |\n";
    let whole = format!("{row}### `model`\n");
    let with_map = |map: &str| holes_in_the_map(&sketch(&[code, ("ARCHITECTURE.md", map)]));
    assert_none(&with_map(&format!("{whole}`model/src/lib.rs`, `model/src/<name>.rs`\n")));
    assert_finds(&with_map(row), "no section");
    assert_finds(&with_map("### `model`\n"), "no row");
    assert_finds(&with_map(&format!("{whole}`model/src/gone.rs`\n")), "gone.rs");
    assert_finds(&holes_in_the_map(&sketch(&[code])), "missing");
}
