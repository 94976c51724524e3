//! The loop and all I/O around the pure functions: sources, drivers, status, admin.
#![forbid(unsafe_code)]

// The loops: on files, and on a cluster.
pub mod cluster;
pub mod leader;
pub mod run;

// Where objects come from.
pub mod certificates;
pub mod complaint;
pub mod sources;

// Where models and statuses go, and what is shown.
pub mod admin;
pub mod drivers;
pub mod events;
pub mod metrics;
pub mod status;
pub mod view;

/// Who we are to the API server, as the manager of fields and the reporter of events.
pub const FIELD_MANAGER: &str = "fairway-controller";
