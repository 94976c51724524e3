//! By when one attempt must be done, and which time has run out when it is not.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// How long a client that has closed its side is waited for an answer for.
const CLOSED: Duration = Duration::from_secs(3);

/// Bytes of an announced body that must come in `Settings::timeouts.body` (attack A2).
const LEAST: u64 = 4 << 10;

/// The deadlines of one attempt.
pub(crate) struct Deadlines {
    /// Of all attempts together.
    pub(crate) request: Option<Instant>,
    /// Of this attempt.
    pub(crate) attempt: Option<Instant>,
    /// Of this attempt until the head of the answer is there.
    pub(crate) head: Cell<Option<Instant>>,
    /// Until the head of the answer is there, once the client has closed its side: it may have gone,
    /// or just have nothing more to say.
    pub(crate) closed: Cell<Option<Instant>>,
    /// How long nothing may move.
    pub(crate) idle: Duration,
    /// When something moved last.
    pub(crate) moved: Cell<Instant>,
    /// Whether it is the client for whom we wait.
    pub(crate) on_client: Cell<bool>,
    /// In which [`LEAST`] must come.
    pub(crate) body: Duration,
    /// Since when, and since which byte, a client that owes us a body is waited for.
    pub(crate) owed: Cell<Option<(Instant, u64)>>,
}

impl Deadlines {
    /// Gives the earliest of them.
    pub(crate) fn next(&self) -> Instant {
        let idle = self.moved.get() + self.idle;
        let owed = self.owed.get().map(|(since, _)| since + self.body);
        let all = [self.request, self.attempt, self.head.get(), self.closed.get(), owed];
        all.into_iter().flatten().fold(idle, Instant::min)
    }

    /// Takes note that the client has closed its side.
    pub(crate) fn client_closed(&self) {
        if self.closed.get().is_none() {
            self.closed.set(Some(Instant::now() + CLOSED));
        }
    }

    /// Takes note whether a client that owes us a body is waited for, after so many bytes of it.
    pub(crate) fn owes(&self, waiting: bool, bytes: u64) {
        match self.owed.get() {
            Some((_, before)) if waiting && bytes < before + LEAST => {}
            Some(_) | None => self.owed.set(waiting.then(|| (Instant::now(), bytes))),
        }
    }

    /// Takes note that the head of the answer is there.
    pub(crate) fn answered(&self) {
        self.head.set(None);
        self.closed.set(None);
    }

    /// Says which one has passed.
    pub(crate) fn passed(&self) -> Failure {
        let now = Instant::now();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.closed.get()) {
            Failure::ClientGone
        } else if is_over(self.request) {
            Failure::RequestTimeout
        } else if is_over(self.attempt) || is_over(self.head.get()) {
            Failure::BackendTimeout
        } else if self.on_client.get() || self.owed.get().is_some() {
            Failure::ClientStalled
        } else {
            Failure::BackendStalled
        }
    }
}
