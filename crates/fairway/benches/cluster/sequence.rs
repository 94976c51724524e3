//! One route after another: how long until each answers.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::figures::{HEAD, Times, float, metric};
use crate::processes::Cpu;
use crate::watch::Watch;
use crate::world::World;
use crate::write;

/// When a route was written, and when it answered.
struct Applied {
    number: usize,
    written: Instant,
    served: Instant,
}

/// Times of some routes, one after another.
pub(crate) struct Sequence {
    applied: Vec<Applied>,
    not_found: u64,
    others: Vec<u16>,
}

impl Sequence {
    /// Writes routes; each waits until the one before answers.
    pub(crate) fn measure(world: &World, numbers: std::ops::Range<usize>) -> Result<Self> {
        let mut sequence = Self { applied: Vec::new(), not_found: 0, others: Vec::new() };
        world.inside(async |api| {
            for number in numbers {
                world.client.begin(&write::host(number))?;
                let written = write::create(&api, number).await?;
                let answered = world.client.end()?;
                sequence.not_found += answered.not_found;
                sequence.others.extend(answered.others);
                sequence.applied.push(Applied { number, written, served: answered.at });
                if number % 500 == 499 {
                    eprintln!("  {} routes are served", number + 1);
                }
            }
            Ok(sequence)
        })
    }

    /// Gives the rows of the table, once all are live.
    pub(crate) fn rows(&self, routes: &Watch) -> Result<String> {
        let [mut answer, mut event, mut live] = [const { Times::new() }; 3];
        for Applied { number, written, served } in &self.applied {
            let seen = routes.of(&write::name(*number)).context("a route that was not seen")?;
            answer.add(*written, *served);
            event.add(seen.came, *served);
            live.add(seen.came, seen.live.context("a route that is not live")?);
        }
        let rows = [
            answer.row("from the API server's answer to the first 200"),
            event.row("from the watch event to the first 200"),
            live.row("from the watch event to `Live` in the status"),
        ];
        Ok(rows.join("\n"))
    }

    /// Tells what was answered before.
    pub(crate) fn answers(&self) -> String {
        let Self { applied, not_found, others } = self;
        format!(
            "{} times 200, {not_found} times 404, {} other answers {others:?}",
            applied.len(),
            others.len()
        )
    }
}

pub(crate) fn run(routes: usize) -> Result<()> {
    let world = World::start()?;
    eprintln!("{routes} routes, one after another");
    let before = Cpu::now();
    let began = Instant::now();
    let sequence = Sequence::measure(&world, 0..routes)?;
    let (took, used) = (began.elapsed().as_secs_f64(), Cpu::now());
    world.settle(routes)?;
    println!("\n{routes} routes one after another, in {took:.1} s:\n\n{HEAD}");
    println!("{}", sequence.rows(&world.routes)?);
    println!("\n* {}", sequence.answers());
    let text = world.metrics();
    let all = metric(&text, "fairway_propagation_seconds_count");
    let share = |bound: &str| {
        let series = format!("fairway_propagation_seconds_bucket{{le=\"{bound}\"}}");
        100.0 * metric(&text, &series) / all
    };
    println!(
        "* the controller's own count, from the event to all proxies serving: {:.1} % within 10 ms, {:.1} % within \
         50 ms, {:.2} % within 250 ms",
        share("0.01"),
        share("0.05"),
        share("0.25")
    );
    println!("* processor time: {}", used.since(&before));
    let writes: u32 = world.routes.all().iter().map(|seen| seen.writes).sum();
    println!("* {:.2} writes of each route's status", f64::from(writes) / float(routes));
    Ok(())
}
