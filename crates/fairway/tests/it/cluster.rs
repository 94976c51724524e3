//! Fairway on a real API server: its controller, and fleets of its proxies as pods. Needs root and Go.

#[path = "cluster/addresses.rs"]
mod addresses;
#[path = "cluster/expiry.rs"]
mod expiry;
#[path = "cluster/failure.rs"]
mod failure;
#[path = "cluster/fleet.rs"]
mod fleet;
#[path = "cluster/foreign.rs"]
mod foreign;
#[path = "cluster/fuzz.rs"]
mod fuzz;
#[path = "cluster/load.rs"]
mod load;
#[path = "cluster/process.rs"]
mod process;
#[path = "cluster/releases.rs"]
mod releases;
#[path = "cluster/running.rs"]
mod running;
#[path = "cluster/shop.rs"]
mod shop;
#[path = "cluster/world.rs"]
mod world;

use running::Cluster;
