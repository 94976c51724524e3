//! Benchmarks. Unlike tests they report, and judge nothing: a number is only good beside another one
//! that was measured in the same minute. All of them stay on loopback or in a lab, and end by themselves.

mod apply;
mod backend;
mod client;
mod cluster;
mod fairway;
mod figures;
mod http;
mod nginx;
mod process;

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
    /// From a file's change to its traffic; start, translation and memory at 100 to 10,000 routes.
    Apply(apply::Arguments),
    /// From the writing of an HTTPRoute on a real API server to its traffic and status; memory with 10,000 of them.
    Cluster(cluster::Arguments),
    /// CPU seconds for 100,000 requests over HTTP/1.1 keep-alive, beside Debian's nginx.
    Http(http::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.benchmark {
        Benchmark::Translate => translate(),
        Benchmark::Apply(arguments) => apply::run(arguments),
        Benchmark::Cluster(arguments) => cluster::run(arguments),
        Benchmark::Http(arguments) => http::run(arguments),
    }
}

fn translate() -> Result<ExitCode> {
    let packages = ["--package", "fairway-translate", "--package", "fairway-model"];
    let status = cargo::command(&["bench", "--benches"]).args(packages).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
