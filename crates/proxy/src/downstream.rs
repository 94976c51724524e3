//! Placeholder.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use fairway_model::filter::Scheme;
use fairway_model::{GatewayId, ListenerId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::drain::DrainSignal;
use crate::worker::Worker;

/// What is known of a client's connection before its first request.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
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

/// Serves one client's connection to its end.
pub(crate) async fn serve<IO>(io: IO, connection: Connection, worker: Rc<Worker>)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let _ = (io, connection, worker);
}
