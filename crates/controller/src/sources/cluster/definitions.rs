//! Which kinds the cluster has: its CustomResourceDefinitions of the groups that are read, followed as
//! metadata alone, because their schemas are megabytes. Which versions one serves is asked of it singly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_translate::Kind;
use futures::future::join_all;
use kube::Client;
use kube::api::GetParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::follow::{Heard, Place, Trouble, follow};
use super::pace::Backoff;
use super::{Message, Timing, What, kinds};

const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Where Gateway API's definitions say which release they are of.
const BUNDLE_VERSION: &str = "gateway.networking.k8s.io/bundle-version";

/// What is known of a kind's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// The version that is served and understood; the one we like best, of several.
    pub(super) version: Option<&'static str>,
    /// Whether it is being deleted, and all objects with it.
    pub(super) ending: bool,
    bundle_version: Option<Arc<str>>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Definitions {
    pub(super) kinds: BTreeMap<Kind, Definition>,
}

impl Definitions {
    /// Takes note that a definition is being deleted. Says whether it is known.
    fn end(&mut self, kind: Kind) -> bool {
        let known = self.kinds.get_mut(&kind);
        known.map(|definition| definition.ending = true).is_some()
    }

    /// Gives the release of Gateway API's definitions: that of GatewayClass, which people install first.
    pub(super) fn bundle_version(&self) -> Option<Arc<str>> {
        let of = |definition: &Definition| definition.bundle_version.clone();
        let class = self.kinds.get(&Kind::GatewayClass).and_then(of);
        class.or_else(|| self.kinds.values().find_map(of))
    }
}

/// Begins to follow; each change is sent as a whole state.
pub(super) async fn run(client: Client, timing: Timing, epoch: u64, sender: mpsc::Sender<Message>) {
    let (heard, mut hearing) = mpsc::channel(64);
    let place = Place { path: PATH.to_owned(), only: None, metadata: true };
    let _following =
        follow(client.clone(), place, &timing, heard, |heard| heard.map(|value| read(&value)));
    let asker = Asker { client, timing };
    let mut known = Definitions::default();
    let mut seen = BTreeSet::new();
    let mut complete = false;
    while let Some(heard) = hearing.recv().await {
        let at = Instant::now();
        let trouble = match heard {
            Heard::Begun => {
                seen.clear();
                None
            }
            Heard::Page(found) => {
                seen.extend(found.iter().map(|found| found.kind));
                let asked = join_all(found.into_iter().map(|found| asker.definition(found)));
                for (kind, definition) in asked.await {
                    put(&mut known, kind, definition);
                }
                None
            }
            Heard::Listed => {
                known.kinds.retain(|kind, _| seen.contains(kind));
                complete = true;
                None
            }
            // No question is worth the time in which its objects are deleted.
            Heard::Put(found) if found.ending && known.end(found.kind) => None,
            Heard::Put(found) => {
                let (kind, definition) = asker.definition(found).await;
                put(&mut known, kind, definition);
                None
            }
            Heard::Gone(found) => {
                known.kinds.remove(&found.kind);
                None
            }
            Heard::Trouble(trouble) => Some(Some(trouble)),
            Heard::Well => Some(None),
        };
        let what = match trouble {
            Some(trouble) => What::DefinitionsTrouble(trouble),
            None if complete => What::Definitions(known.clone()),
            None => continue,
        };
        if sender.send(Message { epoch, at, what }).await.is_err() {
            return;
        }
    }
}

fn put(known: &mut Definitions, kind: Kind, definition: Option<Definition>) {
    match definition {
        Some(definition) => {
            known.kinds.insert(kind, definition);
        }
        None => {
            known.kinds.remove(&kind);
        }
    }
}

/// A definition as its metadata shows it.
#[derive(Debug)]
struct Found {
    kind: Kind,
    ending: bool,
    bundle_version: Option<Arc<str>>,
}

