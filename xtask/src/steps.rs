//! The steps of `cargo xtask test`, in the order in which they fail fastest. Each says its name and its
//! time; none stops the others, so that one run tells everything.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo;
use crate::install::ensure_debian_package;
use crate::tally::Tally;

/// One call of cargo.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The toolchain's component that answers, where it is not part of every installation.
    component: Option<&'static str>,
}

const FORMAT: Step =
    Step { name: "format", arguments: &["fmt", "--all", "--check"], component: Some("rustfmt") };
const TIDY: Step =
    Step { name: "tidy", arguments: &["test", "--package", "xtask"], component: None };
const CLIPPY: Step = Step {
    name: "clippy",
    arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    component: Some("clippy"),
};
/// Tests of a cluster need these programs; built beside running tests, they would take the machine from them.
const LAB: Step = Step {
    name: "lab",
    arguments: &["run", "--package", "fairway-lab", "--", "build"],
    component: None,
};
const TESTS: Step = Step {
    name: "tests",
    arguments: &["test", "--workspace", "--exclude", "xtask", "--no-fail-fast"],
    component: None,
};

/// Gateway API's own suite, whole: it judges what our tests cannot, what others mean by the same words.
const CONFORMANCE: Step =
    Step { name: "conformance", arguments: &["xtask", "conformance"], component: None };

/// Runs every step.
pub(crate) fn test() -> Result<ExitCode> {
    // What tests call besides Rust and Go: networks of their own, and requests.
    for (package, program) in [("iproute2", "ip"), ("nftables", "nft"), ("curl", "curl")] {
        ensure_debian_package(package, program)?;
    }
    run(&[FORMAT, TIDY, CLIPPY, LAB, TESTS, CONFORMANCE])
}

/// Runs the checks on the code itself.
pub(crate) fn tidy() -> Result<ExitCode> {
    run(&[TIDY])
}

fn run(steps: &[Step]) -> Result<ExitCode> {
    let mut total = Tally::default();
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for step in steps {
        let begin = Instant::now();
        println!("\n==> {}: cargo {}", step.name, step.arguments.join(" "));
        let (tally, succeeded) = step.run()?;
        let took = begin.elapsed();
        println!("<== {}: {} in {}", step.name, word(succeeded), seconds(took));
        total.add(tally);
        times.push((step.name, succeeded, took));
        if !succeeded {
            failed.push(step.name);
        }
    }
    println!();
    for (name, succeeded, took) in times {
        println!("{name:>11}  {:<6}  {:>8}", word(succeeded), seconds(took));
    }
    for name in &total.broken {
        println!("FAILED: {name}");
    }
    let skips_are_failures = std::env::var("CI").is_ok_and(|value| value == "true");
    for name in &total.skipped {
        println!("SKIPPED: {name}: this test did not run");
    }
    if skips_are_failures && !total.skipped.is_empty() {
        println!("FAILED: with CI=true every test has to run, and {} did not", total.skipped.len());
        failed.push("skipped tests");
    }
    if !failed.is_empty() {
        println!("FAILED: {}", failed.join(", "));
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    let succeeded = failed.is_empty() && total.failed == 0;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Step {
    /// Runs the step, passes its output on, and gives its tally and whether it succeeded.
    fn run(&self) -> Result<(Tally, bool)> {
        if let Some(component) = self.component
            && !self.is_installed()?
        {
            println!("this step needs the component {component}: rustup component add {component}");
            return Ok((Tally::default(), false));
        }
        let mut command = cargo::command(self.arguments);
        passed_on(&mut command).with_context(|| format!("running step {}", self.name))
    }

    fn is_installed(&self) -> Result<bool> {
        let tool = self.arguments.first().expect("every step names a cargo command");
        let status = cargo::command(&[tool, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("running cargo")?;
        Ok(status.success())
    }
}

/// Runs a command to its end, with its standard output shown and counted line by line.
pub(crate) fn passed_on(command: &mut Command) -> Result<(Tally, bool)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("the child's output was asked for");
    let mut tally = Tally::default();
    let mut stdout = std::io::stdout().lock();
    // A test may print anything: lines are bytes until they are counted.
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        stdout.write_all(&line)?;
        stdout.write_all(b"\n")?;
        tally.read(&String::from_utf8_lossy(&line));
    }
    let status = child.wait()?;
    Ok((tally, status.success()))
}

fn word(succeeded: bool) -> &'static str {
    if succeeded { "ok" } else { "FAILED" }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
