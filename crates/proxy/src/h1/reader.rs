//! Reads messages from a stream. Bytes beyond the message that was asked for stay for the next one.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;

use super::chunked::{Decoder, Piece, Trailers};
use super::error::Error;
use super::framing::Framing;
use super::head::{self, Request, Response};
use super::scan::Scan;
use super::scratch;
use crate::message::{Limits, Method, Scheme};

/// Reads in this size while a head or a short body is expected, in bytes.
const SHORT: usize = 16 << 10;

/// Reads in this size once a body is known or seen to be long, in bytes.
const LONG: usize = 256 << 10;

/// What one side of a connection has sent and nobody has taken yet. The stream stays the caller's and
/// must be the same one in every call.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    buffer: BytesMut,
    scan: Option<Scan>,
}

/// Where we are in the body of one message.
#[derive(Debug)]
pub struct Body {
    state: State,
    /// The last read was as large as it could be.
    long: bool,
}

#[derive(Debug)]
enum State {
    Length(u64),
    Chunked(Box<Decoder>),
    UntilClose,
    Done,
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Never empty.
    Data(Bytes),
    /// The last frame; only when there are any.
    Trailers(Trailers),
}

impl Body {
    /// Starts a body of a message whose head was just read.
    #[must_use]
    pub fn new(framing: Framing, limits: &Limits) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Box::new(Decoder::new(*limits))),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, long: false }
    }

    /// Says whether all of it was read, so that the next message may be.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn read_size(&self) -> usize {
        let known = match &self.state {
            State::Length(left) => *left > 64 << 10,
            State::Chunked(_) | State::UntilClose | State::Done => false,
        };
        if known || self.long { LONG } else { SHORT }
    }
}

impl Reader {
    /// Starts at the first byte of a connection; holds no memory yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_bytes(limits, BytesMut::new())
    }

    /// Starts with bytes that were read already, to tell protocols apart for example.
    #[must_use]
    pub const fn with_bytes(limits: Limits, buffer: BytesMut) -> Self {
        Self { limits, buffer, scan: None }
    }

    /// Gives the limits it was made with.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Gives the bytes that nobody has taken yet. On an idle upstream connection there must be none.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the bytes that nobody has taken yet: the first ones of a tunnel after 101.
    pub fn take_buffered(&mut self) -> Bytes {
        std::mem::take(&mut self.buffer).freeze()
    }

    /// Waits for the first byte of the next message; false when the peer closed instead.
    ///
    /// # Errors
    /// Of the stream.
    pub async fn begin<R: AsyncRead + Unpin>(&mut self, io: &mut R) -> Result<bool, Error> {
        poll_fn(|cx| self.poll_begin(io, cx)).await
    }

    /// Reads a request's head. For a deadline, wrap it; what was read so far stays.
    ///
    /// # Errors
    /// `Closed` when the peer closed before its first byte.
    pub async fn request<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        scheme: Scheme,
    ) -> Result<Request, Error> {
        poll_fn(|cx| self.poll_request(io, cx, scheme)).await
    }

    /// Reads the head of a response to a request with this method.
    ///
    /// # Errors
    /// `Closed` when the peer closed before its first byte.
    pub async fn response<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        method: &Method,
    ) -> Result<Response, Error> {
        poll_fn(|cx| self.poll_response(io, cx, method)).await
    }

    /// Reads the next piece of a body; `None` at its end, also when asked again.
    ///
    /// # Errors
    /// `Truncated` when the peer closed too early.
    pub async fn frame<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        body: &mut Body,
    ) -> Result<Option<Frame>, Error> {
        poll_fn(|cx| self.poll_frame(io, cx, body)).await
    }

    /// [`Self::begin`] as a poll.
    pub fn poll_begin<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Error>> {
        if !self.buffer.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let count = ready!(scratch::poll_read(io, cx, SHORT, &mut self.buffer))?;
        Poll::Ready(Ok(count > 0))
    }

    /// [`Self::request`] as a poll.
    pub fn poll_request<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        cx: &mut Context<'_>,
        scheme: Scheme,
    ) -> Poll<Result<Request, Error>> {
        let head = ready!(self.poll_head(io, cx, Scan::request))?;
        Poll::Ready(head::request(head, scheme, &self.limits).map_err(Error::from))
    }

    /// [`Self::response`] as a poll.
    pub fn poll_response<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        cx: &mut Context<'_>,
        method: &Method,
    ) -> Poll<Result<Response, Error>> {
        let head = ready!(self.poll_head(io, cx, Scan::response))?;
        Poll::Ready(head::response(head, method, &self.limits).map_err(Error::from))
    }

    /// [`Self::frame`] as a poll.
    pub fn poll_frame<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        cx: &mut Context<'_>,
        body: &mut Body,
    ) -> Poll<Result<Option<Frame>, Error>> {
        loop {
            if body.is_done() {
                return Poll::Ready(Ok(None));
            }
            if let Some(frame) = self.take_frame(body)? {
                return Poll::Ready(Ok(Some(frame)));
            }
            if body.is_done() {
                return Poll::Ready(Ok(None));
            }
            let want = body.read_size();
            let count = ready!(scratch::poll_read(io, cx, want, &mut self.buffer))?;
            body.long |= count >= want;
            match (count, &body.state) {
                (0, State::UntilClose) => body.state = State::Done,
                (0, _) => return Poll::Ready(Err(Error::Truncated)),
                _ => {}
            }
        }
    }

    /// Gives a frame of what is buffered, if that is enough for one.
    fn take_frame(&mut self, body: &mut Body) -> Result<Option<Frame>, Error> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        match &mut body.state {
            State::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= u64::try_from(length).unwrap_or(*left);
                if *left == 0 {
                    body.state = State::Done;
                }
                Ok(Some(Frame::Data(self.take(length))))
            }
            State::UntilClose => Ok(Some(Frame::Data(self.take_buffered()))),
            State::Chunked(decoder) => match decoder.next(&mut self.buffer)? {
                None => Ok(None),
                Some(Piece::Data(data)) => Ok(Some(Frame::Data(data))),
                Some(Piece::End(trailers)) => {
                    body.state = State::Done;
                    Ok((!trailers.is_empty()).then_some(Frame::Trailers(trailers)))
                }
            },
            State::Done => Ok(None),
        }
    }

    /// Takes bytes from the front; all of them without sharing.
    fn take(&mut self, length: usize) -> Bytes {
        if length == self.buffer.len() {
            return self.take_buffered();
        }
        self.buffer.split_to(length).freeze()
    }

    /// Gives one complete head, that and nothing else.
    fn poll_head<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        cx: &mut Context<'_>,
        start: impl Fn() -> Scan,
    ) -> Poll<Result<BytesMut, Error>> {
        loop {
            let scan = self.scan.get_or_insert_with(&start);
            if let Some(range) = scan.advance(&self.buffer, &self.limits)? {
                self.scan = None;
                let mut head = if range.end == self.buffer.len() {
                    std::mem::take(&mut self.buffer)
                } else {
                    self.buffer.split_to(range.end)
                };
                bytes::Buf::advance(&mut head, range.start);
                return Poll::Ready(Ok(head));
            }
            let begun = scan.has_begun();
            let count = ready!(scratch::poll_read(io, cx, SHORT, &mut self.buffer))?;
            match (count, begun) {
                (0, false) => return Poll::Ready(Err(Error::Closed)),
                (0, true) => return Poll::Ready(Err(Error::Truncated)),
                _ => {}
            }
        }
    }
}
