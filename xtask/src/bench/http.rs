//! CPU seconds for 100,000 requests over HTTP/1.1 keep-alive: Fairway and nginx in turn, one worker each,
//! in front of the same backend. Processor time is what an operator pays for, and what a noisy machine
//! spoils least; the ratio of one round is taken between runs that stand side by side.

use std::fs;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use super::backend::{BODY, Backend};
use super::client::{get, load};
use super::fairway::{self, Fairway, HOST, Start};
use super::figures::{f64_of, median};
use super::nginx;
use super::process::{Folder, Server};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Requests sent to each proxy in each round.
    #[arg(long, default_value_t = 100_000)]
    requests: usize,

    /// Rounds; one before them warms both proxies up and is not counted.
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Kept-alive connections of the client.
    #[arg(long, default_value_t = 32)]
    connections: usize,

    /// Cargo profile that fairway is built with.
    #[arg(long, default_value = "dist")]
    profile: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let binary = fairway::build(&arguments.profile)?;
    let folder = Folder::make("http")?;
    let folder = folder.path();
    let backend = Backend::start()?;
    let objects = fairway::objects(folder)?;
    fs::write(objects.join("route.yaml"), fairway::route("all", "/"))?;
    let (nginx, nginx_address, version) = nginx::start(folder, backend.address())?;
    let how = Start { binary: &binary, folder, backend: backend.address(), threads: 1 };
    let fairway = Fairway::start(&how, "/")?;

    println!(
        "{} requests a round over {} connections, bodies of {} bytes, one worker each, {version}",
        arguments.requests,
        arguments.connections,
        BODY.len(),
    );
    println!("CPU seconds for 100,000 requests (requests a second)");
    println!("round   fairway             nginx               ratio");
    let mut series: [Vec<f64>; 3] = Default::default();
    for round in 0..=arguments.rounds {
        // Who goes first alternates, since the second may meet a warmer or a busier machine.
        let ours = || measure(arguments, &fairway.server, fairway.listener, &backend);
        let theirs = || measure(arguments, &nginx, nginx_address, &backend);
        let (ours, theirs) = if round % 2 == 0 {
            let first = ours()?;
            (first, theirs()?)
        } else {
            let first = theirs()?;
            (ours()?, first)
        };
        let ratio = ours.cpu / theirs.cpu;
        let name = if round == 0 { "warm-up".to_owned() } else { round.to_string() };
        println!("{name:<7} {ours:<19} {theirs:<19} {ratio:.2}");
        if round > 0 {
            series[0].push(ours.cpu);
            series[1].push(theirs.cpu);
            series[2].push(ratio);
        }
    }
    let [ours, theirs, ratio] = series.map(|values| median(&values));
    println!("median  {ours:<19.3} {theirs:<19.3} {ratio:.2}");
    println!(
        "resident memory: fairway {:.1} MiB, nginx {:.1} MiB",
        fairway.server.resident_mib()?,
        nginx.resident_mib()?
    );
    Ok(ExitCode::SUCCESS)
}

/// What one run of one proxy came to.
struct Run {
    /// CPU seconds for 100,000 requests.
    cpu: f64,
    /// Requests a second.
    rate: f64,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:.3} ({:.0}/s)", self.cpu, self.rate))
    }
}

fn measure(
    arguments: &Arguments,
    server: &Server,
    address: SocketAddr,
    backend: &Backend,
) -> Result<Run> {
    let requests = arguments.requests;
    let (cpu, served, begin) = (server.cpu_seconds()?, backend.served(), Instant::now());
    load(address, &get(HOST, "/item"), requests, arguments.connections, BODY.len())?;
    let (used, took) = (server.cpu_seconds()? - cpu, begin.elapsed());
    let asked = backend.served() - served;
    if asked != requests {
        bail!("{address} asked the backend {asked} times for {requests} requests");
    }
    Ok(Run {
        cpu: used * 100_000.0 / f64_of(requests),
        rate: f64_of(requests) / took.as_secs_f64(),
    })
}
