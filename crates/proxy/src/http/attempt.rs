//! One attempt: the request goes to one endpoint on one connection, and its answer comes back while
//! the request's body may still be on its way.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::deadlines::Deadlines;
use super::exchange::Reply;
use super::passage::Finish;
use super::pump::{Broken, Pump, Source};
use super::replay::Replay;
use super::wire::{Outgoing, WireError};
use crate::failure::Failure;
use crate::h1::{self, Framing};
use crate::message::{RequestHead, ResponseHead, Status, forward};
use crate::upstream::{Answer, Lease, Reception};

/// Interim answers before the final one; more are a loop.
const INTERIM: usize = 16;

/// How an attempt ended well enough.
pub(crate) enum Outcome {
    /// The answer was passed on whole.
    Done {
        status: u16,
        /// The connection to the endpoint can be used again.
        reuse: bool,
        bytes: u64,
    },
    /// The endpoint switches protocols.
    Switched(Box<ResponseHead>),
    /// The answer has a status that calls for another try.
    Again(u16),
}

/// How an attempt failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// A connection that was used before turned out to be closed, or the endpoint refused the
    /// stream unseen: nothing was done there.
    pub(crate) unseen: bool,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, unseen: false }
    }
}

/// An attempt under way.
pub(crate) struct Attempt<'a, 'b, 'c, 'd> {
    pub(crate) head: &'a RequestHead,
    pub(crate) framing: Framing,
    pub(crate) body: &'a mut Replay<'b, 'c>,
    pub(crate) reply: &'a mut Reply<'d>,
    pub(crate) deadlines: &'a Deadlines,
    pub(crate) passage: &'a Finish<'a>,
    /// Says of which statuses the request would be tried again.
    pub(crate) refuses: &'a dyn Fn(u16) -> bool,
}

impl Attempt<'_, '_, '_, '_> {
    /// Runs it.
    ///
    /// # Errors
    /// The failure; whether the client has got a part of an answer, its reply says.
    pub(crate) async fn run(&mut self, lease: &mut Lease) -> Result<Outcome, Failed> {
        let reused = lease.is_reused();
        let begun = lease.begin(self.head, self.framing).await;
        let (mut out, mut reception) = begun.map_err(|error| lost(&error, reused))?;
        if !self.framing.is_empty() {
            self.reply.ask_for_body().await.map_err(|_gone| Failure::ClientGone)?;
        }
        let owed = matches!(self.framing, Framing::Length(_));
        let mut upload = Upload { pump: Pump::default(), broken: false, owed };
        let mut answer = self.final_head(&mut out, &mut upload, &mut reception, reused).await?;
        self.deadlines.answered();
        forward::response(&mut answer.head);
        if answer.head.status == Status::SWITCHING_PROTOCOLS {
            self.passage.change(&mut answer.head);
            return Ok(Outcome::Switched(Box::new(answer.head)));
        }
        let status = answer.head.status.code();
        if self.body.can_rewind() && (self.refuses)(status) {
            return Ok(Outcome::Again(status));
        }
        self.passage.change(&mut answer.head);
        self.pass_on(&mut out, &mut upload, reception, answer).await
    }

    async fn final_head(
        &mut self,
        out: &mut Outgoing<'_>,
        upload: &mut Upload,
        reception: &mut Reception<'_>,
        reused: bool,
    ) -> Result<Answer, Failed> {
        for _ in 0..INTERIM {
            let mut answer =
                poll_fn(|task| self.poll_head(out, upload, reception, reused, task)).await?;
            if !answer.head.status.is_interim() {
                return Ok(answer);
            }
            // The client's `Expect` was answered by us.
            if answer.head.status != Status::CONTINUE {
                forward::response(&mut answer.head);
                let sent = self.reply.interim(&answer.head).await;
                sent.map_err(|_gone| Failure::ClientGone)?;
            }
        }
        Err(Failure::BadResponse.into())
    }

