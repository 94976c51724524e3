//! `fairway proxy`: the data plane of one gateway. It starts from the last good model, follows a controller,
//! and knows nothing of Kubernetes.

mod endpoint;
mod ready;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fairway_controller::drivers::embedded::Embedded;
use fairway_controller::metrics;
use fairway_model::{GatewayId, Model};
use fairway_stream::grpc::client::{Client, Settings};
use fairway_stream::store::{Saver, Store};
use tokio::net::TcpListener;

use crate::cli::ProxyArgs;
use crate::run::signals::Signals;
use crate::run::{access_log, state};
use ready::Readiness;

/// Serves until a signal asks to end; a second one does not wait for requests under way.
///
/// # Errors
/// It could not begin: an address is taken, the disk refuses.
pub(crate) async fn proxy(args: ProxyArgs) -> anyhow::Result<()> {
    let _claim = state::claim(&args.state)?;
    let signals = Signals::listen().context("listening for signals")?;
    let running = Running::start(&args).await?;
    signals.at_least(1).await;
    tokio::select! {
        () = running.stop(Duration::from_secs(args.grace), Duration::from_secs(args.drain)) => {}
        () = signals.at_least(2) => {}
    }
    Ok(())
}

struct Running {
    client: Client,
    data_plane: Embedded,
    readiness: Readiness,
}

impl Running {
    async fn start(args: &ProxyArgs) -> anyhow::Result<Self> {
        let health = listen(args.health, "--health").await?;
        let numbers = listen(args.metrics, "--metrics").await?;
        let store = Store::open(&args.state)?;
        let model = Arc::new(last_good(&store));
        let saver = Saver::start(store, |error| tracing::error!(%error, "last good model"))?;
        let gateway = GatewayId::new(args.gateway.as_str());
        let settings = Settings::new(
            args.controller.clone(),
            args.identity.clone(),
            gateway.clone(),
            args.name.clone(),
        );
        let (client, subscriber) = Client::start(settings, Arc::clone(&model));
        let data_plane = Embedded::follow(data_plane(args), subscriber, saver).await?;
        let readiness =
            Readiness::new(client.connected(), data_plane.listeners(), !model.listeners.is_empty());
        let answers = readiness.clone();
        tokio::spawn(endpoint::serve(health, move |path| answers.answer(path)));
        let scrape = metrics::scrape_data_plane(data_plane.counts());
        let connected = client.connected();
        tokio::spawn(endpoint::serve(numbers, move |path| match path {
            "/metrics" => {
                Some(endpoint::Answer::metrics(ready::metrics(&connected.borrow(), &scrape())))
            }
            _ => None,
        }));
        tracing::info!(%gateway, controller = args.controller, "serving");
        Ok(Self { client, data_plane, readiness })
    }

    /// Tells that no more clients are wanted, waits until they know, and lets those that there are end.
    async fn stop(self, grace: Duration, drain: Duration) {
        let Self { client, data_plane, readiness } = self;
        readiness.withdraw();
        // Until then updates still count: clients still come.
        tokio::time::sleep(grace).await;
        drop(client);
        data_plane.drain(drain).await;
    }
}

async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let opening = || format!("listening on {address}; choose another address with {flag}");
    TcpListener::bind(address).await.with_context(opening)
}

/// A model that cannot be read is none: the controller sends everything.
fn last_good(store: &Store) -> Model {
    match store.load() {
        Ok(model) => model.unwrap_or_default(),
        Err(error) => {
            tracing::error!(%error, "the last good model is not used");
            Model::default()
        }
    }
}

fn data_plane(args: &ProxyArgs) -> fairway_proxy::Settings {
    let addresses = if args.binds.is_empty() { wildcards() } else { args.binds.clone() };
    let mut settings = fairway_proxy::Settings {
        addresses: Some(addresses),
        container_ports: true,
        access_log: access_log(args.access_log),
        ..fairway_proxy::Settings::default()
    };
    if let Some(threads) = args.threads {
        settings.threads = threads.max(1);
    }
    settings
}

/// All addresses of this machine: each family has a socket of its own, so that clients of IPv4 are seen by
/// their IPv4 address.
fn wildcards() -> Vec<IpAddr> {
    let families = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    // A machine may have been set up without one of them.
    families.into_iter().filter(|address| UdpSocket::bind((*address, 0)).is_ok()).collect()
}
