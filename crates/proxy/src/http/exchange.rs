//! One request of a client with the way to answer it, the same for HTTP/1.1 and HTTP/2.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;

use super::clock::Clock;
use super::wire::{Incoming, Outgoing, Stream, WireError};
use crate::drain::DrainSignal;
use crate::h1::{Framing, Peer, Writer};
use crate::message::{RequestHead, ResponseHead};

/// One request and its answer to be.
pub(crate) struct Exchange<'c> {
    pub(crate) head: RequestHead,
    /// How long the request's body is; `Empty` when there is none.
    pub(crate) framing: Framing,
    pub(crate) body: Incoming<'c>,
    pub(crate) reply: Reply<'c>,
    /// The timer of the connection, or of the stream.
    pub(crate) clock: &'c Clock,
}

/// What the connection is good for after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request.
    Next,
    /// Nothing: it is closed so that the client can read the answer to its end.
    Close,
    /// The client must see that the answer is not whole.
    Abort,
    /// The client has gone, or has reset the stream.
    Gone,
}

/// The way back to the client.
pub(crate) struct Reply<'c> {
    out: Outgoing<'c>,
    /// Until the answer begins.
    opening: Option<Opening>,
    keep_alive: bool,
    /// 0 until the answer begins.
    status: u16,
    /// Once it is raised, no answer of HTTP/1.1 keeps the connection alive.
    drain: Option<&'c DrainSignal>,
}

enum Opening {
    H1 {
        peer: Peer,
        /// The client waits for 100 before it sends the body.
        waits: bool,
    },
    H2(SendResponse<Bytes>),
}

impl<'c> Reply<'c> {
    /// Answers on a connection of HTTP/1.1. With `waits` the client sends its body only after 100.
    pub(crate) fn h1(io: &'c Stream, writer: &'c mut Writer, peer: Peer, waits: bool) -> Self {
        let opening = Some(Opening::H1 { peer, waits });
        let out = Outgoing::H1 { io, writer };
        Self { out, opening, keep_alive: peer.keep_alive, status: 0, drain: None }
    }

    /// Closes the connection after this answer if draining has begun by then.
    pub(crate) const fn heeding(mut self, drain: &'c DrainSignal) -> Self {
        self.drain = Some(drain);
        self
    }

    /// Answers on a stream of HTTP/2.
    pub(crate) fn h2(respond: SendResponse<Bytes>) -> Self {
        let opening = Some(Opening::H2(respond));
        Self { out: Outgoing::Ended, opening, keep_alive: true, status: 0, drain: None }
    }

    /// Gives the status that was sent; 0 before.
    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// Says whether the head of the final answer was given out.
    pub(crate) const fn has_begun(&self) -> bool {
        self.opening.is_none()
    }

    /// Says whether the connection may live on after this answer.
    pub(crate) const fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Closes the connection after this answer, and says so if it is not too late.
    pub(crate) fn close(&mut self) {
        self.keep_alive = false;
        if let Some(Opening::H1 { peer, .. }) = &mut self.opening {
            peer.keep_alive = false;
        }
    }

    /// Says that the request's body is wanted now: a client that waits is told so.
    pub(crate) async fn ask_for_body(&mut self) -> Result<(), WireError> {
        if let Some(Opening::H1 { waits, .. }) = &mut self.opening
            && std::mem::take(waits)
        {
            if let Outgoing::H1 { writer, .. } = &mut self.out {
                writer.continue_100();
            }
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends an interim answer, 103 for example.
    pub(crate) async fn interim(&mut self, head: &ResponseHead) -> Result<(), WireError> {
        match (&mut self.opening, &mut self.out) {
            (Some(Opening::H1 { peer, .. }), Outgoing::H1 { writer, .. }) => {
                // A client of HTTP/1.0 does not know of them (RFC 9110 15.2).
                if peer.version != crate::message::Version::Http10 {
                    writer.response(head, Framing::Empty, *peer);
                    self.flush().await?;
                }
            }
            (Some(Opening::H2(respond)), _) => respond.send_informational(head.to_http())?,
            (Some(Opening::H1 { .. }) | None, _) => {}
        }
        Ok(())
    }

    /// Gives out the head of the final answer; of HTTP/1.1 it is written with the first bytes of the
    /// body, or at [`Self::flush`].
    pub(crate) fn begin(&mut self, head: &ResponseHead, framing: Framing) -> Result<(), WireError> {
        let Some(opening) = self.opening.take() else { return Ok(()) };
        self.status = head.status.code();
        match opening {
            Opening::H1 { mut peer, waits } => {
                // Whether the client will send the body now cannot be known (RFC 9110 10.1.1).
                let draining = self.drain.is_some_and(DrainSignal::is_draining);
                peer.keep_alive &= self.keep_alive && !waits && !draining;
                if let Outgoing::H1 { writer, .. } = &mut self.out {
                    self.keep_alive = writer.response(head, framing, peer);
                }
            }
            Opening::H2(mut respond) => {
                let ended = framing.is_empty();
                let stream = respond.send_response(head.to_http(), ended)?;
                if !ended {
                    self.out = Outgoing::h2(stream);
                }
            }
        }
        Ok(())
    }

    /// Gives the way for the body.
    pub(crate) fn body(&mut self) -> &mut Outgoing<'c> {
        &mut self.out
    }

    /// Sends a whole short answer.
    pub(crate) async fn whole(
        &mut self,
        head: &ResponseHead,
        framing: Framing,
        body: Bytes,
    ) -> Result<(), WireError> {
        self.begin(head, framing)?;
        if !framing.is_empty() {
            self.out.data(body)?;
        }
        self.out.end(None)?;
        self.flush().await
    }

    /// Writes all that waits.
    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        poll_fn(|task| self.out.poll_flush(task)).await
    }

    /// Ready when the client wants no answer any more, as far as its protocol tells.
    pub(crate) fn poll_gone(&mut self, task: &mut Context<'_>) -> Poll<()> {
        match &mut self.opening {
            Some(Opening::H1 { .. }) => Poll::Pending,
            Some(Opening::H2(respond)) => respond.poll_reset(task).map(|_reason| ()),
            None => self.out.poll_gone(task),
        }
    }

    /// Cuts the answer off.
    pub(crate) fn abort(&mut self) {
        self.keep_alive = false;
        match &mut self.opening {
            Some(Opening::H2(respond)) => respond.send_reset(Reason::INTERNAL_ERROR),
            Some(Opening::H1 { .. }) => {}
            None => self.out.abort(Reason::INTERNAL_ERROR),
        }
    }
}
