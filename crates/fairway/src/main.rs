//! The `fairway` binary: command line verbs and the wiring of roles, nothing else.

mod arguments;
mod cli;
mod echo;

fn main() {}
