//! The server side of HTTP/2: the `h2` crate keeps the connection, each stream is a task of its own
//! on the same thread.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use tokio::time::Instant;

use super::{Client, limits};
use crate::access_log::refused;
use crate::h1::Framing;
use crate::http::clock::Clock;
use crate::http::exchange::{After, Exchange, Reply};
use crate::http::wire::{Incoming, Io};
use crate::http::{self, refusal};
use crate::message::{Malformed, RequestHead};

/// Flow control: what one stream, and all together, may send before we have passed it on.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Streams that the client resets before we have looked at them (attack A5), and streams that we must
/// reset for its errors (attack A6), until the connection is closed.
const RESETS: usize = 32;
const ERRORS: usize = 128;

/// Bytes of answers that may wait in one stream for the client's window (attack A9).
const SEND_BUFFER: usize = 256 << 10;

/// Requests that a client may take back on one connection without more of them being served (attack
/// A5). Beyond it at least as many must be served as are taken back.
const TAKEN_BACK: u64 = 200;

/// The streams of one connection.
#[derive(Default)]
struct Streams {
    /// Under way.
    open: Cell<usize>,
    served: Cell<u64>,
    /// Of those served, how many the client has reset.
    taken_back: Cell<u64>,
}

impl Streams {
    fn end(&self, after: After) {
        self.served.set(self.served.get() + 1);
        self.taken_back.set(self.taken_back.get() + u64::from(after == After::Gone));
    }

    /// Says whether the client makes work for its own sake.
    fn are_abused(&self) -> bool {
        let taken_back = self.taken_back.get();
        taken_back > TAKEN_BACK && taken_back * 2 > self.served.get()
    }
}

/// Counts a stream for as long as it lives.
struct Counted(Rc<Streams>);

impl Counted {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

type Connection = h2::server::Connection<Box<dyn Io>, Bytes>;

/// Serves a connection to its end.
pub(super) async fn serve(io: Box<dyn Io>, client: Rc<Client>) {
    let settings = client.worker.settings();
    let list = u32::try_from(settings.limits.header_bytes).unwrap_or(u32::MAX);
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(settings.limits.http2_streams)
        .max_header_list_size(list)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(Some(ERRORS))
        .handshake(io);
    let clock = Clock::default();
    let deadline = Instant::now() + settings.timeouts.header;
    let Some(Ok(connection)) = clock.until(|| deadline, handshake).await else { return };
    accept(connection, &clock, &client).await;
}

async fn accept(mut connection: Connection, clock: &Clock, client: &Rc<Client>) {
    let settings = client.worker.settings();
    let idle = settings.timeouts.keep_alive;
    let mut drained = pin!(client.connection.drain.begun());
    let mut draining = false;
    let mut served: u64 = 0;
    let streams = Rc::new(Streams::default());
    // While streams are under way the connection is not idle; their own deadlines hold.
    let quiet_since = Cell::new(Instant::now());
    let deadline = || {
        if streams.open.get() > 0 {
            quiet_since.set(Instant::now());
        }
        quiet_since.get() + idle
    };
    loop {
        let next = poll_fn(|task| {
            if !draining && drained.as_mut().poll(task).is_ready() {
                // Without a new poll after it, the GOAWAY would not be written.
                draining = true;
                connection.graceful_shutdown();
            }
            connection.poll_accept(task)
        });
        let accepted = match clock.until(deadline, next).await {
            Some(Some(Ok(accepted))) => accepted,
            Some(Some(Err(error))) => {
                tracing::debug!(%error, peer = %client.connection.peer, "a connection broke");
                return;
            }
            Some(None) => return,
            None if draining => return,
            None => {
                draining = true;
                connection.graceful_shutdown();
                quiet_since.set(Instant::now());
                continue;
            }
        };
        if streams.are_abused() {
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            // What was accepted is dropped; the GOAWAY goes out with the last poll.
            drop(clock.until(deadline, poll_fn(|task| connection.poll_closed(task))).await);
            return;
        }
        quiet_since.set(Instant::now());
        served += 1;
        if served >= settings.limits.requests_per_connection && !draining {
            draining = true;
            connection.graceful_shutdown();
        }
        let (request, respond) = accepted;
        let counted = Counted::new(&streams);
        let on = Rc::clone(client);
        client.worker.spawn(async move {
            let after = stream(request, respond, &on).await;
            counted.0.end(after);
            drop(counted);
        });
    }
}

/// Serves one request.
async fn stream(
    request: ::http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    client: &Client,
) -> After {
    let (parts, body) = request.into_parts();
    let limits = limits(client.worker.settings());
    let head = match RequestHead::from_http(&parts, client.scheme(), &limits) {
        Ok(head) => head,
        Err(malformed) => {
            refuse(respond, malformed, client);
            return After::Next;
        }
    };
    let body = Incoming::h2(body);
    let Ok(framing) = Framing::to_send(&head.headers, body.is_done()) else {
        respond.send_reset(Reason::PROTOCOL_ERROR);
        return After::Next;
    };
    let clock = Clock::default();
    let exchange = Exchange { head, framing, body, reply: Reply::h2(respond), clock: &clock };
    let (after, _body) = Box::pin(http::serve(exchange, client)).await;
    after
}

/// Answers what is no request. A wrong stream is no reason to end its neighbours.
fn refuse(mut respond: SendResponse<Bytes>, malformed: Malformed, client: &Client) {
    let status = crate::h1::Refusal::Malformed(malformed).status();
    refused(client, status);
    let (head, body) = refusal(status);
    if let Ok(mut stream) = respond.send_response(head.to_http(), false) {
        // The client may have gone already.
        stream.send_data(body, true).unwrap_or_default();
    }
}
