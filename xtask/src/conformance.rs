//! Runs Gateway API's own conformance suite, unmodified, against a lab: our chart, on a real API server.
//!
//! The exit code of the suite decides. Besides, every test that the suite holds has to be heard of, and none
//! but those of meshes may be skipped.

mod cluster;
mod output;
mod programs;
mod results;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo;
use crate::install::ensure_debian_package;
use cluster::Cluster;
use output::{Output, Said};
use results::Results;

/// Where the committed results are, by the suite's version.
const DOCS: &str = "docs/conformance";

const PROFILES: &str = "GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP";

/// How long the suite may take; it panics then, and says what it was at.
const LIMIT: Duration = Duration::from_mins(25);

/// What to run.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Run this test alone.
    #[arg(long, value_name = "TEST")]
    run_test: Option<String>,
    /// Profiles to claim, separated by commas.
    #[arg(long, value_name = "PROFILES", default_value = PROFILES)]
    profiles: String,
    /// Leave the lab as it is in the end: `cargo xtask lab --name conformance kubectl ...` looks around.
    #[arg(long)]
    keep: bool,
    /// Build optimised programs.
    #[arg(long)]
    release: bool,
    /// Write report and list of tests to docs/conformance, if the whole suite passes.
    #[arg(long)]
    update: bool,
    /// More flags for the suite, after `--`.
    #[arg(last = true)]
    flags: Vec<String>,
}

/// # Errors
/// Something does not build, or the lab does not come up. What the suite says is no error, but the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ensure_debian_package("iproute2", "ip")?;
    ensure_debian_package("nftables", "nft")?;
    let folder = cargo::target().join("conformance");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let lab = programs::build(arguments.release)?;
    let suite = programs::suite()?;
    let mut results = Results::of(&programs::list(&suite, &folder)?)?;
    let cluster = Cluster::start(lab, arguments.keep)?;
    let began = Instant::now();
    let succeeded = suite_in(&cluster, &suite, arguments, &folder, &mut results)?;
    let took = began.elapsed();
    let whole = arguments.run_test.is_none();
    let mut faults = results.faults(whole);
    if !succeeded {
        faults.insert(0, "the suite's exit code is not 0".to_owned());
    }
    let docs = cargo::root().join(DOCS).join(&results.version);
    if whole && arguments.profiles == PROFILES {
        let committed = fs::read_to_string(docs.join("tests.txt")).unwrap_or_default();
        if !committed.is_empty() && !arguments.update {
            faults.extend(results.differences(&committed));
        }
    }
    if !faults.is_empty() {
        cluster.collect(&folder.join("logs"))?;
        println!("logs of controller, proxies and lab: {}", folder.join("logs").display());
    }
    for fault in &faults {
        println!("FAILED: {fault}");
    }
    println!("what the suite said: {}", folder.join("output.txt").display());
    println!("{} in {:.0} s", results.summary(), took.as_secs_f64());
    if !faults.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    if arguments.update && whole {
        update(&docs, &folder, &results)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the suite, tells of each test as it ends, and says whether the suite succeeded.
fn suite_in(
    cluster: &Cluster,
    suite: &Path,
    arguments: &Arguments,
    folder: &Path,
    results: &mut Results,
) -> Result<bool> {
    let mut command = cluster.inside(suite);
    command
        .args(["-test.run", "^TestConformance$", "-test.v=test2json", "-test.parallel", "2"])
        .arg(format!("-test.timeout={}s", LIMIT.as_secs()))
        .arg(format!("--gateway-class={}", cluster::CLASS))
        .arg(format!("--conformance-profiles={}", arguments.profiles))
        .args(["--all-features", "--exempt-features=Mesh"])
        .arg(format!("--usable-address={}", cluster::USABLE_ADDRESS))
        .args(["--unusable-address=192.0.2.1", "--mode=default"])
        .args(["--organization=fairway", "--project=fairway", "--url=https://fairway.dev"])
        .arg(concat!("--version=v", env!("CARGO_PKG_VERSION")))
        .arg("--contact=https://fairway.dev");
    match &arguments.run_test {
        Some(test) => command.arg(format!("--run-test={test}")),
        None => command.arg(format!("--report-output={}", folder.join("report.yaml").display())),
    };
    command.args(&arguments.flags).current_dir(folder);
    // One pipe for both, so that lines keep their order.
    let (reader, writer) = std::io::pipe().context("making a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("starting the suite")?;
    // The command holds the pipe's other end, which has to close with the child's.
    drop(command);
    read(reader, &folder.join("output.txt"), results)?;
    ended(&mut child)
}

fn read(reader: std::io::PipeReader, copy: &Path, results: &mut Results) -> Result<()> {
    let file = fs::File::create(copy).with_context(|| format!("writing {}", copy.display()))?;
    let mut output = Output::new(std::io::BufWriter::new(file));
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("reading what the suite says")?;
        let Some(said) = output.read(&String::from_utf8_lossy(&line))? else { continue };
        if !results.take(&said) {
            continue;
        }
        tell(&said, results);
    }
    Ok(())
}

fn tell(said: &Said, results: &Results) {
    let seconds = said.seconds;
    println!("{:>9}  {}  {:<60} {seconds:>7.2} s", results.progress(), said.result, said.name);
    for line in &said.log {
        println!("           | {line}");
    }
}

fn ended(child: &mut Child) -> Result<bool> {
    Ok(child.wait().context("waiting for the suite")?.success())
}

fn update(docs: &PathBuf, folder: &Path, results: &Results) -> Result<()> {
    fs::create_dir_all(docs).with_context(|| format!("making {}", docs.display()))?;
    fs::write(docs.join("tests.txt"), results.list()).context("writing the list of tests")?;
    fs::copy(folder.join("report.yaml"), docs.join("report.yaml")).context("copying the report")?;
    println!("written to {}", docs.display());
    Ok(())
}
