//! Benchmarks. Unlike tests they report, and judge nothing: a number is only good beside another one
//! that was measured in the same minute.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::cargo;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Time of a translation from nothing and of one change, and of the matcher (criterion).
    Translate,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match arguments.benchmark {
        Benchmark::Translate => translate(),
    }
}

fn translate() -> Result<ExitCode> {
    let arguments =
        ["bench", "--package", "fairway-translate", "--package", "fairway-model", "--benches"];
    let status = cargo::command(&arguments).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
