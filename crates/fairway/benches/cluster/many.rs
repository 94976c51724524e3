//! Many routes: memory, a change among them, and a controller that starts with them.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::burst::Burst;
use crate::figures::HEAD;
use crate::processes::{Cpu, memory};
use crate::sequence::Sequence;
use crate::world::World;
use crate::write;

/// Changes among the many, one after another.
const CHANGES: usize = 100;

/// How long nothing is asked of anybody, to see what they use by themselves.
const REST: Duration = Duration::from_secs(5);

pub(crate) fn run(routes: usize) -> Result<()> {
    let mut world = World::start()?;
    eprintln!("{routes} routes at once");
    let burst = Burst::measure(&world, routes)?;
    println!("\n{routes} routes at once:\n\n{}", burst.lines());
    println!("* memory: {}", all_memory());
    let before = Cpu::now();
    std::thread::sleep(REST);
    let rest = Cpu::now();
    println!(
        "* at rest, in {REST:?}: {:.2} s of processor time: {}",
        rest.total() - before.total(),
        rest.since(&before)
    );

    eprintln!("{CHANGES} more, one after another");
    let before = Cpu::now();
    let sequence = Sequence::measure(&world, routes..routes + CHANGES)?;
    world.settle(routes + CHANGES)?;
    let used = Cpu::now();
    println!("\n{CHANGES} more, one after another:\n\n{HEAD}");
    println!("{}", sequence.rows(&world.routes)?);
    println!("\n* {}", sequence.answers());
    println!("* processor time: {}", used.since(&before));
    println!("* memory: {}", all_memory());

    eprintln!("a controller starts");
    let late = routes + CHANGES;
    let (began, used) = restart(&mut world, late)?;
    let answered = world.client.end()?;
    println!("\nA controller that starts with {late} routes, one of them new:\n");
    println!(
        "* from its start to the new route's first 200: {:.0} ms; {} other answers",
        (answered.at - began).as_secs_f64() * 1000.0,
        answered.others.len()
    );
    world.settle(late + 1)?;
    println!("* processor time until all has settled: {}", Cpu::now().since(&used));
    println!("* memory: {}", all_memory());
    let log = std::fs::read_to_string(world.cluster.log())?;
    let read = log.lines().rfind(|line| line.contains("the cluster is read"));
    println!("* its log: {}", read.context("it has not read the cluster")?);
    Ok(())
}

/// Ends the controller as an upgrade does, writes a route meanwhile, and starts one. Gives when, and what all
/// had used until then.
fn restart(world: &mut World, late: usize) -> Result<(Instant, Cpu)> {
    let process = world.cluster.controller().context("the controller runs")?;
    Command::new("kill").args(["-TERM", &process.to_string()]).status()?;
    std::thread::sleep(Duration::from_secs(3));
    world.cluster.kill_controller();
    world.inside(async |api| write::create(&api, late).await)?;
    world.client.begin(&write::host(late))?;
    let (began, used) = (Instant::now(), Cpu::now());
    world.cluster.start_controller();
    Ok((began, used))
}

fn all_memory() -> String {
    let one = |program: &str| {
        let each = memory(program).into_iter();
        let each = each.map(|(now, most)| format!("{now:.0} MiB (at most {most:.0})"));
        format!("{program} {}", each.collect::<Vec<_>>().join(" and "))
    };
    ["controller", "proxy"].map(one).join(", ")
}
