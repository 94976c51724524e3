//! The controller's end: takes models, and keeps each gateway's proxies up with their part of them.

mod proxies;
mod session;
mod tls;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairway_model::Model;
use fairway_model::slice::{self, Slices};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Identity, KEEP_ALIVE, LARGEST_MESSAGE, TlsError};
use crate::proto;
use crate::proto::configuration_server::{Configuration, ConfigurationServer};
use proxies::Proxies;
use tls::Peer;

pub use proxies::ProxyState;
#[cfg(test)]
pub(in crate::grpc) use session::accepts;

/// The controller's certificate with its key, and the authorities that vouch for proxies.
pub type ServerIdentity = Identity;

/// How long streams may take to end when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Messages on their way to one proxy. Each may be 1 MiB.
const WINDOW: usize = 2;

/// A running server. Dropping it cuts its streams off.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// The sequence and slices of the model before, for the next one.
    latest: Mutex<(u64, Arc<Slices>)>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    published: watch::Sender<Published>,
    proxies: Proxies,
    tls: tls::Config,
}

/// What all sessions look at.
#[derive(Clone)]
struct Published {
    stage: Stage,
    /// Counts the models from 1; 0 before the first one.
    sequence: u64,
    slices: Arc<Slices>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Standby,
    Stopped,
}

impl Server {
    /// Starts to answer. Proxies that come before the first model wait for it.
    ///
    /// # Errors
    /// The identity cannot be used.
    pub fn start(listener: TcpListener, identity: &ServerIdentity) -> Result<Self, TlsError> {
        let address = listener
            .local_addr()
            .map_err(|error| TlsError::Unusable(format!("asking for its own address: {error}")))?;
        let published = Published { stage: Stage::Serving, sequence: 0, slices: Arc::default() };
        let shared = Arc::new(Shared {
            published: watch::Sender::new(published),
            proxies: Proxies::default(),
            tls: tls::Config::new(identity)?,
        });
        let (connections, incoming) = mpsc::channel(WINDOW);
        let accepting = tokio::spawn(tls::accept(listener, shared.tls.clone(), connections));
        let mut stopped = shared.published.subscribe();
        let service = ConfigurationServer::new(Service(Arc::clone(&shared)))
            .max_decoding_message_size(LARGEST_MESSAGE);
        let serving = tokio::spawn(async move {
            let served = tonic::transport::Server::builder()
                .http2_keepalive_interval(Some(KEEP_ALIVE))
                .http2_keepalive_timeout(Some(KEEP_ALIVE))
                .add_service(service)
                .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async move {
                    // An error says that the server is gone as a whole.
                    drop(stopped.wait_for(|now| now.stage == Stage::Stopped).await);
                })
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the configuration stream's server");
            }
        });
        let latest = Mutex::new((0, Arc::default()));
        Ok(Self { shared, address, latest, tasks: vec![accepting, serving] })
    }

    /// Gives where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives each proxy its part of this model from now on. Gives the number of this publication: a
    /// proxy that has acknowledged it serves everything up to it. Does not wait.
    ///
    /// A gateway that is not in the model has its proxies serve nothing, so the first model must be whole.
    pub fn publish(&self, model: &Model) -> u64 {
        // Numbers and slices go together; whoever panicked with the lock held has changed neither.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let slices = Arc::new(slice::slices(model, Some(&latest.1)));
        let sequence = latest.0 + 1;
        *latest = (sequence, Arc::clone(&slices));
        self.shared.published.send_modify(|published| {
            published.sequence = sequence;
            published.slices = slices;
        });
        sequence
    }

    /// Says whether proxies are answered, as they are at first. When they are no more, streams end and new
    /// ones are refused: proxies go on serving, and look for whoever leads.
    pub fn serving(&self, serving: bool) {
        let stage = if serving { Stage::Serving } else { Stage::Standby };
        self.shared.published.send_if_modified(|published| {
            let changes = published.stage != Stage::Stopped && published.stage != stage;
            if changes {
                published.stage = stage;
            }
            changes
        });
    }

    /// Uses these certificates for connections from now on; those that stand go on.
    ///
    /// # Errors
    /// They cannot be used; those before go on being used.
    pub fn identify(&self, identity: &ServerIdentity) -> Result<(), TlsError> {
        self.shared.tls.replace(identity)
    }

    /// Waits until [`Self::proxies`] has changed since this was last waited for. For one waiter; cancelling
    /// it loses nothing.
    pub async fn changed(&self) {
        self.shared.proxies.changed().await;
    }

    /// Tells how the proxies stand: those that are connected, and for some minutes those that were.
    #[must_use]
    pub fn proxies(&self) -> Vec<ProxyState> {
        self.shared.proxies.all()
    }

    /// Ends all streams and then itself.
    pub async fn stop(mut self) {
        self.shared.published.send_modify(|published| published.stage = Stage::Stopped);
        let mut tasks = std::mem::take(&mut self.tasks);
        // The first one accepts, and would do so for ever.
        tasks.first().iter().for_each(|accepting| accepting.abort());
        for task in &mut tasks {
            if tokio::time::timeout(FAREWELL, &mut *task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.published.send_modify(|published| published.stage = Stage::Stopped);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Service(Arc<Shared>);

/// A message for a proxy, or why there will be no more.
type Outgoing = Result<proto::Update, Status>;

#[tonic::async_trait]
impl Configuration for Service {
    type FollowStream = Pin<Box<ReceiverStream<Outgoing>>>;

    async fn follow(
        &self,
        request: Request<Streaming<proto::FromProxy>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let Some(peer) = request.extensions().get::<Peer>().cloned() else {
            return Err(Status::internal("the connection does not say who is at its end"));
        };
        if let Err(why) = &peer.gateway {
            return Err(Status::permission_denied(why));
        }
        let (outgoing, stream) = mpsc::channel(WINDOW);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let ended = session::run(&shared, &peer, request.into_inner(), &outgoing).await;
            if let Err(status) = ended {
                tracing::info!(proxy = %peer.address, "stream ended: {}", status.message());
                // Whoever is gone need not be told.
                drop(outgoing.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
