//! The two halves of one exchange on one connection, whichever version of HTTP it speaks and
//! whichever side of it we are: what comes in, and what goes out. The same types serve the client's
//! connection and the endpoint's.

use std::cell::RefCell;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::h1::{self, Frame, Reader, Writer};
use crate::message::{Headers, Malformed};

/// Bytes both ways: TCP or TLS, on either side.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// An HTTP/1.1 connection's bytes. Both halves of an exchange use it in turn; nobody holds the borrow
/// beyond a poll.
pub(crate) type Stream = RefCell<Box<dyn Io>>;

/// So much may wait to be written before nothing more is read, in bytes.
const WAITING: usize = 64 << 10;

/// Why a half of an exchange came to an early end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error(transparent)]
    H1(#[from] h1::Error),
    #[error(transparent)]
    H2(#[from] h2::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The peer takes no more bytes of an HTTP/2 stream.
    #[error("the peer has closed the stream")]
    Closed,
}

impl WireError {
    /// Says whether the peer refused an HTTP/2 stream without having looked at it (RFC 9113 8.7).
    pub(crate) fn is_unseen(&self) -> bool {
        match self {
            Self::H2(error) => {
                error.reason() == Some(Reason::REFUSED_STREAM)
                    || (error.is_go_away() && error.reason() == Some(Reason::NO_ERROR))
            }
            Self::H1(_) | Self::Malformed(_) | Self::Closed => false,
        }
    }
}

/// The body that comes in.
pub(crate) enum Incoming<'c> {
    /// There is none.
    Empty,
    H1 {
        io: &'c Stream,
        reader: &'c mut Reader,
        body: h1::Body,
    },
    H2 {
        stream: RecvStream,
        /// Bytes taken since the window was last opened again.
        taken: usize,
        data_ended: bool,
    },
}

impl<'c> Incoming<'c> {
    /// Takes the body of an HTTP/1.1 message whose head was just read.
    pub(crate) fn h1(io: &'c Stream, reader: &'c mut Reader, framing: h1::Framing) -> Self {
        let body = h1::Body::new(framing, reader.limits());
        Self::H1 { io, reader, body }
    }

    /// Takes the body of an HTTP/2 message.
    pub(crate) fn h2(stream: RecvStream) -> Self {
        if stream.is_end_stream() {
            return Self::Empty;
        }
        Self::H2 { stream, taken: 0, data_ended: false }
    }

    /// Takes the connection of HTTP/1.1 away from its owner, with what was read beyond the head: for
    /// a tunnel. To the owner it then looks closed.
    pub(crate) fn take_connection(&mut self) -> Option<(Box<dyn Io>, Bytes)> {
        match self {
            Self::H1 { io, reader, .. } => {
                let taken = io.replace(Box::new(tokio::io::empty()));
                Some((taken, reader.take_buffered()))
            }
            Self::Empty | Self::H2 { .. } => None,
        }
    }

    /// Says whether all of it was read.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::H1 { body, .. } => body.is_done(),
            Self::H2 { stream, .. } => stream.is_end_stream(),
        }
    }

    /// Ready when the peer has closed its side behind the body, an error when the connection broke. A
    /// stream of HTTP/2 says so in the other direction.
    pub(crate) fn poll_closed(&mut self, task: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        match self {
            Self::H1 { io, reader, body } if body.is_done() && reader.buffered().is_empty() => {
                match reader.poll_begin(&mut *io.borrow_mut(), task)? {
                    Poll::Ready(false) => Poll::Ready(Ok(())),
                    // The next request is there already.
                    Poll::Ready(true) | Poll::Pending => Poll::Pending,
                }
            }
            Self::Empty | Self::H1 { .. } | Self::H2 { .. } => Poll::Pending,
        }
    }

    /// Gives the next piece; `None` at the end, also when asked again. To ask says that the pieces
    /// before were passed on: only then an HTTP/2 peer may send more.
    pub(crate) fn poll_frame(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, WireError>> {
        match self {
            Self::Empty => Poll::Ready(Ok(None)),
            Self::H1 { io, reader, body } => {
                reader.poll_frame(&mut *io.borrow_mut(), task, body).map_err(WireError::from)
            }
            Self::H2 { stream, taken, data_ended } => {
                if *taken > 0 {
                    stream.flow_control().release_capacity(std::mem::take(taken))?;
                }
                while !*data_ended {
                    match ready!(stream.poll_data(task)) {
                        Some(data) => {
                            let data = data?;
                            if !data.is_empty() {
                                *taken = data.len();
                                return Poll::Ready(Ok(Some(Frame::Data(data))));
                            }
                        }
                        None => *data_ended = true,
                    }
                }
                let trailers = ready!(stream.poll_trailers(task))?;
                let trailers = trailers.map(|map| Headers::from_http(&map));
                Poll::Ready(Ok(trailers.filter(|map| !map.is_empty()).map(Frame::Trailers)))
            }
        }
    }
}

