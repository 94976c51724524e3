//! Connections of bytes: TCP listeners, TLS that the backend ends, TLS that ends here.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::relay::{Relayed, relay};
use super::target::{self, InFlight, Target};
use crate::generation::{ListenerMode, ListenerState};
use crate::metrics::Counter;
use crate::tls::{Alpn, UpstreamTls};
use crate::worker::Worker;

/// Who has connected, and to whom.
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    pub(crate) listener: Arc<ListenerState>,
    pub(crate) server_name: Option<Arc<str>>,
}

impl Client {
    /// Chooses where it goes; `None` when it is not to be served. The connection may outlive many
    /// generations, so it keeps none.
    pub(crate) fn target(&self, worker: &Worker) -> Option<Target> {
        let generation = worker.generation();
        let server_name = self.server_name.as_deref();
        target::choose(&generation, &self.listener, server_name, self.peer.ip())
    }
}

/// Serves a connection to its end. One that no endpoint takes is closed: there is no other way to
/// say so.
pub(crate) async fn serve<IO>(mut io: IO, client: Client, mut target: Target, worker: &Rc<Worker>)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let cells = worker.metrics().listener(&client.listener.id);
    cells.connection();
    let relayed = match connect(&mut target, worker).await {
        Some((upstream, in_flight)) => {
            let relayed = Box::pin(through(&mut io, upstream, &target, &client, worker)).await;
            drop(in_flight);
            relayed
        }
        None => Relayed::default(),
    };
    cells.bytes(relayed.forth, relayed.back);
}

/// Connects to the first endpoint that can be reached. Nothing was sent yet, so trying another one
/// is safe.
async fn connect(target: &mut Target, worker: &Rc<Worker>) -> Option<(TcpStream, InFlight)> {
    let limit = worker.settings().timeouts.connect;
    while let Some(in_flight) = target.next() {
        let address = in_flight.endpoint().address;
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(upstream)) => {
                worker.metrics().count(Counter::UpstreamConnections);
                // Without it small messages wait for acknowledgements; with it all still works.
                drop(upstream.set_nodelay(true));
                return Some((upstream, in_flight));
            }
            Ok(Err(_)) => worker.metrics().upstream_failure("connect"),
            Err(_) => worker.metrics().upstream_failure("connect-timeout"),
        }
    }
    None
}

async fn through<IO>(
    io: &mut IO,
    mut upstream: TcpStream,
    target: &Target,
    client: &Client,
    worker: &Rc<Worker>,
) -> Relayed
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let timeouts = &worker.settings().timeouts;
    let own_tls = match client.listener.mode {
        // What comes from the client is TLS already, meant for the backend.
        ListenerMode::TlsPassthrough => None,
        ListenerMode::Http
        | ListenerMode::Https(_)
        | ListenerMode::TlsTerminate(_)
        | ListenerMode::Tcp
        | ListenerMode::Udp
        | ListenerMode::Refused(_) => target.cluster.tls.as_ref(),
    };
    let Some(tls) = own_tls else {
        return relay(io, &mut upstream, timeouts.stream_idle).await.0;
    };
    let handshake = async {
        let tls = tls.as_ref().map_err(|_refused| io::Error::other("refused"))?;
        encrypt(upstream, tls, client).await
    };
    match tokio::time::timeout(timeouts.connect, Box::pin(handshake)).await {
        Ok(Ok(mut upstream)) => relay(io, &mut upstream, timeouts.stream_idle).await.0,
        Ok(Err(_)) | Err(_) => {
            worker.metrics().upstream_failure("tls");
            Relayed::default()
        }
    }
}

async fn encrypt(
    upstream: TcpStream,
    tls: &UpstreamTls,
    client: &Client,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let gateway = &client.listener.listener.gateway;
    let config = tls.config(gateway, Alpn::None).ok_or(io::ErrorKind::InvalidData)?;
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(tls.server_name.clone(), upstream).await
}
