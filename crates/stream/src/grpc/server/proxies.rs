//! What is known of each proxy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fairway_model::{GatewayId, ListenerId};
use tokio::sync::Notify;

use crate::Resource;

/// How a proxy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyState {
    /// Whose proxy it is.
    pub gateway: GatewayId,
    /// What it calls itself: its pod.
    pub name: String,
    /// Where it called from.
    pub address: SocketAddr,
    /// Its release.
    pub version: String,
    /// Whether it is there now.
    pub connected: bool,
    /// It serves everything up to this publication, except what is refused; absent before its first
    /// word on this server.
    pub acknowledged: Option<u64>,
    /// What it does not serve as it was published, with the reason.
    pub refused: BTreeMap<Resource, String>,
    /// What became of each listener: why it is not served as published, if it is not.
    pub listeners: BTreeMap<ListenerId, Result<(), String>>,
}

/// How long a proxy that is gone is remembered.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

/// All that are known.
#[derive(Default)]
pub(super) struct Proxies {
    known: Arc<Mutex<Known>>,
    news: Arc<Notify>,
}

#[derive(Default)]
struct Known {
    next: u64,
    all: BTreeMap<u64, (ProxyState, Option<Instant>)>,
}

/// A session's hold on what is known of its proxy. Dropping it says that the proxy is gone.
pub(super) struct Ticket {
    known: Arc<Mutex<Known>>,
    news: Arc<Notify>,
    number: u64,
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Whoever panicked with the lock held left whole values.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn forget(&mut self) {
        self.all.retain(|_, (_, gone)| gone.is_none_or(|gone| gone.elapsed() < REMEMBERED));
    }
}

impl Proxies {
    /// Takes note of a proxy that has come. What was known of one of the same name and gateway is
    /// forgotten if that is gone, or was the same by its address and has only lost its connection.
    pub(super) fn come(&self, state: ProxyState) -> Ticket {
        let ProxyState { gateway, name, version, address, .. } = &state;
        tracing::info!(%gateway, name, version, %address, "a proxy follows");
        let mut known = lock(&self.known);
        known.forget();
        known.all.retain(|_, (old, gone)| {
            let same = (&old.gateway, &old.name) == (&state.gateway, &state.name);
            !same || (gone.is_none() && old.address.ip() != state.address.ip())
        });
        let number = known.next;
        known.next += 1;
        known.all.insert(number, (state, None));
        drop(known);
        self.news.notify_one();
        Ticket { known: Arc::clone(&self.known), news: Arc::clone(&self.news), number }
    }

    pub(super) fn all(&self) -> Vec<ProxyState> {
        let mut known = lock(&self.known);
        known.forget();
        known.all.values().map(|(state, _)| state.clone()).collect()
    }

    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }
}

impl Ticket {
    /// Changes what is known, and tells if it is another thing now.
    pub(super) fn update(&self, change: impl FnOnce(&mut ProxyState)) {
        let mut known = lock(&self.known);
        let Some((state, _)) = known.all.get_mut(&self.number) else { return };
        let before = state.clone();
        change(state);
        let changed = *state != before;
        drop(known);
        if changed {
            self.news.notify_one();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut known = lock(&self.known);
        if let Some((state, gone)) = known.all.get_mut(&self.number) {
            state.connected = false;
            tracing::info!(gateway = %state.gateway, name = state.name, "a proxy follows no more");
            *gone = Some(Instant::now());
        }
        drop(known);
        self.news.notify_one();
    }
}
