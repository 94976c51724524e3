//! The node's own server, which the API server asks for logs (`/containerLogs/NS/POD/CONTAINER`).

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use k8s_openapi::jiff::Timestamp;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::logs::{self, Wanted};

/// How often a log that somebody follows is looked at.
const FOLLOW: Duration = Duration::from_millis(100);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The server, bound and not yet serving.
pub(super) struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    directory: PathBuf,
}

impl Server {
    /// Binds a free port. The API server checks no certificate here, so the server makes its own.
    pub(super) async fn bind(address: Ipv4Addr, directory: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((address, 0))).await?;
        let made =
            rcgen::generate_simple_self_signed([address.to_string()]).map_err(io::Error::other)?;
        let key =
            PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)
            })
            .map_err(io::Error::other)?;
        Ok(Self { listener, tls: TlsAcceptor::from(Arc::new(config)), directory })
    }

    /// The port to write into the node's object.
    pub(super) fn port(&self) -> io::Result<u16> {
        self.listener.local_addr().map(|address| address.port())
    }

    /// Serves for as long as it is polled.
    pub(super) async fn serve(self) {
        let directory: Arc<Path> = self.directory.into();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    drop(tokio::spawn(connection(
                        self.tls.clone(),
                        stream,
                        Arc::clone(&directory),
                    )));
                }
                Err(error) => {
                    tracing::warn!("accept a connection to the node: {error}");
                    tokio::time::sleep(FOLLOW).await;
                }
            }
        }
    }
}

async fn connection(tls: TlsAcceptor, stream: TcpStream, directory: Arc<Path>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(move |request: Request<Incoming>| {
        let directory = Arc::clone(&directory);
        async move { Ok::<_, Infallible>(answer(&request, &directory)) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    {
        tracing::debug!("connection to the node: {error}");
    }
}

fn answer(request: &Request<Incoming>, directory: &Path) -> Response<Body> {
    let parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    match parts.as_slice() {
        ["healthz"] => text(StatusCode::OK, "ok".to_owned()),
        ["containerLogs", namespace, pod, container] if request.method() == Method::GET => {
            let wanted = Wanted::parse(request.uri().query().unwrap_or_default(), Timestamp::now());
            let path = logs::path(directory, namespace, pod, container);
            match logs::read(&path, wanted) {
                Ok((first, position)) if wanted.follow => {
                    let frames =
                        follow(path, wanted, first, position).map(|bytes| Ok(Frame::data(bytes)));
                    Response::new(StreamBody::new(frames).boxed_unsync())
                }
                Ok((lines, _)) => text(StatusCode::OK, lines),
                Err(_) => text(
                    StatusCode::NOT_FOUND,
                    format!("container {container} of pod {namespace}/{pod} has no log\n"),
                ),
            }
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "the lab's node serves /containerLogs/NAMESPACE/POD/CONTAINER\n".to_owned(),
        ),
    }
}

/// The lines so far, then what comes, until the reader goes away or the log does.
fn follow(
    path: PathBuf,
    wanted: Wanted,
    first: String,
    position: u64,
) -> impl Stream<Item = Bytes> + Send {
    let rest = stream::unfold((path, position), move |(path, position)| async move {
        loop {
            tokio::time::sleep(FOLLOW).await;
            let (lines, read) = logs::read_on(&path, position, wanted).ok()?;
            if !lines.is_empty() {
                return Some((Bytes::from(lines), (path, read)));
            }
        }
    });
    stream::once(async move { Bytes::from(first) }).chain(rest)
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = status;
    response
}
