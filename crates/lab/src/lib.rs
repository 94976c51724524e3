//! Test support: a real API server with its controllers, and a node without containers, in a network
//! namespace of their own. Never part of what is released.

pub mod binaries;
pub mod control_plane;
pub mod forward;
pub mod lab;
pub mod namespace;
pub mod node;
mod owner;
mod retry;
mod sys;
pub mod worker;

pub use lab::{Lab, LabError, Options};
