//! How connections learn that they should come to an end, and by when they will be cut off.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Tells the connections of one port, or of the whole thread, to come to an end: finish what was
/// begun, take nothing new, say so to the client (`Connection: close`, GOAWAY).
#[derive(Clone, Default)]
pub(crate) struct DrainSignal(Rc<State>);

#[derive(Default)]
struct State {
    /// Set once draining has begun: when whoever is left is cut off.
    deadline: Cell<Option<Instant>>,
    began: Notify,
    /// Those of ports, below that of their thread.
    below: RefCell<Vec<Weak<Self>>>,
}

impl DrainSignal {
    /// Gives a signal that is raised with this one and may be raised alone.
    pub(crate) fn child(&self) -> Self {
        let child = Self::default();
        child.0.deadline.set(self.0.deadline.get());
        let mut below = self.0.below.borrow_mut();
        below.retain(|state| state.strong_count() > 0);
        below.push(Rc::downgrade(&child.0));
        child
    }

    /// Says whether draining has begun. Cheap enough to be asked for each request.
    pub(crate) fn is_draining(&self) -> bool {
        self.0.deadline.get().is_some()
    }

    /// Waits until draining begins; at once when it has.
    pub(crate) async fn begun(&self) {
        while !self.is_draining() {
            let began = self.0.began.notified();
            // Between the check and here nobody else of this thread has run.
            began.await;
        }
    }

    /// Waits until the time for draining is over.
    pub(crate) async fn expired(&self) {
        self.begun().await;
        // A later and shorter deadline counts, so it is read again after each wait.
        while let Some(deadline) = self.0.deadline.get() {
            if deadline <= Instant::now() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                () = self.0.began.notified() => {}
            }
        }
    }

    /// Begins draining. A second call can only bring the deadline nearer.
    pub(crate) fn raise(&self, deadline: Instant) {
        raise(&self.0, deadline);
    }
}

fn raise(state: &State, deadline: Instant) {
    let nearer = state.deadline.get().map_or(deadline, |before| before.min(deadline));
    state.deadline.set(Some(nearer));
    state.began.notify_waiters();
    let below = state.below.borrow().clone();
    for child in below.iter().filter_map(Weak::upgrade) {
        raise(&child, deadline);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_raised_signal_reaches_those_below_and_then_expires() {
        let thread = DrainSignal::default();
        let port = thread.child();
        let other = thread.child();
        other.raise(Instant::now() + Duration::from_secs(100));
        assert!(other.is_draining() && !port.is_draining() && !thread.is_draining());
        let start = Instant::now();
        thread.raise(start + Duration::from_millis(50));
        port.begun().await;
        port.expired().await;
        other.expired().await;
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert!(start.elapsed() < Duration::from_secs(50));
        assert!(thread.child().is_draining(), "a port that comes late drains too");
    }
}
