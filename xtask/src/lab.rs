//! The lab, for people: hands everything over to `fairway-lab`, which is built first.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo;
use crate::install::ensure_debian_package;

/// What is handed over.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// up, down, shell, kubectl, exec; each explains itself with --help.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// # Errors
/// It does not build, or what it needs cannot be installed.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ensure_debian_package("iproute2", "ip")?;
    ensure_debian_package("nftables", "nft")?;
    let status = cargo::command(&["run", "--quiet", "--package", "fairway-lab", "--"])
        .args(&arguments.arguments)
        .status()
        .context("starting cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
