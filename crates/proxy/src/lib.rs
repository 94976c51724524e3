//! The data plane: takes the model, serves HTTP, TLS, TCP and UDP. Knows nothing of Kubernetes.

// How it is run, and what it counts.
pub mod metrics;
pub mod run;
pub mod settings;

// Threads, and what they serve.
mod drain;
mod generation;
mod sys;
mod worker;

// Where clients arrive.
mod listen;
mod stream;
mod tls;

// Messages and their form on the wire.
pub mod h1;
pub mod message;
pub mod preview;

// A request's way: from the client, through the phases, to a backend.
mod downstream;
mod http;
mod upstream;

// The phases' parts.
mod access_log;
mod balance;
mod failure;
mod filter;
mod health;
mod rate_limit;
mod retry;
mod session;
mod tunnel;

pub use metrics::{Counter, ListenerCounts, MetricsSnapshot};
pub use run::{Applied, ListenerOutcome, Outcomes, Proxy, StartError};
pub use settings::{AccessLog, DefaultTimeouts, Limits, LogFormat, Settings};