fn read(value: &Value) -> Option<Found> {
    let metadata = value.get("metadata")?;
    let kind = kinds::of_definition(metadata.get("name")?.as_str()?)?;
    let ending = metadata.get("deletionTimestamp").is_some_and(Value::is_string);
    let annotation = metadata.get("annotations").and_then(|all| all.get(BUNDLE_VERSION));
    let bundle_version = annotation.and_then(Value::as_str).map(Arc::from);
    Some(Found { kind, ending, bundle_version })
}

/// The few fields of a definition that count here.
#[derive(Debug, Deserialize)]
struct Full {
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Spec {
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    name: String,
    served: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// Gives the best of the versions that are served and understood.
fn version(kind: Kind, full: &Full) -> Option<&'static str> {
    let is_established = |c: &Condition| c.kind == "Established" && c.status == "True";
    if !full.status.conditions.iter().any(is_established) {
        return None;
    }
    let is_served =
        |wanted: &&&str| full.spec.versions.iter().any(|v| v.served && v.name == **wanted);
    kind.versions().iter().find(is_served).copied()
}

struct Asker {
    client: Client,
    timing: Timing,
}

impl Asker {
    /// Asks until there is an answer; without a definition it is gone again.
    async fn definition(&self, found: Found) -> (Kind, Option<Definition>) {
        let mut backoff = Backoff::new(self.timing.retry, self.timing.longest_retry);
        let Found { kind, ending, bundle_version } = found;
        loop {
            match self.ask(kind).await {
                Ok(full) => {
                    let version = version(kind, &full);
                    return (kind, Some(Definition { version, ending, bundle_version }));
                }
                Err(Some(trouble)) => {
                    tracing::debug!("CustomResourceDefinition of {kind}: {trouble:?}");
                    sleep(backoff.pause()).await;
                }
                Err(None) => return (kind, None),
            }
        }
    }

    async fn ask(&self, kind: Kind) -> Result<Full, Option<Trouble>> {
        let request = Request::new(PATH).get(&kinds::resource(kind), &GetParams::default());
        let request = request.map_err(|error| Some(Trouble::Refused(error.to_string())))?;
        match timeout(self.timing.answer, self.client.request::<Full>(request)).await {
            Ok(Ok(full)) => Ok(full),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(None),
            Ok(Err(error)) => Err(Some(error.into())),
            Err(_elapsed) => Err(Some(Trouble::Away("no answer".to_owned()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn full(versions: &[(&str, bool)], established: &str) -> Full {
        let versions: Vec<Value> = versions
            .iter()
            .map(|(name, served)| json!({"name": name, "served": served, "schema": {"x": [1]}}))
            .collect();
        let conditions = json!([{"type": "Established", "status": established, "reason": "x"}]);
        let value = json!({"spec": {"versions": versions}, "status": {"conditions": conditions}});
        serde_json::from_value(value).expect("a definition")
    }

    #[test]
    fn the_newest_served_version_that_is_understood_counts() {
        let several = [("v1alpha2", true), ("v1alpha3", true), ("v9", true)];
        assert_eq!(version(Kind::TlsRoute, &full(&several, "True")), Some("v1alpha3"));
        let not_served = [("v1", false), ("v1alpha2", true)];
        assert_eq!(version(Kind::TlsRoute, &full(&not_served, "True")), Some("v1alpha2"));
        assert_eq!(version(Kind::TlsRoute, &full(&[("v9", true)], "True")), None);
        assert_eq!(version(Kind::TlsRoute, &full(&several, "False")), None);
    }

    #[test]
    fn metadata_is_enough_to_see_an_end_coming() {
        let name = "httproutes.gateway.networking.k8s.io";
        let value = json!({"metadata": {"name": name, "deletionTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {BUNDLE_VERSION: "v1.6.3"}}});
        let found = read(&value).expect("one of ours");
        assert_eq!((found.kind, found.ending), (Kind::HttpRoute, true));
        assert_eq!(found.bundle_version.as_deref(), Some("v1.6.3"));
        assert!(read(&json!({"metadata": {"name": "widgets.example.com"}})).is_none());
    }
}
