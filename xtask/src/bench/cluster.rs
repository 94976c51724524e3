//! The benchmark on a real API server: hands everything over to the `fairway` crate's, which knows clusters.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo;
use crate::install::ensure_debian_package;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Cargo profile to build with.
    #[arg(long, default_value = "dist")]
    profile: String,

    /// sequence, burst, many: all of them when none is named; --help tells more.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ensure_debian_package("iproute2", "ip")?;
    ensure_debian_package("nftables", "nft")?;
    ensure_debian_package("curl", "curl")?;
    let status = cargo::command(&["bench", "--package", "fairway", "--bench", "cluster"])
        .args(["--profile", &arguments.profile, "--"])
        .args(&arguments.arguments)
        .status()
        .context("starting cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
