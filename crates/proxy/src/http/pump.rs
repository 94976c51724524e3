//! Carries a body from one connection to another: reads only what the other side takes, and writes as
//! soon as nothing more is there to read.

use std::cell::Cell;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::wire::{Incoming, Outgoing, WireError};
use crate::h1::Frame;

/// Which side broke.
#[derive(Debug)]
pub(crate) enum Broken {
    /// What was to be read.
    Source(WireError),
    /// What was to be written to.
    Sink,
}

/// Where bodies come from: a connection, or one with a memory.
pub(crate) trait Source {
    /// See [`Incoming::poll_frame`].
    fn poll_frame(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Frame>, WireError>>;
}

impl Source for Incoming<'_> {
    fn poll_frame(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Frame>, WireError>> {
        Incoming::poll_frame(self, task)
    }
}

/// One body on its way.
#[derive(Default)]
pub(crate) struct Pump {
    ended: bool,
    done: bool,
    /// Bytes of data that were read.
    pub(crate) bytes: u64,
}

impl Pump {
    /// Says whether the body and its end were written.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Carries what can be carried now; ready when the body's end was written. `moved` is set
    /// whenever something moves.
    pub(crate) fn poll(
        &mut self,
        source: &mut impl Source,
        sink: &mut Outgoing<'_>,
        moved: &Cell<Instant>,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        let mut any = false;
        let before = sink.waiting();
        let outcome = self.carry(source, sink, &mut any, task);
        if any || sink.waiting() < before {
            moved.set(Instant::now());
        }
        outcome
    }

    fn carry(
        &mut self,
        source: &mut impl Source,
        sink: &mut Outgoing<'_>,
        any: &mut bool,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            if self.ended || sink.is_full() {
                ready!(sink.poll_flush(task)).map_err(sink_broke)?;
                *any = true;
            }
            if self.ended {
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(frame) = source.poll_frame(task) else {
                // What was read so far goes out now: the other side may wait for just that.
                return match sink.poll_flush(task) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(sink_broke(error))),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                };
            };
            *any = true;
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    // What came before belongs to whom it was sent to, if there is room for it.
                    drop(sink.poll_flush(task));
                    return Poll::Ready(Err(Broken::Source(error)));
                }
            };
            match frame {
                Some(Frame::Data(data)) => {
                    self.bytes += u64::try_from(data.len()).unwrap_or_default();
                    sink.data(data).map_err(sink_broke)?;
                }
                Some(Frame::Trailers(trailers)) => {
                    sink.end(Some(trailers)).map_err(sink_broke)?;
                    self.ended = true;
                }
                None => {
                    sink.end(None).map_err(sink_broke)?;
                    self.ended = true;
                }
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn sink_broke(error: WireError) -> Broken {
    tracing::debug!(%error, "a body could not be passed on");
    Broken::Sink
}
