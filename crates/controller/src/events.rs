//! Events: what happened to an object, for `kubectl describe`. Told by the leader alone, once, and never so often
//! that they become a load: what is left out stands in the status all the same.

mod limit;
mod words;

use std::sync::Arc;
use std::time::Duration;

use fairway_translate::status::{Change, Statuses};
use fairway_translate::{ObjectKey, Snapshot};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::FIELD_MANAGER;
use limit::Limit;
pub use words::{Happening, what_to_say};

/// Events on their way; more are left out.
const QUEUE: usize = 1000;
/// How long the API server may take for one.
const PATIENCE: Duration = Duration::from_secs(5);
/// The API's limit on a note, in bytes.
const MAX_NOTE: usize = 1024;
/// How much of an object's name goes into the name of its event.
const MAX_NAME: usize = 200;

/// Tells what happens, until it is dropped.
#[derive(Debug)]
pub struct Reporter {
    controller: String,
    instance: String,
    queue: mpsc::Sender<Value>,
    task: JoinHandle<()>,
    leading: bool,
    /// Whether it has told since it leads: what was to be said before counts as told from then on.
    begun: bool,
    limit: Limit,
    told: u64,
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reporter {
    /// Begins. `controller` is who we are in statuses, `instance` which replica.
    #[must_use]
    pub fn start(client: Client, controller: &str, instance: &str) -> Self {
        let (queue, incoming) = mpsc::channel(QUEUE);
        Self {
            controller: controller.to_owned(),
            instance: instance.to_owned(),
            queue,
            task: tokio::spawn(write(client, incoming)),
            leading: false,
            begun: false,
            limit: Limit::default(),
            told: 0,
        }
    }

    /// Says whether this replica tells.
    pub const fn set_leading(&mut self, leading: bool) {
        self.leading = leading;
    }

    /// Takes in what statuses are to be, and tells what is new. What the cluster shows counts as told when this
    /// replica begins to lead, so that a restart repeats nothing; it has to be told of all objects then.
    pub fn follow(&mut self, changes: &[Change], snapshot: &Snapshot) {
        if !self.leading {
            self.begun = false;
            return;
        }
        let begun = std::mem::replace(&mut self.begun, true);
        let told = |change: &Change| {
            let known = if begun { &change.earlier } else { &change.shown };
            Some((change.key.clone(), Arc::clone(known.as_ref()?)))
        };
        let before: Statuses = changes.iter().filter_map(told).collect();
        let after =
            |change: &Change| Some((change.key.clone(), Arc::clone(change.wanted.as_ref()?)));
        let after: Statuses = changes.iter().filter_map(after).collect();
        let now = Instant::now();
        for happening in what_to_say(&before, &after, &self.controller) {
            if !self.limit.allows(&happening, now) {
                continue;
            }
            self.told += 1;
            let event = self.event(&happening, snapshot);
            if self.queue.try_send(event).is_err() {
                tracing::debug!("an event of {} is left out: too many", happening.key);
            }
        }
    }

    fn event(&self, happening: &Happening, snapshot: &Snapshot) -> Value {
        let Happening { key, bad, reason, note } = happening;
        let now = Timestamp::now();
        let name: String = key.name.name.chars().take(MAX_NAME).collect();
        let nanoseconds = now.as_nanosecond();
        let told = self.told;
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": format!("{}.{nanoseconds:x}.{told:x}", name.trim_end_matches('.')),
                "namespace": namespace(key),
            },
            "eventTime": format!("{now:.6}"),
            "type": if *bad { "Warning" } else { "Normal" },
            "reason": reason,
            "action": "Translate",
            "note": shortened(note),
            "reportingController": self.controller,
            "reportingInstance": shortened_to(&self.instance, 128),
            "regarding": regarding(key, snapshot),
        })
    }
}

/// Events of what lives in no namespace are in `default`.
fn namespace(key: &ObjectKey) -> &str {
    if key.name.namespace.is_empty() { "default" } else { &key.name.namespace }
}

fn regarding(key: &ObjectKey, snapshot: &Snapshot) -> Value {
    let metadata = snapshot.metadata(key);
    let mut object = json!({
        "apiVersion": key.kind.api_version(),
        "kind": key.kind.name(),
        "name": key.name.name,
        "uid": metadata.and_then(|metadata| metadata.uid.as_deref()).unwrap_or_default(),
    });
    if !key.name.namespace.is_empty() {
        object["namespace"] = json!(key.name.namespace);
    }
    object
}

fn shortened(note: &str) -> String {
    shortened_to(note, MAX_NOTE)
}

/// Keeps as many whole characters as fit into so many bytes.
fn shortened_to(text: &str, bytes: usize) -> String {
    let mut left = bytes;
    let fits = |letter: &char| {
        let rest = left.checked_sub(letter.len_utf8());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    text.chars().take_while(fits).collect()
}

async fn write(client: Client, mut incoming: mpsc::Receiver<Value>) {
    let mut refused = false;
    while let Some(event) = incoming.recv().await {
        match tokio::time::timeout(PATIENCE, post(&client, &event)).await {
            Ok(Ok(())) => refused = false,
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                // Said once: it stays so until somebody adds the rule.
                if !std::mem::replace(&mut refused, true) {
                    let message = &status.message;
                    tracing::warn!(message, "no events: allow create on events of events.k8s.io");
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "writing an event"),
            Err(_elapsed) => tracing::debug!("writing an event: no answer"),
        }
    }
}

async fn post(client: &Client, event: &Value) -> Result<(), kube::Error> {
    let namespace = event.pointer("/metadata/namespace").and_then(Value::as_str);
    let path = format!(
        "/apis/events.k8s.io/v1/namespaces/{}/events?fieldManager={FIELD_MANAGER}",
        namespace.unwrap_or("default")
    );
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(event.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request::<Value>(request).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_cut_between_characters() {
        assert_eq!(shortened_to("aéé", 4), "aé");
        assert_eq!(shortened_to("aéb", 2), "a", "nothing behind the cut");
        assert_eq!(shortened_to("abc", 3), "abc");
    }
}
