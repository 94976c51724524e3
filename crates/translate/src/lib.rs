//! The only place that knows what Gateway API, Ingress and TrafficRoute mean.
//!
//! [`translate`] turns everything the cluster says ([`Snapshot`]) into everything that must be served
//! ([`fairway_model::Model`]) and everything we have to say back ([`verdict::Verdicts`]); [`render`] turns
//! that and what came of it into statuses. Both are pure and total: no clock, no I/O, no `async`, no
//! `Result`. Shuffled input, same bytes.
#![forbid(unsafe_code)]

// What comes in.
pub mod address;
pub mod object;
pub mod settings;
pub mod snapshot;

// What goes out.
pub mod plan;
pub mod profile;
pub mod status;
pub mod verdict;

// What all passes use.
mod ground;
mod hostname;
mod quarantine;
mod refs;
mod secret;

// The passes, in order.
mod attach;
mod backend;
mod ingress;
mod listener;
mod policy;
mod route;

pub use address::Held;
pub use object::{Kind, Name, ObjectKey};
pub use plan::{Plan, translate};
pub use settings::Settings;
pub use snapshot::Snapshot;
pub use status::{Outcomes, Statuses, render};
