//! What carries a model into the world: the data plane in this process, and on a cluster the fleets of
//! proxies and the addresses they are reached at.

pub mod addresses;
pub mod embedded;
pub mod fleet;
pub mod identity;
