//! Routes at once: how long until every status has settled, and how often each was written.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::figures::{float, milliseconds};
use crate::processes::Cpu;
use crate::watch::Seen;
use crate::world::World;
use crate::write;

/// Times of some routes at once, and how often their statuses were written.
pub(crate) struct Burst {
    /// Until all were written, in seconds.
    wrote: f64,
    /// From the last write until the Gateway counted all, in milliseconds.
    attached: f64,
    /// From the last write until the last one was live, in milliseconds.
    live: f64,
    writes: Vec<u32>,
    gateway_writes: u32,
    cpu: String,
}

impl Burst {
    /// Writes routes, and waits until everything has settled.
    pub(crate) fn measure(world: &World, routes: usize) -> Result<Self> {
        let gateway = || world.gateways.of("web").map_or(0, |seen| seen.writes);
        let (before, gateway_before) = (Cpu::now(), gateway());
        let began = Instant::now();
        let last = world.inside(async |api| write::create_all(&api, 0..routes).await)?;
        world.settle(routes)?;
        let used = Cpu::now();
        let (_, attached) = world.attached().context("the Gateway counts no routes")?;
        let all = world.routes.all();
        let live = all.iter().filter_map(|seen| seen.live).max().context("no route is live")?;
        Ok(Self {
            wrote: (last - began).as_secs_f64(),
            attached: milliseconds(attached.saturating_duration_since(last)),
            live: milliseconds(live.saturating_duration_since(last)),
            writes: all.iter().map(|seen: &Seen| seen.writes).collect(),
            gateway_writes: gateway() - gateway_before,
            cpu: used.since(&before),
        })
    }

    /// Gives the lines that tell it.
    pub(crate) fn lines(&self) -> String {
        let sum: u32 = self.writes.iter().sum();
        let most = self.writes.iter().max().copied().unwrap_or_default();
        let mean = f64::from(sum) / float(self.writes.len());
        format!(
            "* written in {:.1} s; `attachedRoutes` settled {:.0} ms after the last write, the last route was live after \
             {:.0} ms\n* status writes of a route: {mean:.2}, at most {most}; of the Gateway: {}\n* processor time: {}",
            self.wrote, self.attached, self.live, self.gateway_writes, self.cpu
        )
    }
}

pub(crate) fn run(routes: usize) -> Result<()> {
    let world = World::start()?;
    eprintln!("{routes} routes at once");
    let burst = Burst::measure(&world, routes)?;
    println!("\n{routes} routes at once:\n\n{}", burst.lines());
    Ok(())
}
