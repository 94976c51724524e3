//! Installs what a chore needs beyond Rust and a C compiler, saying so first; where it may not, says
//! which package is missing and the command that installs it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

/// Gives the path of `program`, which the Debian package `package` holds.
///
/// # Errors
/// When it is missing and cannot be installed here: no apt-get, not root, or apt-get fails.
pub(crate) fn ensure_debian_package(package: &str, program: &str) -> Result<PathBuf> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    let remedy = format!("{program} is needed: install it with `sudo apt-get install {package}`");
    if find("apt-get").is_none() {
        bail!(
            "{program} is needed, and this machine has no apt-get: install {package} by other means"
        );
    }
    if !is_root() {
        bail!("{remedy}");
    }
    println!("{program} is missing: installing Debian's package {package} with apt-get");
    if !install(package)? {
        println!("apt-get does not find it: fetching the list of packages first");
        apt_get(&["update", "-q"])?;
        if !install(package)? {
            bail!("apt-get install {package} failed; {remedy}");
        }
    }
    match find(program) {
        Some(path) => Ok(path),
        None => bail!("package {package} is installed and holds no {program}"),
    }
}

fn install(package: &str) -> Result<bool> {
    apt_get(&["install", "--yes", "-q", "--no-install-recommends", package])
}

fn apt_get(arguments: &[&str]) -> Result<bool> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // In single-user mode packages do not start their services.
        .env("RUNLEVEL", "1")
        .status()?;
    Ok(status.success())
}

/// Looks for a program where shells do, and where Debian puts servers.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
