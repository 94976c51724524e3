//! Connects: TCP, mutual TLS with the certificates that are there now, HTTP/2.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::{Service, http::Uri};
use tonic::transport::{Channel, Endpoint};

use super::Settings;
use crate::grpc::{HANDSHAKE, Identity, KEEP_ALIVE, Material, TlsError, unusable};

/// How long a controller may take to answer at all. A pod that is gone answers nothing, and its successor may be
/// there already: one repetition of the first packet, and no more.
const REACH: Duration = Duration::from_secs(2);

/// Makes a connection.
///
/// # Errors
/// What was tried and what came of it, in words for whoever runs the proxy.
pub(super) async fn connect(settings: &Settings) -> Result<Channel, String> {
    let identity = read(&settings.identity).await?;
    let config = config(&identity).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(settings.server_name.clone())
        .map_err(|error| format!("the server name {}: {error}", settings.server_name))?;
    let to = settings.controller.clone();
    let connector = Connector { to, name, tls: TlsConnector::from(config) };
    // The TLS is the connector's matter.
    let endpoint = Endpoint::from_shared(format!("http://{}", settings.controller))
        .map_err(|error| format!("{} is no HOST:PORT: {error}", settings.controller))?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    let connecting = endpoint.connect_with_connector(connector);
    let connected = tokio::time::timeout(HANDSHAKE, connecting).await;
    let told =
        |why: String| format!("connecting to the controller at {}: {why}", settings.controller);
    match connected {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(told(innermost(&error))),
        Err(_elapsed) => Err(told("no answer".to_owned())),
    }
}

/// The library's own words say only that something went wrong.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

async fn read(directory: &Path) -> Result<Identity, String> {
    let read = async |name: &str| {
        let path = directory.join(name);
        let told = |error: io::Error| format!("reading {}: {error}", path.display());
        tokio::fs::read_to_string(&path).await.map_err(told)
    };
    Ok(Identity {
        certificate: read("tls.crt").await?,
        key: read("tls.key").await?,
        authorities: read("ca.crt").await?,
    })
}

fn config(identity: &Identity) -> Result<Arc<ClientConfig>, TlsError> {
    let Material { chain, key, roots } = Material::read(identity)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

struct Connector {
    to: String,
    name: ServerName<'static>,
    tls: TlsConnector,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<TlsStream<TcpStream>>>> + Send>>;

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Connecting {
        let (to, name, tls) = (self.to.clone(), self.name.clone(), self.tls.clone());
        Box::pin(async move {
            let connecting = tokio::time::timeout(REACH, TcpStream::connect(to)).await;
            let stream = connecting.map_err(|_elapsed| io::Error::other("no answer"))??;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(tls.connect(name, stream).await?))
        })
    }
}
