//! Deadlines without a timer for each: one sleep per connection, armed for the earliest moment that
//! mattered so far and moved on only when it goes off.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// The one timer of a connection or a stream.
#[derive(Default)]
pub(crate) struct Clock {
    sleep: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl Clock {
    /// Runs a future to its end, or until the deadline has passed: then `None`. The deadline is
    /// asked for whenever the future waits, so it may move meanwhile. Not to be nested.
    pub(crate) async fn until<F: Future>(
        &self,
        deadline: impl Fn() -> Instant,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|task| match future.as_mut().poll(task) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll_passed(deadline(), task).map(|()| None),
        })
        .await
    }

    fn poll_passed(&self, deadline: Instant, task: &mut Context<'_>) -> Poll<()> {
        let mut slot = self.sleep.borrow_mut();
        let sleep = slot.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(task).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_deadline_that_moves_on_is_kept_and_an_earlier_one_too() {
        let clock = Clock::default();
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let never = || std::future::pending::<()>();
        assert_eq!(clock.until(|| after(30), never()).await, None);
        assert!(Instant::now() >= after(30));
        let moving = Cell::new(after(40));
        let work = async {
            sleep_until(after(35)).await;
            moving.set(after(80));
            std::future::pending::<()>().await;
        };
        assert_eq!(clock.until(|| moving.get(), work).await, None);
        assert!(Instant::now() >= after(80));
        assert_eq!(clock.until(|| after(10_000), async { 7 }).await, Some(7));
        let far = clock.until(|| after(10_000), tokio::time::sleep(Duration::from_millis(1)));
        assert_eq!(far.await, Some(()));
        assert_eq!(clock.until(|| after(100), never()).await, None);
        assert!(Instant::now() < after(5_000), "the far deadline is not waited for");
    }
}
