//! Test support: a real API server with its controllers, and a node without containers, in network
//! namespaces of their own. Never part of what is released.

pub mod control_plane;
pub mod forward;
pub mod node;
