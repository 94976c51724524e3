//! The half of an exchange that comes back from an endpoint: heads, then the body.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::RecvStream;
use h2::client::ResponseFuture;

use crate::h1::{Framing, Reader};
use crate::http::wire::{Incoming, Stream, WireError};
use crate::message::{Limits, Malformed, Method, ResponseHead, Status};

/// An answer on its way.
pub(crate) enum Reception<'u> {
    H1 {
        io: &'u Stream,
        reader: &'u mut Reader,
        method: Method,
        /// The request asked to switch protocols.
        upgrade: bool,
    },
    H2 {
        response: Box<ResponseFuture>,
        body: Option<RecvStream>,
        /// The answer to HEAD has no body.
        head: bool,
    },
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) framing: Framing,
    /// The connection may be used again after the body.
    pub(crate) keep_alive: bool,
}

impl<'u> Reception<'u> {
    pub(super) fn h1(
        io: &'u Stream,
        reader: &'u mut Reader,
        method: Method,
        upgrade: bool,
    ) -> Self {
        Self::H1 { io, reader, method, upgrade }
    }

    pub(super) fn h2(response: ResponseFuture, head: bool) -> Self {
        Self::H2 { response: Box::new(response), body: None, head }
    }

    /// Gives the next head; those of interim answers come before the last one.
    pub(crate) fn poll_head(&mut self, task: &mut Context<'_>) -> Poll<Result<Answer, WireError>> {
        match self {
            Self::H1 { io, reader, method, upgrade } => {
                let response = ready!(reader.poll_response(&mut *io.borrow_mut(), task, method))?;
                if response.head.status == Status::SWITCHING_PROTOCOLS && !*upgrade {
                    return Poll::Ready(Err(Malformed::Status.into()));
                }
                let (head, framing) = (response.head, response.framing);
                Poll::Ready(Ok(Answer { head, framing, keep_alive: response.keep_alive }))
            }
            Self::H2 { response, body, head: to_head } => {
                let response = ready!(Pin::new(&mut **response).poll(task))?;
                let (parts, stream) = response.into_parts();
                let head = ResponseHead::from_http(&parts, &Limits::default())?;
                let framing = framing(&head, stream.is_end_stream(), *to_head)?;
                *body = Some(stream);
                Poll::Ready(Ok(Answer { head, framing, keep_alive: true }))
            }
        }
    }

    /// Goes on with the body after the last head.
    pub(crate) fn into_body(self, framing: Framing) -> Incoming<'u> {
        match self {
            Self::H1 { io, reader, .. } => Incoming::h1(io, reader, framing),
            Self::H2 { body, .. } => body.map_or(Incoming::Empty, Incoming::h2),
        }
    }
}

/// Says how long the body of an answer in HTTP/2 is.
fn framing(head: &ResponseHead, ended: bool, to_head: bool) -> Result<Framing, Malformed> {
    if to_head || head.status.is_bodiless() {
        return Ok(Framing::Empty);
    }
    Ok(match Framing::to_send(&head.headers, ended)? {
        Framing::Empty => Framing::Length(0),
        other => other,
    })
}
