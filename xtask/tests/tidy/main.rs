//! Rules that the compiler cannot check, each with a proof that it can fail: who may depend on whom, how
//! long a file may be, that every file is compiled and says what it is for, that the map is true.

#![expect(clippy::panic, reason = "a test says by a panic that it failed")]

mod docs;
mod golden;
mod layers;
mod manifest;
mod names;
mod sources;
mod tree;
mod words;

use tree::Tree;

/// Fails with every violation, so that one run shows all there is to mend.
fn assert_none(violations: &[String]) {
    if !violations.is_empty() {
        panic!("{} violations:\n  {}", violations.len(), violations.join("\n  "));
    }
}

/// Fails unless the check finds exactly one violation, which contains `word`.
fn assert_finds(violations: &[String], word: &str) {
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].contains(word), "{violations:?} does not say `{word}`");
}

/// Makes a tree of a few files, for the proofs.
fn sketch(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect()
}
