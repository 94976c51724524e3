//! Writes messages to a stream: a head and the first bytes of its body go out in one system call,
//! large pieces are not copied, and a body is never longer or shorter than its head said.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::chunked::{self, Trailers};
use super::encode;
use super::error::Error;
use super::framing::Framing;
use super::scratch;
use crate::message::{RequestHead, ResponseHead, Version};

/// Pieces up to this size are copied behind what is waiting, in bytes; larger ones are passed on.
const COPIED: usize = 4 << 10;

/// Pieces that go into one system call.
const SLICES: usize = 16;

/// What waits to be written on one side of a connection. The stream stays the caller's and must be the
/// same one in every call. Nothing is written before [`Self::flush`].
#[derive(Debug, Default)]
pub struct Writer {
    /// Goes out first.
    queue: VecDeque<Bytes>,
    /// Goes out after the queue.
    open: BytesMut,
    queued: usize,
    body: Sending,
}

/// To whom a response goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The version of the request.
    pub version: Version,
    /// Both sides want the connection to live on.
    pub keep_alive: bool,
}

/// What is still owed to the head that was written.
#[derive(Clone, Copy, Debug, Default)]
enum Sending {
    #[default]
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Writer {
    /// Starts at the first byte of a connection; holds no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the bytes that wait, for back pressure: flush before more than a few hundred KiB wait.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.queued + self.open.len()
    }

    /// Writes a request's head; `keep_alive` false asks the server to close.
    pub fn request(&mut self, head: &RequestHead, framing: Framing, keep_alive: bool) {
        encode::request(self.open(), head, framing, keep_alive);
        self.body = Sending::of(framing);
    }

    /// Writes a response's head and says whether the connection may live on after its body. An
    /// HTTP/1.0 client gets a body of unknown length until the connection closes. About `Empty` see
    /// [`encode::response`].
    pub fn response(&mut self, head: &ResponseHead, framing: Framing, peer: Peer) -> bool {
        let framing = match (framing, peer.version) {
            (Framing::Chunked, Version::Http10) => Framing::UntilClose,
            (framing, _) => framing,
        };
        let keep_alive = peer.keep_alive && framing != Framing::UntilClose;
        encode::response(self.open(), head, framing, peer.version, keep_alive);
        if !head.status.is_interim() {
            self.body = Sending::of(framing);
        }
        keep_alive
    }

    /// Writes `100 Continue`.
    pub fn continue_100(&mut self) {
        self.open().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Adds a piece of the body; an empty one is nothing.
    ///
    /// # Errors
    /// `WrongLength` when the body would be longer than the head said; nothing was added.
    pub fn data(&mut self, data: Bytes) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.body {
            Sending::Nothing => return Err(Error::WrongLength),
            Sending::Length(left) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(length).ok_or(Error::WrongLength)?;
                self.push(data);
            }
            Sending::UntilClose => self.push(data),
            Sending::Chunked => {
                chunked::write_size(self.open(), data.len());
                self.push(data);
                self.open().extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }

    /// Ends the body. Trailers go out in chunked bodies, elsewhere there is no place for them.
    ///
    /// # Errors
    /// `WrongLength` when the body is shorter than the head said: close the connection.
    pub fn end(&mut self, trailers: Option<&Trailers>) -> Result<(), Error> {
        match std::mem::take(&mut self.body) {
            Sending::Nothing | Sending::Length(0) | Sending::UntilClose => Ok(()),
            Sending::Length(_) => Err(Error::WrongLength),
            Sending::Chunked => {
                chunked::write_end(self.open(), trailers);
                Ok(())
            }
        }
    }

    /// Adds bytes that are no HTTP: of a tunnel after 101.
    pub fn raw(&mut self, data: Bytes) {
        self.push(data);
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// Of the stream.
    pub async fn flush<W: AsyncWrite + Unpin>(&mut self, io: &mut W) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(io, cx)).await
    }

    /// [`Self::flush`] as a poll.
    pub fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        while self.buffered() > 0 {
            let count = ready!(self.poll_write(io, cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            self.written(count);
        }
        if self.open.capacity() > 0 {
            scratch::give_back(std::mem::take(&mut self.open));
        }
        Pin::new(io).poll_flush(cx).map_err(Error::from)
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.queue.is_empty() {
            return Pin::new(io).poll_write(cx, &self.open);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let waiting = self.queue.iter().map(|piece| &piece[..]).chain([&self.open[..]]);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(waiting.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        Pin::new(io).poll_write_vectored(cx, &slices[..count])
    }

    fn written(&mut self, mut count: usize) {
        while let Some(piece) = self.queue.front_mut()
            && count > 0
        {
            let taken = count.min(piece.len());
            piece.advance(taken);
            self.queued -= taken;
            count -= taken;
            if piece.is_empty() {
                self.queue.pop_front();
            }
        }
        self.open.advance(count);
    }

    fn push(&mut self, data: Bytes) {
        if data.len() <= COPIED {
            self.open().extend_from_slice(&data);
            return;
        }
        if !self.open.is_empty() {
            let before = self.open.split().freeze();
            self.enqueue(before);
        }
        self.enqueue(data);
    }

    fn enqueue(&mut self, piece: Bytes) {
        self.queued += piece.len();
        self.queue.push_back(piece);
    }

    fn open(&mut self) -> &mut BytesMut {
        if self.open.capacity() == 0 {
            self.open = scratch::take();
        }
        &mut self.open
    }
}

impl Sending {
    const fn of(framing: Framing) -> Self {
        match framing {
            Framing::Empty | Framing::Length(0) => Self::Nothing,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked,
            Framing::UntilClose => Self::UntilClose,
        }
    }
}
