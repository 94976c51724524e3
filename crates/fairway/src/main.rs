//! The `fairway` binary: command line verbs and the wiring of roles, nothing else.

fn main() {}
