//! Writes statuses to the API server: only differences, only by the leader, and never over what somebody else
//! has written meanwhile.

mod queue;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairway_translate::status::{Change, Status};
use fairway_translate::{ObjectKey, Snapshot};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::FIELD_MANAGER;
use crate::sources::cluster::object_path;
use queue::{Done, Job, Queue};

/// Writes that are under way at once.
const AT_ONCE: usize = 16;
/// How long the API server may take for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many writes there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that succeeded.
    pub written: u64,
    /// Those that another writer came before.
    pub conflicts: u64,
    /// Those that failed.
    pub failed: u64,
    /// Statuses that are still to be written.
    pub queued: usize,
}

/// Writes statuses until it is dropped.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    leading: bool,
    counts: Counts,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Writer {
    /// Begins. Nothing is written until this replica leads.
    #[must_use]
    pub fn start(client: Client) -> Self {
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(work(client, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// Gives what was written and is not seen in a snapshot yet, as far as that is new since it was last asked: a
    /// condition that is rendered from it keeps its time. Without a status, what the snapshot shows counts again.
    #[must_use]
    pub fn news(&self, snapshot: &Snapshot) -> Vec<(ObjectKey, Option<Arc<Status>>)> {
        self.shared.locked(|state| state.queue.news(snapshot))
    }

    /// Says what the statuses of these objects shall be from now on.
    pub fn write(&self, changes: &[Change], snapshot: &Snapshot) {
        let now = Instant::now();
        self.shared.locked(|state| {
            if state.leading {
                state.queue.want(changes, snapshot, now);
            }
        });
        self.shared.news.notify_one();
    }

    /// Says whether this replica writes. Gives whether that is new: who begins has to be told of all objects.
    pub fn set_leading(&self, leading: bool) -> bool {
        let news = self.shared.locked(|state| {
            if state.leading && !leading {
                state.queue.clear();
            }
            std::mem::replace(&mut state.leading, leading) != leading
        });
        self.shared.news.notify_one();
        news
    }

    /// Gives how many writes there were.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.locked(|state| Counts { queued: state.queue.len(), ..state.counts })
    }
}

impl Shared {
    fn locked<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Whoever panicked with the lock held left an account that the next snapshot corrects.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn work(client: Client, shared: Arc<Shared>) {
    let mut under_way: JoinSet<(ObjectKey, Done)> = JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE {
            let next = |state: &mut State| {
                state.leading.then(|| state.queue.next(Instant::now())).flatten()
            };
            let Some(job) = shared.locked(next) else { break };
            under_way.spawn(write(client.clone(), job));
        }
        // With as many under way as may be, the next one waits for one of them, whenever it is due.
        let free = under_way.len() < AT_ONCE;
        let due = free.then(|| shared.locked(|state| state.queue.due())).flatten();
        tokio::select! {
            () = shared.news.notified() => {}
            () = moment(due) => {}
            Some(done) = under_way.join_next() => match done {
                Ok((key, done)) => shared.locked(|state| state.account(&key, done)),
                Err(error) => tracing::error!(%error, "writing a status"),
            },
        }
    }
}

impl State {
    fn account(&mut self, key: &ObjectKey, done: Done) {
        match &done {
            Done::Written(_) => self.counts.written += 1,
            Done::Conflict => self.counts.conflicts += 1,
            Done::Failed => self.counts.failed += 1,
            Done::Gone => {}
        }
        self.queue.done(key, done, Instant::now());
    }
}

async fn write(client: Client, job: Job) -> (ObjectKey, Done) {
    let done = match tokio::time::timeout(PATIENCE, put(&client, &job)).await {
        Ok(Ok(done)) => done,
        Ok(Err(kube::Error::Api(status))) => match status.code {
            404 => Done::Gone,
            409 => Done::Conflict,
            code => {
                tracing::warn!(code, message = status.message, "writing the status of {}", job.key);
                Done::Failed
            }
        },
        Ok(Err(error)) => {
            tracing::debug!(%error, "writing the status of {}", job.key);
            Done::Failed
        }
        Err(_elapsed) => {
            tracing::debug!("writing the status of {}: no answer", job.key);
            Done::Failed
        }
    };
    (job.key, done)
}

async fn put(client: &Client, job: &Job) -> Result<Done, kube::Error> {
    let Some(path) = object_path(&job.key) else { return Ok(Done::Gone) };
    let uri = format!("{path}/status?fieldManager={FIELD_MANAGER}");
    let body = body(job);
    let request = http::Request::put(uri)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    let written: Value = client.request(request).await?;
    let version = written.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    Ok(Done::Written(version.unwrap_or_default().to_owned()))
}

fn body(job: &Job) -> Value {
    let Job { key, status, version } = job;
    let mut metadata = json!({"name": key.name.name, "resourceVersion": version});
    if !key.name.namespace.is_empty() {
        metadata["namespace"] = json!(key.name.namespace);
    }
    let api_version = match (key.kind.group(), key.kind.versions().first()) {
        ("", version) => version.copied().unwrap_or_default().to_owned(),
        (group, version) => format!("{group}/{}", version.copied().unwrap_or_default()),
    };
    json!({
        "apiVersion": api_version,
        "kind": key.kind.name(),
        "metadata": metadata,
        "status": status.to_value().expect("a status is plain data"),
    })
}

async fn moment(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
