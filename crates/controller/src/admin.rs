//! The admin endpoint: health, metrics, and what is being served, as JSON. Read-only, and meant for
//! loopback: it shows configuration, never keys.
//!
//! It serves a [`View`] that the loop replaces at each change, so a slow reader never holds the loop.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use fairway_model::Model;
use fairway_translate::Plan;

use crate::view::{self, RunView};

/// Connections that are answered at once; others wait. The endpoint is for people and scrapers.
const CONNECTIONS: usize = 64;

/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the admin endpoint shows. Written out as JSON only when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Whether the first configuration is served.
    pub ready: bool,
    /// What is being served.
    pub model: Arc<Model>,
    /// What the files mean; absent while they cannot be read.
    pub plan: Option<Arc<Plan>>,
    /// How things stand.
    pub run: Run,
}

/// How things stand, put together when somebody asks: with ten thousand routes that takes its time.
#[derive(Clone)]
pub struct Run(Arc<dyn Fn() -> RunView + Send + Sync>);

impl Run {
    /// Takes what puts it together.
    pub fn new(view: impl Fn() -> RunView + Send + Sync + 'static) -> Self {
        Self(Arc::new(view))
    }

    fn view(&self) -> RunView {
        (self.0)()
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::new(RunView::default)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

/// Gives the metrics in Prometheus' text form; called at each scrape.
pub type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// The endpoint's shared state.
#[derive(Clone)]
pub struct Admin {
    view: Arc<RwLock<View>>,
    scrape: Scrape,
    /// Whether anything but health is answered.
    whole: bool,
}

impl Admin {
    /// Starts with an empty view that is not ready.
    #[must_use]
    pub fn new(scrape: Scrape) -> Self {
        Self { view: Arc::default(), scrape, whole: true }
    }

    /// Gives an endpoint of the same state that answers `/healthz` and `/readyz` alone: what may be asked by
    /// everybody.
    #[must_use]
    pub fn health_only(&self) -> Self {
        Self { whole: false, ..self.clone() }
    }

    /// Shows this from now on.
    pub fn show(&self, view: View) {
        // A reader that panicked has left the view whole: it only reads.
        let mut shown = self.view.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *shown = view;
    }

    fn view(&self) -> View {
        self.view.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// The listener broke.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let permit = Arc::clone(&free).acquire_owned().await.map_err(std::io::Error::other)?;
            let (stream, client) = listener.accept().await?;
            while connections.try_join_next().is_some() {}
            let admin = self.clone();
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let answer = admin.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%client, %error, "admin connection");
                }
                drop(permit);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".to_owned());
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" if self.view().ready => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => {
                let why = "no configuration is served yet\n".to_owned();
                text(StatusCode::SERVICE_UNAVAILABLE, why)
            }
            other if !self.whole => text(StatusCode::NOT_FOUND, format!("{other} is not here\n")),
            "/metrics" => typed(StatusCode::OK, METRICS_TYPE, (self.scrape)()),
            "/" => text(StatusCode::OK, INDEX.to_owned()),
            "/api/model" => json(&fairway_model::wire::redacted(&self.view().model)),
            "/api/verdicts" => {
                let plan = self.view().plan;
                json(&plan.map(|plan| view::verdicts_json(&plan.verdicts)).unwrap_or_default())
            }
            "/api/statuses" => json(&view::statuses_json(&self.view().run.view().statuses)),
            "/api/problems" => json(&json!(self.view().run.view().problems)),
            "/api/gateways" => json(&json!(self.view().run.view())),
            other => text(StatusCode::NOT_FOUND, format!("{other} is not here\n{INDEX}")),
        }
    }
}

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const INDEX: &str = "\
/healthz       the process is alive
/readyz        the first configuration is served
/metrics       for Prometheus
/api/gateways  gateways, addresses, open sockets
/api/model     what is served
/api/verdicts  what there is to say about each object
/api/statuses  the statuses as a cluster would hold them
/api/problems  what is wrong with the files
";

fn json(value: &Value) -> Response<Full<Bytes>> {
    typed(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Opens the endpoint's socket.
///
/// # Errors
/// The address is in use, not ours, or a port that we may not bind.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
