//! The server side of HTTP/1.1: one request after another on one connection, in order, also when the
//! client has sent several at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::{Client, limits};
use crate::access_log::refused;
use crate::h1::{Error, Frame, Framing, Peer, Reader, Request, Writer};
use crate::http::clock::Clock;
use crate::http::exchange::{After, Exchange, Reply};
use crate::http::wire::{Incoming, Io, Stream};
use crate::http::{self, refusal};
use crate::message::Version;

/// Bytes of a body that nobody wants, read so that the connection can be used for the next request.
const UNWANTED: usize = 64 << 10;

/// For how long, and of how many bytes, the client's rest is read when the connection is closed after
/// an answer: a reset would destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// Serves a connection from which `first` was read already.
pub(super) async fn serve(io: Box<dyn Io>, first: BytesMut, client: Rc<Client>) {
    let settings = client.worker.settings();
    let mut connection = Server {
        io: RefCell::new(io),
        reader: Reader::with_bytes(limits(settings), first),
        writer: Writer::new(),
        clock: Clock::default(),
        client: Rc::clone(&client),
    };
    let closed = connection.run().await;
    let io = connection.io.into_inner();
    if closed == After::Close {
        let rest = connection.reader.take_buffered().len();
        // The client may still be reading; nobody else waits for this.
        Box::pin(linger(io, rest)).await;
    }
}

struct Server {
    io: Stream,
    reader: Reader,
    writer: Writer,
    clock: Clock,
    client: Rc<Client>,
}

impl Server {
    /// Serves requests until the connection is to be closed, and says how.
    async fn run(&mut self) -> After {
        let client = Rc::clone(&self.client);
        let most = client.worker.settings().limits.requests_per_connection;
        let mut served = 0;
        loop {
            let begun = async {
                tokio::select! {
                    biased;
                    // A request that is there already is the last one, and told so.
                    begun = begin(&self.io, &mut self.reader) => begun,
                    () = client.connection.drain.begun() => false,
                    () = client.worker.room().wanted() => false,
                }
            };
            let idle = Instant::now() + client.worker.settings().timeouts.keep_alive;
            match self.clock.until(|| idle, begun).await {
                Some(true) => {}
                Some(false) | None => return After::Abort,
            }
            let request = match self.head().await {
                Ok(request) => request,
                Err(after) => return after,
            };
            served += 1;
            let last = served >= most || client.connection.drain.is_draining();
            match self.exchange(request, last).await {
                After::Next => {}
                after => return after,
            }
        }
    }

    /// Reads a head within its time, which counts from its first byte and is not put off by more of
    /// them (attack A1).
    async fn head(&mut self) -> Result<Request, After> {
        let deadline = Instant::now() + self.client.worker.settings().timeouts.header;
        let scheme = self.client.scheme();
        let (io, reader) = (&self.io, &mut self.reader);
        let read = poll_fn(|task| reader.poll_request(&mut *io.borrow_mut(), task, scheme));
        let status = match self.clock.until(|| deadline, read).await {
            Some(Ok(request)) => return Ok(request),
            Some(Err(Error::Closed)) => return Err(After::Abort),
            Some(Err(error)) => error.status(),
            None => Some(408),
        };
        match status {
            Some(status) => Err(Box::pin(self.refuse(status)).await),
            None => Err(After::Abort),
        }
    }

    /// Answers what is no request; nothing on this connection can be trusted any more.
    async fn refuse(&mut self, status: u16) -> After {
        refused(&self.client, status);
        let (head, body) = refusal(status);
        let peer = Peer { version: Version::Http11, keep_alive: false };
        let mut reply = Reply::h1(&self.io, &mut self.writer, peer, false);
        let length = u64::try_from(body.len()).unwrap_or_default();
        let deadline = Instant::now() + LINGER;
        let sent = reply.whole(&head, Framing::Length(length), body);
        match self.clock.until(|| deadline, sent).await {
            Some(Ok(())) => After::Close,
            Some(Err(_)) | None => After::Abort,
        }
    }

    async fn exchange(&mut self, request: Request, last: bool) -> After {
        let Request { head, framing, keep_alive, expects_continue } = request;
        let version = head.version;
        let peer = Peer { version, keep_alive: keep_alive && !last };
        let waits = expects_continue && !framing.is_empty();
        let exchange = Exchange {
            head,
            framing,
            body: Incoming::h1(&self.io, &mut self.reader, framing),
            reply: Reply::h1(&self.io, &mut self.writer, peer, waits)
                .heeding(&self.client.connection.drain),
            clock: &self.clock,
        };
        // Boxed, so that a connection that waits for its next request is small.
        let (after, mut body) = Box::pin(http::serve(exchange, &self.client)).await;
        if after == After::Next && !body.is_done() && !Box::pin(skip(&mut body, &self.clock)).await
        {
            return After::Close;
        }
        after
    }
}

/// Waits for the first byte of the next request; false when the client has closed.
async fn begin(io: &Stream, reader: &mut Reader) -> bool {
    poll_fn(|task| reader.poll_begin(&mut *io.borrow_mut(), task)).await.unwrap_or(false)
}

/// Reads what is left of a body that was answered without it, if that is little and comes soon.
async fn skip(body: &mut Incoming<'_>, clock: &Clock) -> bool {
    let rest = async {
        let mut skipped = 0;
        loop {
            match poll_fn(|task| body.poll_frame(task)).await {
                Ok(Some(Frame::Data(data))) => skipped += data.len(),
                Ok(Some(Frame::Trailers(_)) | None) => return true,
                Err(_) => return false,
            }
            if skipped > UNWANTED {
                return false;
            }
        }
    };
    let deadline = Instant::now() + LINGER;
    clock.until(|| deadline, rest).await.unwrap_or(false)
}

/// Closes our side and reads on for a while, so that the client gets the answer to its end.
async fn linger(mut io: Box<dyn Io>, mut read: usize) {
    let rest = async {
        if io.shutdown().await.is_err() {
            return;
        }
        let mut space = [0; 4096];
        while read < LINGER_BYTES {
            match io.read(&mut space).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read += count,
            }
        }
    };
    // Whoever still sends then has been told for long enough.
    drop(tokio::time::timeout(LINGER, rest).await);
}
