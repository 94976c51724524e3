//! A connection to an endpoint, lent out for one exchange.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::SendRequest;

use super::pool::{Slot, peek};
use super::reception::Reception;
use crate::h1::{Framing, Reader, Writer};
use crate::http::wire::{Io, Outgoing, Stream, WireError};
use crate::message::{self, Method, RequestHead};

/// A connection for one exchange.
pub(crate) enum Lease {
    H1 { connection: Box<Http1>, reused: bool, slot: Slot },
    H2(Http2),
}

/// A connection of HTTP/1.1.
pub(crate) struct Http1 {
    pub(super) io: Stream,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// A stream to be on a connection of HTTP/2.
pub(crate) struct Http2 {
    send: SendRequest<Bytes>,
    _share: Share,
    reused: bool,
}

/// Counts a stream for as long as it is lent out.
pub(crate) struct Share(Rc<Cell<u32>>);

impl Http1 {
    pub(super) fn new(io: Box<dyn Io>, limits: message::Limits) -> Self {
        Self { io: RefCell::new(io), reader: Reader::new(limits), writer: Writer::new() }
    }

    /// Says whether the endpoint has neither closed an idle connection nor sent anything on it.
    pub(super) fn is_quiet(&mut self) -> bool {
        let io = self.io.get_mut();
        self.reader.buffered().is_empty()
            && peek(|task| self.reader.poll_begin(io, task)).is_pending()
    }
}

impl Http2 {
    pub(super) fn new(send: SendRequest<Bytes>, share: Share, reused: bool) -> Self {
        Self { send, _share: share, reused }
    }
}

impl Share {
    pub(super) fn new(streams: &Rc<Cell<u32>>) -> Self {
        streams.set(streams.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Lease {
    pub(super) fn h1(connection: Box<Http1>, reused: bool, slot: Slot) -> Self {
        Self::H1 { connection, reused, slot }
    }

    /// Says whether the connection was there before: then the endpoint may have closed it unseen.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Self::H1 { reused, .. } | Self::H2(Http2 { reused, .. }) => *reused,
        }
    }

    /// Sends, or queues to be sent with the first bytes of the body, the head of a request.
    ///
    /// # Errors
    /// The connection of HTTP/2 takes no more streams, or the head cannot be said in it.
    pub(crate) async fn begin<'u>(
        &'u mut self,
        head: &RequestHead,
        framing: Framing,
    ) -> Result<(Outgoing<'u>, Reception<'u>), WireError> {
        match self {
            Self::H1 { connection, .. } => {
                let Http1 { io, reader, writer } = &mut **connection;
                writer.request(head, framing, true);
                let io: &'u Stream = io;
                let upgrade = head.upgrade.is_some();
                let reception = Reception::h1(io, reader, head.method.clone(), upgrade);
                Ok((Outgoing::H1 { io, writer }, reception))
            }
            Self::H2(Http2 { send, .. }) => {
                let request = head.to_http()?;
                poll_fn(|task| send.poll_ready(task)).await?;
                let ended = framing.is_empty();
                let (response, stream) = send.send_request(request, ended)?;
                let outgoing = if ended { Outgoing::Ended } else { Outgoing::h2(stream) };
                Ok((outgoing, Reception::h2(response, head.method == Method::Head)))
            }
        }
    }

    /// Gives the connection back after an exchange that was complete on both sides.
    pub(crate) fn give_back(self) {
        match self {
            Self::H1 { mut connection, slot, .. } => {
                if connection.writer.buffered() == 0 && connection.is_quiet() {
                    slot.give_back(connection);
                }
            }
            Self::H2(_) => {}
        }
    }

    /// Gives a connection of HTTP/1.1 away for good, with what was read beyond the answer's head:
    /// for a tunnel.
    pub(crate) fn into_tunnel(self) -> Option<(Box<dyn Io>, Bytes)> {
        match self {
            Self::H1 { connection, .. } => {
                let Http1 { io, mut reader, .. } = *connection;
                Some((io.into_inner(), reader.take_buffered()))
            }
            Self::H2(_) => None,
        }
    }
}
