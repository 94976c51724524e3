//! Clients' connections: which version of HTTP is spoken on one, its requests one after another or
//! side by side, and its end. What is done with a request is [`crate::http`]'s.

mod h1;
mod h2;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use fairway_model::filter::Scheme;
use fairway_model::{GatewayId, ListenerId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::drain::DrainSignal;
use crate::http::clock::Clock;
use crate::http::wire::Io;
use crate::message;
use crate::metrics::ListenerCells;
use crate::settings::Settings;
use crate::tls::Prefixed;
use crate::worker::Worker;

/// What is known of a client's connection before its first request.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) gateway: GatewayId,
    /// The port that the user declared, which may not be the one that is bound.
    pub(crate) port: u16,
    pub(crate) scheme: Scheme,
    /// With TLS: the one that the server name has chosen.
    pub(crate) listener: Option<ListenerId>,
    /// With TLS: the name that the client asked for, lower case.
    pub(crate) server_name: Option<Arc<str>>,
    /// With TLS: whether ALPN agreed on HTTP/2.
    pub(crate) alpn_h2: bool,
    /// Says when to come to an end: the port is closed, or the process stops.
    pub(crate) drain: DrainSignal,
}

/// A client's connection with the thread that serves it.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) worker: Rc<Worker>,
    /// The cells of the listener whose rules applied last: nearly always that of the next request.
    cells: RefCell<Option<(ListenerId, Arc<ListenerCells>)>>,
}

impl Client {
    fn new(connection: Connection, worker: Rc<Worker>) -> Self {
        Self { connection, worker, cells: RefCell::default() }
    }

    /// Gives the client's address; an IPv4 address inside of IPv6 as what it is.
    pub(crate) fn address(&self) -> IpAddr {
        self.connection.peer.ip().to_canonical()
    }

    /// Counts something of a listener.
    pub(crate) fn count(&self, listener: &ListenerId, count: impl FnOnce(&ListenerCells)) {
        let mut known = self.cells.borrow_mut();
        match &*known {
            Some((id, cells)) if id == listener => count(cells),
            Some(_) | None => {
                let cells = self.worker.metrics().listener(listener);
                cells.connection();
                count(&cells);
                *known = Some((listener.clone(), cells));
            }
        }
    }

    fn scheme(&self) -> message::Scheme {
        match self.connection.scheme {
            Scheme::Http => message::Scheme::Http,
            Scheme::Https => message::Scheme::Https,
        }
    }
}

/// Serves one client's connection to its end.
pub(crate) async fn serve<IO>(io: IO, connection: Connection, worker: Rc<Worker>)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let client = Rc::new(Client::new(connection, worker));
    Box::pin(serve_io(Box::new(io), client)).await;
}

/// What every connection of HTTP/2 begins with (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes read to tell the versions apart. Most requests fit and cost no second read.
const FIRST: usize = 4096;

async fn serve_io(mut io: Box<dyn Io>, client: Rc<Client>) {
    if client.connection.alpn_h2 {
        return Box::pin(h2::serve(io, client)).await;
    }
    // ALPN said HTTP/1.1, or nothing: then HTTP/2 is no surprise only in clear text.
    if client.connection.listener.is_some() {
        return h1::serve(io, BytesMut::new(), client).await;
    }
    let clock = Clock::default();
    let timeouts = &client.worker.settings().timeouts;
    let mut deadline = Instant::now() + timeouts.keep_alive;
    let mut first = BytesMut::new();
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        let read = async {
            tokio::select! {
                biased;
                read = read_some(&mut io, &mut first) => read,
                () = client.connection.drain.begun(), if first.is_empty() => 0,
                () = client.worker.room().wanted(), if first.is_empty() => 0,
            }
        };
        match clock.until(|| deadline, read).await {
            Some(0) | None => return,
            Some(_) => {}
        }
        deadline = Instant::now() + timeouts.header;
    }
    drop(clock);
    if first.starts_with(PREFACE) {
        Box::pin(h2::serve(Box::new(Prefixed::new(first.into(), io)), client)).await;
    } else {
        h1::serve(io, first, client).await;
    }
}

/// Reads once; 0 at the end or when the connection broke. Holds no memory while nothing comes.
async fn read_some(io: &mut Box<dyn Io>, to: &mut BytesMut) -> usize {
    poll_fn(|task| {
        let mut space = [0; FIRST];
        let mut buffer = ReadBuf::new(&mut space);
        std::pin::Pin::new(&mut *io).poll_read(task, &mut buffer).map(|read| {
            to.extend_from_slice(buffer.filled());
            read.map_or(0, |()| buffer.filled().len())
        })
    })
    .await
}

/// What a request's head may be like.
fn limits(settings: &Settings) -> message::Limits {
    let limits = &settings.limits;
    message::Limits {
        // The target's own bound, with room for a method and the version.
        first_line: limits.target_bytes + 64,
        head: limits.header_bytes,
        fields: limits.header_fields.min(message::Limits::MAX_FIELDS),
        ..message::Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::worker::Room;

    #[test]
    fn a_connection_that_waits_is_small() {
        let settings = Arc::new(Settings::default());
        let room = Arc::new(Room::new(&settings.limits));
        let worker = Rc::new(Worker::new(settings, Arc::new(Metrics::new()), room));
        let connection = Connection {
            peer: ([127, 0, 0, 1], 1).into(),
            gateway: GatewayId::new("gateway/a/b"),
            port: 80,
            scheme: Scheme::Http,
            listener: None,
            server_name: None,
            alpn_h2: false,
            drain: DrainSignal::default(),
        };
        let client = Rc::new(Client::new(connection, worker));
        let waiting = serve_io(Box::new(tokio::io::empty()), client);
        let size = size_of_val(&waiting);
        assert!(size <= 2048, "{size}");
    }
}
