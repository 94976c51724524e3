//! Writes routes as fast as the API server takes them.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Path of the routes.
pub(crate) const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes";
/// Path of the Gateways.
pub(crate) const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways";

/// Writes that are under way at once.
const AT_ONCE: usize = 8;

/// Runs work on a runtime of its own, on this thread.
pub(crate) fn alone<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

pub(crate) async fn client(kubeconfig: PathBuf) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

pub(crate) fn name(number: usize) -> String {
    format!("route-{number:05}")
}

pub(crate) fn host(number: usize) -> String {
    format!("app-{number}.example")
}

/// Creates a route with a host of its own; gives when the API server has answered.
pub(crate) async fn create(client: &Client, number: usize) -> Result<Instant> {
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name(number)},
        "spec": {
            "parentRefs": [{"name": "web"}],
            "hostnames": [host(number)],
            "rules": [{"backendRefs": [{"name": "echo", "port": 80}]}],
        },
    });
    let request = http::Request::post(ROUTES)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(route.to_string().into_bytes())?;
    let created = client.request::<Value>(request).await;
    created.with_context(|| format!("creating {}", name(number)))?;
    Ok(Instant::now())
}

/// Creates routes, several at once; gives when the last one was answered.
pub(crate) async fn create_all(
    client: &Client,
    numbers: std::ops::Range<usize>,
) -> Result<Instant> {
    let mut under_way = JoinSet::new();
    let mut last = Instant::now();
    for number in numbers {
        if under_way.len() >= AT_ONCE
            && let Some(done) = under_way.join_next().await
        {
            last = last.max(done??);
        }
        let client = client.clone();
        under_way.spawn(async move { create(&client, number).await });
        if number % 1000 == 999 {
            eprintln!("  {} routes are written", number + 1);
        }
    }
    for done in under_way.join_all().await {
        last = last.max(done?);
    }
    Ok(last)
}
