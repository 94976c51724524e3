//! Fairway on a real API server. Apart from the other tests, whose requests are timed by what the machine has
//! left: here run an API server, its controllers, and fleets of proxies.

#[path = "it/cluster.rs"]
mod cluster;
#[path = "it/rig.rs"]
#[expect(dead_code, reason = "most of it is for processes without a cluster")]
mod rig;
