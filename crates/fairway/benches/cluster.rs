//! What routes cost on a real API server: until traffic, until status, in memory and processor time. Each part has a
//! lab of its own, and all traffic stays in it. `cargo xtask bench cluster` runs it; needs root and Go.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells people what it does as it does it"
)]

#[path = "cluster/ask.rs"]
mod ask;
#[path = "cluster/burst.rs"]
mod burst;
#[path = "cluster/figures.rs"]
mod figures;
#[path = "cluster/many.rs"]
mod many;
#[path = "cluster/processes.rs"]
mod processes;
#[path = "../tests/it/cluster/running.rs"]
#[expect(dead_code, reason = "some of it is for tests")]
mod running;
#[path = "cluster/sequence.rs"]
mod sequence;
#[path = "cluster/watch.rs"]
mod watch;
#[path = "cluster/world.rs"]
mod world;
#[path = "cluster/write.rs"]
mod write;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// What routes cost on a real API server.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench cluster")]
struct Arguments {
    /// Which parts; all of them when none is named.
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// Routes that are applied one after another.
    #[arg(long, default_value_t = 3_000)]
    sequence: usize,

    /// Routes that are applied at once.
    #[arg(long, default_value_t = 1_000)]
    burst: usize,

    /// Routes whose memory and processor time is measured.
    #[arg(long, default_value_t = 10_000)]
    many: usize,

    /// Given by cargo bench; without it, as by cargo test, nothing is measured.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One route after another, until each answers.
    Sequence,
    /// Routes at once, until all statuses have settled.
    Burst,
    /// Memory and processor time with many routes; a change among them; a new controller.
    Many,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        return Ok(());
    }
    // Fails only when it is set already, and then it is set.
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap_or_default();
    let is_wanted = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    if is_wanted(Part::Sequence) {
        sequence::run(arguments.sequence)?;
    }
    if is_wanted(Part::Burst) {
        burst::run(arguments.burst)?;
    }
    if is_wanted(Part::Many) {
        many::run(arguments.many)?;
    }
    Ok(())
}
