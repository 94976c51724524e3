//! Fairway on a real API server: its controller, and fleets of its proxies as pods. Needs root and Go.

#[path = "cluster/addresses.rs"]
mod addresses;
#[path = "cluster/failure.rs"]
mod failure;
#[path = "cluster/fleet.rs"]
mod fleet;
#[path = "cluster/load.rs"]
mod load;
#[path = "cluster/releases.rs"]
mod releases;
#[path = "cluster/running.rs"]
#[expect(dead_code, reason = "some of it is for benchmarks")]
mod running;
#[path = "cluster/shop.rs"]
mod shop;

use running::Cluster;
