//! Makes a connection to an endpoint: TCP, perhaps TLS, and what is then spoken inside.

use std::net::SocketAddr;
use std::sync::Arc;

use fairway_model::GatewayId;
use fairway_model::cluster::BackendProtocol;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;
use crate::generation::{ClusterState, EndpointState};
use crate::http::wire::Io;
use crate::tls::Alpn;

/// Where a connection goes and how it is spoken to. Connections whose destinations are equal may be
/// used for each other.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    pub(crate) dialect: Dialect,
}

/// What is spoken to an endpoint.
#[derive(Clone)]
pub(crate) enum Dialect {
    /// HTTP/1.1 in clear text.
    Http1,
    /// HTTP/2 in clear text, by prior knowledge.
    Http2,
    /// What ALPN agrees on, inside TLS.
    Tls { config: Arc<ClientConfig>, server_name: ServerName<'static> },
}

/// What came to be spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
}

impl Destination {
    /// Says how an endpoint of a cluster is reached on behalf of a gateway. Only HTTP/1.1 can be
    /// upgraded to another protocol.
    ///
    /// # Errors
    /// `BackendTls` when TLS must be spoken and cannot be: the request fails closed.
    pub(crate) fn new(
        cluster: &ClusterState,
        endpoint: &EndpointState,
        gateway: &GatewayId,
        upgrade: bool,
    ) -> Result<Self, Failure> {
        let http2 = match cluster.cluster.protocol {
            BackendProtocol::H2c => true,
            // A route over requests to a backend of bytes: HTTP is what these bytes are.
            BackendProtocol::Http | BackendProtocol::Tcp | BackendProtocol::Udp => false,
        };
        let dialect = match &cluster.tls {
            Some(tls) => {
                let tls = tls.as_ref().map_err(|_why| Failure::BackendTls)?;
                let alpn = if upgrade { Alpn::Http1 } else { Alpn::Http };
                let config = tls.config(gateway, alpn).ok_or(Failure::BackendTls)?;
                let server_name = tls.server_name.clone();
                Dialect::Tls { config: Arc::clone(config), server_name }
            }
            None if http2 && !upgrade => Dialect::Http2,
            None => Dialect::Http1,
        };
        Ok(Self { address: endpoint.address, dialect })
    }

    /// Makes a connection. The caller sets the time for it.
    ///
    /// # Errors
    /// `Connect`; `BackendTls` when the handshake failed.
    pub(super) async fn connect(&self) -> Result<(Box<dyn Io>, Spoken), Failure> {
        let io = TcpStream::connect(self.address).await.map_err(|error| {
            tracing::debug!(address = %self.address, %error, "no connection to an endpoint");
            Failure::Connect
        })?;
        // Heads and short bodies must not wait for a full segment; without it they are only slower.
        drop(io.set_nodelay(true));
        match &self.dialect {
            Dialect::Http1 => Ok((Box::new(io), Spoken::Http1)),
            Dialect::Http2 => Ok((Box::new(io), Spoken::Http2)),
            Dialect::Tls { config, server_name } => {
                let handshake = TlsConnector::from(Arc::clone(config));
                let handshake = Box::pin(handshake.connect(server_name.clone(), io));
                let io = handshake.await.map_err(|error| {
                    tracing::debug!(address = %self.address, %error, "no TLS with an endpoint");
                    Failure::BackendTls
                })?;
                let spoken = match io.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Spoken::Http2,
                    Some(_) | None => Spoken::Http1,
                };
                Ok((Box::new(io), spoken))
            }
        }
    }

    /// Tells apart what must not be shared: TLS configurations carry their own trust and identity.
    pub(super) fn key(&self) -> Key {
        let dialect = match &self.dialect {
            Dialect::Http1 => 0,
            Dialect::Http2 => 1,
            Dialect::Tls { config, .. } => Arc::as_ptr(config).addr(),
        };
        Key { address: self.address, dialect }
    }
}

/// See [`Destination::key`]. Whoever keeps one keeps its destination too, so that no other
/// configuration can come to stand at the same place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    address: SocketAddr,
    dialect: usize,
}
