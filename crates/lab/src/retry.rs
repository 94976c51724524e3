//! How soon the lab's watches begin anew. They are on one machine with the API server, so that there is nobody
//! to be spared, and tests of its outages must not wait for the lab.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// The same short time after every failure.
pub(crate) struct Soon;

impl Iterator for Soon {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }
}

impl Backoff for Soon {
    fn reset(&mut self) {}
}
