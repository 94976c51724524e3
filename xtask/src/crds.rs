//! Has the CRDs written that `crates/api` gives. The test there that holds the files to the types writes
//! them when it is asked to; so chores need not be built with all of `crates/api`.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo;
use crate::steps::passed_on;

pub(crate) fn write() -> Result<ExitCode> {
    let mut command = cargo::command(&["test", "--package", "fairway-api", "--test", "it", "crds"]);
    let (_, succeeded) =
        passed_on(command.env("FAIRWAY_CRDS", "update")).context("writing the CRDs")?;
    if succeeded {
        println!("charts/fairway/crds holds what crates/api gives");
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
