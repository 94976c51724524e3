//! Takes connections: mutual TLS, and who is at the other end. Handshakes are bounded in number and time, and
//! none waits for another.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use fairway_model::GatewayId;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::super::{HANDSHAKE, Identity, Material, TlsError, unusable};
use crate::identity;

/// Handshakes at one time; others wait in the kernel's queue.
const HANDSHAKES: usize = 64;

/// After a failure to take a connection, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The certificates in use, which may be replaced.
#[derive(Clone)]
pub(super) struct Config(Arc<RwLock<Arc<ServerConfig>>>);

impl Config {
    pub(super) fn new(identity: &Identity) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(read(identity)?))))
    }

    pub(super) fn replace(&self, identity: &Identity) -> Result<(), TlsError> {
        let fresh = read(identity)?;
        // Only whole values are written.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let Material { chain, key, roots } = Material::read(identity)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(unusable)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Whose proxy it is and until when it is vouched for, or why it is nobody's.
    pub(super) gateway: Result<(GatewayId, SystemTime), String>,
}

/// Takes connections until nobody wants them.
pub(super) async fn accept(
    listener: TcpListener,
    config: Config,
    connections: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "taking a connection for the configuration stream");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (config, connections) = (config.now(), connections.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, shake_hands(stream, address, config)).await {
                // An error says that the server is gone.
                Ok(Ok(connection)) => drop(connections.send(Ok(connection)).await),
                Ok(Err(error)) => {
                    tracing::warn!(%address, %error, "a peer of the configuration stream is refused");
                }
                Err(_elapsed) => tracing::info!(%address, "a TLS handshake took too long"),
            }
            drop(permit);
        });
    }
}

async fn shake_hands(
    stream: TcpStream,
    address: SocketAddr,
    config: Arc<ServerConfig>,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let gateway = match leaf {
        Some(leaf) => identity::gateway_of(leaf),
        None => Err("the proxy shows no certificate".to_owned()),
    };
    Ok(Connection { stream, peer: Peer { address, gateway } })
}

/// A connection whose other end is known.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
