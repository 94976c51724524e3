//! A watch of our own beside the controller's: when each object came and became live, and how often it was
//! written since.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::Result;
use fairway_lab::namespace::Namespace;
use futures::TryStreamExt;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;

use crate::write;

/// What was seen of the objects of a kind, by name.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<BTreeMap<String, Seen>>>);

/// What was seen of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When it came.
    pub(crate) came: Instant,
    /// When it was first said to be live.
    pub(crate) live: Option<Instant>,
    /// How often it was written since it came.
    pub(crate) writes: u32,
    /// Attached routes of its first listener, and since when.
    pub(crate) attached: Option<(u32, Instant)>,
}

impl Watch {
    /// Begins, on a thread of its own: when something was seen depends on no other work.
    pub(crate) fn start(namespace: &Namespace, kubeconfig: PathBuf, path: &'static str) -> Self {
        let watch = Self(Arc::default());
        let (seen, namespace) = (watch.clone(), namespace.clone());
        thread::spawn(move || {
            let watched = namespace.run(|| write::alone(seen.follow(kubeconfig, path)));
            // It ends with the lab at the latest.
            if let Ok(Err(error)) | Err(error) = watched.map_err(anyhow::Error::from) {
                eprintln!("the watch of {path} has ended: {error:#}");
            }
        });
        watch
    }

    /// Gives what was seen of an object.
    pub(crate) fn of(&self, name: &str) -> Option<Seen> {
        self.locked().get(name).copied()
    }

    /// Gives what was seen of all.
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.locked().values().copied().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        // Whoever panicked with the lock held left whole values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(&self, kubeconfig: PathBuf, path: &str) -> Result<()> {
        let client = write::client(kubeconfig).await?;
        let request = Request::new(path).watch(&WatchParams::default(), "0")?;
        let events = client.request_events::<Object>(request).await?;
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await? {
            let at = Instant::now();
            if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                self.take(&object, at);
            }
        }
        Ok(())
    }

    fn take(&self, object: &Object, at: Instant) {
        let mut all = self.locked();
        let seen = all
            .entry(object.metadata.name.clone())
            .and_modify(|seen| seen.writes += 1)
            .or_insert(Seen { came: at, live: None, writes: 0, attached: None });
        let status = &object.status;
        let mut conditions = status.parents.iter().flat_map(|parent| &parent.conditions);
        if conditions.any(|condition| condition.name == "Live" && condition.status == "True") {
            seen.live.get_or_insert(at);
        }
        if let Some(listener) = status.listeners.first()
            && seen.attached.is_none_or(|(attached, _)| attached != listener.attached_routes)
        {
            seen.attached = Some((listener.attached_routes, at));
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    parents: Vec<Parent>,
    #[serde(default)]
    listeners: Vec<Listener>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parent {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    name: String,
    status: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listener {
    #[serde(default)]
    attached_routes: u32,
}