/// The body that goes out; its head was written or queued before.
pub(crate) enum Outgoing<'c> {
    H1 {
        io: &'c Stream,
        writer: &'c mut Writer,
    },
    H2 {
        stream: SendStream<Bytes>,
        waiting: Bytes,
        end: End,
    },
    /// The head was all, and nothing waits.
    Ended,
}

/// How an HTTP/2 stream that goes out stands.
pub(crate) enum End {
    Open,
    /// When all data is out, the stream is to be ended with these.
    Asked(Option<Headers>),
    Done,
}

impl Outgoing<'_> {
    /// Takes an open HTTP/2 stream.
    pub(crate) fn h2(stream: SendStream<Bytes>) -> Self {
        Self::H2 { stream, waiting: Bytes::new(), end: End::Open }
    }

    /// Says whether more should be flushed out before more is taken in.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::H1 { writer, .. } => writer.buffered() >= WAITING,
            Self::H2 { waiting, .. } => !waiting.is_empty(),
            Self::Ended => false,
        }
    }

    /// Gives the bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::H1 { writer, .. } => writer.buffered(),
            Self::H2 { waiting, .. } => waiting.len(),
            Self::Ended => 0,
        }
    }

    /// Adds a piece of the body. Not while [`Self::is_full`].
    pub(crate) fn data(&mut self, data: Bytes) -> Result<(), WireError> {
        match self {
            Self::H1 { writer, .. } => writer.data(data).map_err(WireError::from),
            Self::H2 { waiting, .. } => {
                debug_assert!(waiting.is_empty(), "flushed before more is added");
                *waiting = data;
                Ok(())
            }
            Self::Ended => Err(h1::Error::WrongLength.into()),
        }
    }

    /// Ends the body.
    pub(crate) fn end(&mut self, trailers: Option<Headers>) -> Result<(), WireError> {
        match self {
            Self::H1 { writer, .. } => writer.end(trailers.as_ref()).map_err(WireError::from),
            Self::H2 { end, .. } => {
                if matches!(end, End::Open) {
                    *end = End::Asked(trailers);
                }
                Ok(())
            }
            Self::Ended => Ok(()),
        }
    }

    /// Writes all that waits as far as the peer takes it.
    pub(crate) fn poll_flush(&mut self, task: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        match self {
            Self::Ended => Poll::Ready(Ok(())),
            Self::H1 { io, writer } => {
                writer.poll_flush(&mut *io.borrow_mut(), task).map_err(WireError::from)
            }
            Self::H2 { stream, waiting, end } => {
                while !waiting.is_empty() {
                    stream.reserve_capacity(waiting.len());
                    // `poll_capacity` tells of news only, not of what was granted before.
                    let granted = match stream.capacity() {
                        0 => ready!(stream.poll_capacity(task)).ok_or(WireError::Closed)??,
                        granted => granted,
                    };
                    let part = waiting.split_to(granted.min(waiting.len()));
                    let last = waiting.is_empty() && matches!(end, End::Asked(None));
                    stream.send_data(part, last)?;
                    if last {
                        *end = End::Done;
                    }
                }
                if let End::Asked(trailers) = end {
                    match trailers {
                        Some(trailers) => stream.send_trailers(trailers.to_http())?,
                        None => stream.send_data(Bytes::new(), true)?,
                    }
                    *end = End::Done;
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Ready when the peer wants no more of it. Told of HTTP/2 only: of HTTP/1.1, writing tells.
    pub(crate) fn poll_gone(&mut self, task: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::H1 { .. } | Self::Ended => Poll::Pending,
            Self::H2 { stream, end, .. } => match end {
                End::Done => Poll::Pending,
                End::Open | End::Asked(_) => stream.poll_reset(task).map(|_reason| ()),
            },
        }
    }

    /// Cuts the message off so that the peer sees that it is not whole. An HTTP/1.1 connection says
    /// so by being closed, which is its owner's to do.
    pub(crate) fn abort(&mut self, reason: Reason) {
        if let Self::H2 { stream, end, .. } = self
            && !matches!(end, End::Done)
        {
            stream.send_reset(reason);
        }
    }
}
