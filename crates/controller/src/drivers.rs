//! What carries a model into the world. One driver so far: the data plane in this process.

pub mod embedded;
