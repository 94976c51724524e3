//! What must not stand in the repository: paths of somebody's machine, hosts that a mirror may replace,
//! and marks of unfinished edits.

use crate::tree::Tree;
use crate::{assert_finds, assert_none, sketch};

/// Each in two halves, so that this file does not contain it.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/ro", "ot/", "a path of one machine"),
    ("/wo", "rk/", "a path of one machine"),
    ("/Us", "ers/", "a path of one machine"),
    ("index.crates", ".io", "a registry's host: whoever builds may use a mirror"),
    ("static.crates", ".io", "a registry's host: whoever builds may use a mirror"),
    ("proxy.golang", ".org", "a registry's host: whoever builds may use a mirror"),
    ("registry.npmjs", ".org", "a registry's host: whoever builds may use a mirror"),
    ("deb.debian", ".org", "a registry's host: whoever builds may use a mirror"),
    ("<<<<", "<<< ", "a conflict that is not settled"),
    (">>>>", ">>> ", "a conflict that is not settled"),
    ("DO NOT", " COMMIT", "a mark of an unfinished edit"),
];

fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ours("").filter(|(path, _)| !path.ends_with(".lock")) {
        for (number, line) in text.lines().enumerate() {
            for (start, end, what) in FORBIDDEN {
                let word = format!("{start}{end}");
                if line.contains(&word) {
                    found.push(format!("{path}:{}: `{word}` is {what}", number + 1));
                }
            }
        }
    }
    found
}

#[test]
fn forbidden_words_are_nowhere() {
    assert_none(&violations(Tree::of_repository()));
}

#[test]
fn each_forbidden_word_is_found() {
    for (start, end, what) in FORBIDDEN {
        let text = format!("all is well\nbut {start}{end} is not\n");
        assert_finds(&violations(&sketch(&[("docs/a.md", &text)])), what);
    }
    assert_none(&violations(&sketch(&[("Cargo.lock", concat!("index.crates", ".io"))])));
}
