//! An echo backend: tells each caller what arrived. It stands behind `fairway demo`, behind the
//! examples in a cluster and behind tests; it is no part of the data plane.
//!
//! HTTP/1.1 and HTTP/2 in clear text on one port. Any request is answered with a description of
//! itself in JSON; `/status/NNN` sets the status, `?delay=MS` waits (at most a minute), a request of
//! type `application/grpc` gets its own messages back with `grpc-status: 0`, and a WebSocket
//! handshake is greeted and then gets its own frames back.

mod grpc;
mod websocket;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::cli::EchoArgs;
use crate::output;

/// Bytes of a request body that are read and counted; more is answered by 413.
const BODY_LIMIT: usize = 64 << 20;

const LONGEST_DELAY: Duration = Duration::from_secs(60);

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// Which backend an echo pretends to be; it is part of each answer.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Identity {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Name of the pod, to tell replicas apart.
    pub pod: String,
}

/// What arrived.
#[derive(Serialize)]
struct Echo<'a> {
    #[serde(flatten)]
    identity: &'a Identity,
    protocol: String,
    method: &'a str,
    host: String,
    path: String,
    query: Option<String>,
    headers: BTreeMap<String, Vec<String>>,
    body_bytes: usize,
    client: SocketAddr,
}

/// `fairway echo`: one backend, until a signal ends the process.
///
/// # Errors
/// The address cannot be bound, or the listener broke.
pub(crate) async fn echo(args: EchoArgs) -> anyhow::Result<()> {
    let EchoArgs { listen, namespace, service, pod } = args;
    let opening = || format!("opening {listen}");
    let listener = TcpListener::bind(listen).await.with_context(opening)?;
    let address = listener.local_addr().with_context(opening)?;
    output::print(&format!("listening on {address}\n"))?;
    Ok(serve(listener, Identity { namespace, service, pod }).await?)
}

/// Serves until the future is dropped, which closes the connections too.
///
/// # Errors
/// The listener broke; a broken connection is only logged.
pub(crate) async fn serve(listener: TcpListener, identity: Identity) -> std::io::Result<()> {
    let identity = Arc::new(identity);
    let mut connections = JoinSet::new();
    loop {
        let (stream, client) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_connection(stream, client, Arc::clone(&identity)));
    }
}

async fn serve_connection(stream: TcpStream, client: SocketAddr, identity: Arc<Identity>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%client, %error, "echo connection");
        return;
    }
    let service = service_fn(move |request| {
        let identity = Arc::clone(&identity);
        async move { Ok::<_, Infallible>(answer(request, client, &identity).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let served = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%client, %error, "echo connection");
    }
}

async fn answer(request: Request<Incoming>, client: SocketAddr, identity: &Identity) -> Answer {
    let is = |name: header::HeaderName, text: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.to_ascii_lowercase().starts_with(text))
    };
    if is(header::CONTENT_TYPE, "application/grpc") {
        return grpc::answer(request);
    }
    if is(header::UPGRADE, "websocket") {
        return websocket::accept(request, identity);
    }
    if let Some(delay) = delay(request.uri().query().unwrap_or_default()) {
        tokio::time::sleep(delay).await;
    }
    describe(request, client, identity).await
}

async fn describe(request: Request<Incoming>, client: SocketAddr, identity: &Identity) -> Answer {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n")),
    };
    let path = head.uri.path();
    let status = path.strip_prefix("/status/").and_then(|code| code.parse().ok());
    let status = status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
    let echo = Echo {
        identity,
        protocol: format!("{:?}", head.version),
        method: head.method.as_str(),
        host: host(&head),
        path: path.to_owned(),
        query: head.uri.query().map(ToOwned::to_owned),
        headers: fields(&head.headers),
        body_bytes: body.len(),
        client,
    };
    let json = serde_json::to_string_pretty(&echo).expect("text and numbers always serialise");
    let mut answer = text(status, json + "\n");
    let json_type = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json_type);
    answer
}

fn text(status: StatusCode, body: String) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    answer
}

fn host(head: &http::request::Parts) -> String {
    let authority = head.uri.authority().map(ToString::to_string);
    let field = || head.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    authority.or_else(|| field().map(ToOwned::to_owned)).unwrap_or_default()
}

fn fields(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut fields = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        fields.entry(name.as_str().to_owned()).or_default().push(value);
    }
    fields
}

fn delay(query: &str) -> Option<Duration> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("delay="))?;
    let milliseconds = text.strip_suffix("ms").unwrap_or(text).parse().ok()?;
    Some(Duration::from_millis(milliseconds).min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_and_bounded() {
        assert_eq!(delay("a=1&delay=20"), Some(Duration::from_millis(20)));
        assert_eq!(delay("delay=20ms"), Some(Duration::from_millis(20)));
        assert_eq!(delay("delay=99999999999"), Some(LONGEST_DELAY));
        assert_eq!(delay("delay=soon"), None);
    }
}
