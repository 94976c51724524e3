//! From the change of a file to its traffic: with 100, 1,000 and 10,000 HTTPRoutes in a directory, one
//! file is rewritten again and again, and a client asks until the new route answers. Each change waits
//! until the one before has settled, statuses included; what settling costs is reported as CPU time.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::backend::Backend;
use super::client::{Connection, get};
use super::fairway::{self, Fairway, HOST, Start};
use super::figures::{median, milliseconds, quantile};
use super::process::{Folder, Server};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How many routes to measure with; may be given often.
    #[arg(long = "routes", default_values_t = [100, 1_000, 10_000])]
    routes: Vec<usize>,

    /// Changes measured at each size.
    #[arg(long, default_value_t = 50)]
    changes: usize,

    /// Cargo profile that fairway is built with.
    #[arg(long, default_value = "dist")]
    profile: String,
}

/// Routes in one file; the changed one has a file of its own.
const ROUTES_IN_A_FILE: usize = 100;
/// What fairway says of its last change: reading the files, and translating. Zero where it says nothing.
const STAGES: [&str; 2] = ["fairway_scan_seconds", "fairway_translate_seconds"];
/// How often the client asks. It is small beside what is measured, and leaves the processor to fairway.
const STEP: Duration = Duration::from_micros(500);
/// A server that used none of the processor for so long has settled: some ticks of the kernel's count.
const QUIET: Duration = Duration::from_millis(150);

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let binary = fairway::build(&arguments.profile)?;
    println!("{} changes at each size; times in milliseconds, memory in MiB", arguments.changes);
    println!(
        "| routes | start | apply→traffic p50 | p99 | most | read | translate | CPU a change | memory at first | memory at last |"
    );
    println!("| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for &routes in &arguments.routes {
        println!("{}", measure(&binary, routes, arguments.changes)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives a row of the table.
fn measure(binary: &Path, routes: usize, changes: usize) -> Result<String> {
    let folder = Folder::make(&format!("apply-{routes}"))?;
    let folder = folder.path();
    let objects = fairway::objects(folder)?;
    write_routes(&objects, routes)?;
    write_change(&objects, 0)?;
    let backend = Backend::start()?;
    let how = Start { binary, folder, backend: backend.address(), threads: 1 };
    let begin = Instant::now();
    let fairway = Fairway::start(&how, "/change/0")?;
    let start = milliseconds(begin.elapsed());
    let at_first = fairway.server.resident_mib()?;

    let mut times = Vec::new();
    let mut stages = [const { Vec::new() }; STAGES.len()];
    let mut used = Vec::new();
    let mut connection = Connection::open(fairway.listener)?;
    settle(&fairway.server)?;
    for number in 1..=changes {
        let request = get(HOST, &format!("/change/{number}"));
        if connection.exchange(&request)?.status != 404 {
            bail!("change {number} is served before it is made");
        }
        let (cpu, begin) = (fairway.server.cpu_seconds()?, Instant::now());
        write_change(&objects, number)?;
        while connection.exchange(&request)?.status != 200 {
            if begin.elapsed() > Duration::from_secs(30) {
                bail!("change {number} is not served after 30 seconds");
            }
            std::thread::sleep(STEP);
        }
        times.push(milliseconds(begin.elapsed()));
        used.push((settle(&fairway.server)? - cpu) * 1000.0);
        for (name, values) in STAGES.iter().zip(&mut stages) {
            values.extend(fairway.metric(name).map(|time| time * 1000.0));
        }
    }
    let [read, translate] = stages.map(|values| format!("{:.1}", median(&values)));
    Ok(format!(
        "| {routes} | {start:.0} | {:.1} | {:.1} | {:.1} | {read} | {translate} | {:.0} \
         | {at_first:.0} | {:.0} |",
        median(&times),
        quantile(&times, 0.99),
        quantile(&times, 1.0),
        median(&used),
        fairway.server.resident_mib()?,
    ))
}

/// Waits until the server has used no processor time for a while, and gives what it has used so far.
fn settle(server: &Server) -> Result<f64> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let (mut used, mut since) = (server.cpu_seconds()?, Instant::now());
    while since.elapsed() < QUIET {
        if Instant::now() > deadline {
            bail!("the server does not come to rest in 30 seconds");
        }
        std::thread::sleep(Duration::from_millis(10));
        let now = server.cpu_seconds()?;
        if now > used {
            (used, since) = (now, Instant::now());
        }
    }
    Ok(used)
}

fn write_routes(objects: &Path, routes: usize) -> Result<()> {
    // The changed route is one of them.
    let numbers: Vec<usize> = (1..routes).collect();
    for (file, numbers) in numbers.chunks(ROUTES_IN_A_FILE).enumerate() {
        let routes: Vec<String> = numbers
            .iter()
            .map(|number| fairway::route(&format!("route-{number}"), &format!("/fixed/{number}")))
            .collect();
        fs::write(objects.join(format!("routes-{file}.yaml")), routes.join("---\n"))?;
    }
    Ok(())
}

/// Replaces the one file as editors and configuration tools do: a new file, renamed over the old one.
fn write_change(objects: &Path, number: usize) -> Result<()> {
    let new = objects.join(".change.tmp");
    fs::write(&new, fairway::route("changed", &format!("/change/{number}")))?;
    fs::rename(new, objects.join("change.yaml"))?;
    Ok(())
}
