//! Small answers to GET over HTTP/1.1: health and metrics of a proxy. Off the way of requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections that are answered at once; others wait.
const CONNECTIONS: usize = 64;

/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// After a failure to take a connection, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What is answered.
pub(super) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: String,
}

impl Answer {
    /// All is well.
    pub(super) fn ok() -> Self {
        Self::text(StatusCode::OK, "ok\n".to_owned())
    }

    /// It is not, for this reason.
    pub(super) fn unavailable(why: &str) -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
    }

    /// Figures in the OpenMetrics form.
    pub(super) fn metrics(body: String) -> Self {
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Self { status: StatusCode::OK, content_type, body }
    }

    fn text(status: StatusCode, body: String) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }
}

/// Answers for ever: `answer` says what, by path; `None` is not found.
pub(super) async fn serve(
    listener: TcpListener,
    answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    let answer = Arc::new(answer);
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "taking a connection for health or metrics");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = respond(&request, &*answer);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection for health or metrics");
            }
            drop(permit);
        });
    }
}

fn respond(
    request: &Request<Incoming>,
    answer: &(impl Fn(&str) -> Option<Answer> + ?Sized),
) -> Response<Full<Bytes>> {
    let answer = if [Method::GET, Method::HEAD].contains(request.method()) {
        let not_found = || Answer::text(StatusCode::NOT_FOUND, "not found\n".to_owned());
        answer(request.uri().path()).unwrap_or_else(not_found)
    } else {
        Answer::text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".to_owned())
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    let content_type = HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
