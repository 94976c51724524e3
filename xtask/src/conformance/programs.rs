//! Builds what a run needs: Fairway and the lab by cargo, the suite by Go.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Builds Fairway and the lab; gives the lab's program, which finds Fairway beside itself.
pub(super) fn build(release: bool) -> Result<PathBuf> {
    println!("building fairway and the lab");
    let mut command =
        cargo::command(&["build", "--package", "fairway", "--package", "fairway-lab"]);
    if release {
        command.arg("--release");
    }
    if !command.status().context("starting cargo")?.success() {
        bail!("fairway and the lab do not build; cargo's messages stand above");
    }
    let folder = cargo::target().join(if release { "release" } else { "debug" });
    Ok(folder.join("fairway-lab"))
}

/// Builds the suite unless it is there already.
pub(super) fn suite() -> Result<PathBuf> {
    let module = cargo::root().join("conformance");
    let program = cargo::target().join("lab/bin/conformance.test");
    let inputs = ["go.mod", "go.sum", "conformance_test.go"].map(|name| module.join(name));
    if is_newer(&program, &inputs) {
        return Ok(program);
    }
    println!("building the conformance suite");
    let began = Instant::now();
    let status = Command::new("go")
        .args(["test", "-c", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&module)
        .status()
        .context(
            "the suite is built with Go 1.26 or newer, and `go` cannot be run; see go.dev/dl",
        )?;
    if !status.success() {
        bail!("the conformance suite does not build; what go said stands above");
    }
    println!("built it in {:.0} s", began.elapsed().as_secs_f64());
    Ok(program)
}

/// Has the suite's own binary list its tests.
pub(super) fn list(suite: &Path, folder: &Path) -> Result<String> {
    let file = folder.join("list.txt");
    let status = Command::new(suite)
        .args(["-test.run", "^TestList$", "-list-to"])
        .arg(&file)
        .stdout(std::process::Stdio::null())
        .status()
        .context("asking the suite for its tests")?;
    if !status.success() {
        bail!("the suite does not list its tests");
    }
    fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
}

fn is_newer(program: &Path, inputs: &[PathBuf]) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let Some(built) = changed(program) else { return false };
    inputs.iter().all(|input| changed(input).is_some_and(|input| input <= built))
}
