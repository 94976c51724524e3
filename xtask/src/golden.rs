//! Runs the golden cases of `translate` and of the fleets, or has them write what they expect. The cases and the
//! writing are in the tests of their crates; this only spares people the names of environment variables.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo;
use crate::steps::passed_on;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Write what each case gives below its `# expect` line. Read the difference before you commit it.
    #[arg(long)]
    update: bool,

    /// Only the cases whose path, like `http_route/redirect`, contains this.
    filter: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut command = cargo::command(&[
        "test",
        "--package",
        "fairway-translate",
        "--package",
        "fairway-controller",
        "--test",
        "it",
        "golden",
    ]);
    if arguments.update {
        command.env("FAIRWAY_GOLDEN", "update");
    }
    if let Some(filter) = &arguments.filter {
        command.env("FAIRWAY_GOLDEN_FILTER", filter);
    }
    let (_, succeeded) = passed_on(&mut command).context("running the golden cases")?;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
