//! Where the cluster's objects come from.
//!
//! `files` reads a directory the way an API server would have taken its objects, `watch` says when
//! to read it again. Every mistake of a user is a [`Problem`]: data with file, line, object, field
//! and remedy.

pub mod admission;
pub mod cluster;
pub mod expiry;
pub mod field;
pub mod files;
pub mod key;
pub mod problem;
pub mod revive;
pub mod stamp;
pub mod watch;
pub mod yaml;

pub use files::{FileSource, Origin, Placed, Scan};
pub use key::ObjectKey;
pub use problem::{Position, Problem, Severity};
pub use stamp::AdmittedObject;
pub use watch::{Timing, Watch};