    fn poll_head(
        &mut self,
        out: &mut Outgoing<'_>,
        upload: &mut Upload,
        reception: &mut Reception<'_>,
        reused: bool,
        task: &mut Context<'_>,
    ) -> Poll<Result<Answer, Failed>> {
        if let Err(failure) = upload.poll(self.body, out, self.deadlines, task) {
            return Poll::Ready(Err(failure.into()));
        }
        if self.reply.poll_gone(task).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone.into()));
        }
        match self.body.poll_closed(task) {
            Poll::Ready(Ok(())) => self.deadlines.client_closed(),
            Poll::Ready(Err(_broken)) => return Poll::Ready(Err(Failure::ClientGone.into())),
            Poll::Pending => {}
        }
        match reception.poll_head(task) {
            Poll::Ready(Ok(answer)) => Poll::Ready(Ok(answer)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(lost(&error, reused))),
            Poll::Pending => {
                self.deadlines.on_client.set(upload.waits_for_client(out));
                Poll::Pending
            }
        }
    }

    async fn pass_on(
        &mut self,
        out: &mut Outgoing<'_>,
        upload: &mut Upload,
        reception: Reception<'_>,
        answer: Answer,
    ) -> Result<Outcome, Failed> {
        let Answer { head, framing, keep_alive } = answer;
        let mut incoming = reception.into_body(framing);
        let to_client = match framing {
            // The client's connection has other ways to say where the body ends.
            Framing::UntilClose => Framing::Chunked,
            framing => framing,
        };
        self.reply.begin(&head, to_client).map_err(|_gone| Failure::ClientGone)?;
        let mut download = Pump::default();
        poll_fn(|task| {
            if let Err(failure) = upload.poll(self.body, out, self.deadlines, task) {
                return Poll::Ready(Err(failure));
            }
            if self.reply.poll_gone(task).is_ready() {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            let to = self.reply.body();
            let polled = download.poll(&mut incoming, to, &self.deadlines.moved, task);
            let stuck = to.waiting() > 0;
            self.deadlines.on_client.set(stuck || upload.waits_for_client(out));
            polled.map_err(|broken| match broken {
                Broken::Source(_) => Failure::Truncated,
                Broken::Sink => Failure::ClientGone,
            })
        })
        .await?;
        // An endpoint that answers before it has read everything may take the rest for the next
        // request (attack A11).
        let reuse = keep_alive && upload.pump.is_done() && incoming.is_done();
        let status = head.status.code();
        Ok(Outcome::Done { status, reuse, bytes: download.bytes })
    }
}

/// The request's body on its way to the endpoint.
struct Upload {
    pump: Pump,
    /// The endpoint takes no more of it. Its answer may have come before that.
    broken: bool,
    /// The client has announced how long it is.
    owed: bool,
}

impl Upload {
    fn poll(
        &mut self,
        body: &mut Replay<'_, '_>,
        out: &mut Outgoing<'_>,
        deadlines: &Deadlines,
        task: &mut Context<'_>,
    ) -> Result<(), Failure> {
        if self.broken {
            return Ok(());
        }
        let polled = self.pump.poll(body, out, &deadlines.moved, task);
        if self.owed {
            deadlines.owes(self.waits_for_client(out), self.pump.bytes);
        }
        match polled {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(Broken::Source(error))) => {
                out.abort(h2::Reason::CANCEL);
                Err(clients(&error))
            }
            Poll::Ready(Err(Broken::Sink)) => {
                self.broken = true;
                Ok(())
            }
        }
    }

    fn waits_for_client(&self, out: &Outgoing<'_>) -> bool {
        !self.broken && !self.pump.is_done() && out.waiting() == 0
    }
}

/// What a client did wrong with its body.
fn clients(error: &WireError) -> Failure {
    match error {
        WireError::H1(h1::Error::Refused(refusal)) => Failure::Refused(*refusal),
        WireError::H1(_) | WireError::H2(_) | WireError::Malformed(_) | WireError::Closed => {
            Failure::ClientGone
        }
    }
}

/// What became of an answer that has not come.
fn lost(error: &WireError, reused: bool) -> Failed {
    tracing::debug!(%error, "an endpoint gave no answer");
    if error.is_unseen() {
        return Failed { failure: Failure::RefusedStream, unseen: true };
    }
    match error {
        WireError::H1(h1::Error::Refused(_)) | WireError::Malformed(_) => {
            Failure::BadResponse.into()
        }
        WireError::H1(h1::Error::Closed | h1::Error::Io(_)) => {
            Failed { failure: Failure::Reset, unseen: reused }
        }
        WireError::H1(h1::Error::Truncated | h1::Error::WrongLength)
        | WireError::H2(_)
        | WireError::Closed => Failure::Reset.into(),
    }
}

/// Carries a body that nobody else waits for, such as a mirror's.
pub(crate) async fn send(
    source: &mut impl Source,
    out: &mut Outgoing<'_>,
    deadlines: &Deadlines,
) -> Result<(), Broken> {
    let mut pump = Pump::default();
    poll_fn(|task| pump.poll(source, out, &deadlines.moved, task)).await
}
