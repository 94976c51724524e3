//! By when one attempt must be done, and which time has run out when it is not.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// The deadlines of one attempt.
pub(crate) struct Deadlines {
    /// Of all attempts together.
    pub(crate) request: Option<Instant>,
    /// Of this attempt.
    pub(crate) attempt: Option<Instant>,
    /// Of this attempt until the head of the answer is there.
    pub(crate) head: Cell<Option<Instant>>,
    /// How long nothing may move.
    pub(crate) idle: Duration,
    /// When something moved last.
    pub(crate) moved: Cell<Instant>,
    /// Whether it is the client for whom we wait.
    pub(crate) on_client: Cell<bool>,
}

impl Deadlines {
    /// Gives the earliest of them.
    pub(crate) fn next(&self) -> Instant {
        let idle = self.moved.get() + self.idle;
        [self.request, self.attempt, self.head.get()].into_iter().flatten().fold(idle, Instant::min)
    }

    /// Says which one has passed.
    pub(crate) fn passed(&self) -> Failure {
        let now = Instant::now();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.request) {
            Failure::RequestTimeout
        } else if is_over(self.attempt) || is_over(self.head.get()) {
            Failure::BackendTimeout
        } else if self.on_client.get() {
            Failure::ClientStalled
        } else {
            Failure::BackendStalled
        }
    }
}
