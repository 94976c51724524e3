//! Chores of the project: `cargo xtask help` lists them.

#![expect(clippy::print_stdout, reason = "a chore tells people what it does as it does it")]

mod bench;
mod cargo;
mod conformance;
mod crds;
mod golden;
mod install;
mod lab;
mod steps;
mod tally;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Fairway project: tests, generated files, benchmarks.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Run all that must hold before a change lands: format, tidy checks, clippy, tests, conformance.
    ///
    /// Every step runs, also after one that failed. The last line sums up cargo's own result lines.
    /// With CI=true in the environment a skipped (ignored) test counts as a failure.
    #[command(visible_alias = "ci")]
    Test,
    /// Run the checks on the code itself: layers, sizes, names, links.
    Tidy,
    /// Write Fairway's CRDs to charts/fairway/crds, from the types in crates/api.
    Crds,
    /// Run the golden cases of `translate`, or write what they expect anew.
    Golden(golden::Arguments),
    /// Start, use and stop a real API server on this machine: `cargo xtask lab up`. Needs root and Go.
    #[command(disable_help_flag = true)]
    Lab(lab::Arguments),
    /// Run Gateway API's own conformance suite against a lab. Needs root and Go.
    Conformance(conformance::Arguments),
    /// Run a benchmark, with optimised builds.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Test => steps::test(),
        Chore::Tidy => steps::tidy(),
        Chore::Crds => crds::write(),
        Chore::Golden(arguments) => golden::run(&arguments),
        Chore::Lab(arguments) => lab::run(&arguments),
        Chore::Conformance(arguments) => conformance::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        println!("error: {error:#}");
        ExitCode::FAILURE
    })
}
