//! What the cluster has of our fleets: their objects, to notice when somebody changes or deletes them, and
//! their pods. Without the right to watch, fleets are made all the same; only less is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;

use super::desired::{FLEET, MANAGED_BY};

/// How long news are gathered before they are told.
const GATHER: Duration = Duration::from_millis(30);

/// A kind of object that fleets are made of: kind, `apiVersion`, plural.
type Made = (&'static str, &'static str, &'static str);

const POD: Made = ("Pod", "v1", "pods");
const MADE: [Made; 6] = [
    ("Deployment", "apps/v1", "deployments"),
    ("Service", "v1", "services"),
    ("ServiceAccount", "v1", "serviceaccounts"),
    ("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    ("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
    POD,
];

/// An object by kind, namespace and name.
pub(super) type Place = (String, String, String);

/// How a kind of object is asked for.
pub(super) fn resource(kind: &str) -> Option<ApiResource> {
    let (kind, api_version, plural) = MADE.iter().find(|made| made.0 == kind)?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Some(ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: (*api_version).to_owned(),
        plural: (*plural).to_owned(),
        kind: (*kind).to_owned(),
    })
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) objects: BTreeMap<Place, Arc<DynamicObject>>,
    /// What was deleted, and at which version.
    pub(super) gone: BTreeMap<Place, u64>,
    /// Kinds that have been listed as a whole.
    pub(super) listed: BTreeSet<&'static str>,
}

impl Seen {
    /// Gives the pods of a fleet, none before they were listed.
    pub(super) fn pods<'a>(
        &'a self,
        namespace: &'a str,
        fleet: &'a str,
    ) -> impl Iterator<Item = &'a Arc<DynamicObject>> {
        let from = (POD.0.to_owned(), namespace.to_owned(), String::new());
        self.objects
            .range(from..)
            .take_while(move |((kind, place, _), _)| kind == POD.0 && place == namespace)
            .map(|(_, pod)| pod)
            .filter(move |pod| pod.labels().get(FLEET).is_some_and(|name| name == fleet))
    }

    /// Gives an object of a fleet.
    pub(super) fn get(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<&Arc<DynamicObject>> {
        self.objects.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// Takes note that an object is as it shall be.
    pub(super) fn settle(&mut self, place: &Place) {
        self.gone.remove(place);
    }

    /// Takes in a whole list: what it lacks was deleted, nobody knows when.
    fn list(&mut self, kind: &'static str, listed: &BTreeSet<Place>) {
        let (objects, gone) = (&mut self.objects, &mut self.gone);
        objects.retain(|place, _| {
            let stays = place.0 != kind || listed.contains(place);
            if !stays {
                gone.insert(place.clone(), u64::MAX);
            }
            stays
        });
        self.listed.insert(kind);
    }
}

/// The version of an object as a number, which API servers promise it to be.
pub(super) fn version(object: &DynamicObject) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// What is known, shared between those who learn it and those who use it.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    seen: Arc<Mutex<Seen>>,
    news: watch::Sender<u64>,
}

impl Sight {
    pub(super) fn new() -> Self {
        Self { seen: Arc::default(), news: watch::Sender::new(0) }
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        // Whoever panicked with the lock held left an account that the next list corrects.
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Watches for ever.
    pub(super) async fn watch(self, client: Client) {
        let mut all: SelectAll<BoxStream<'static, (&'static str, Heard)>> =
            MADE.into_iter().map(|made| follow(&client, made)).collect();
        let mut listing: BTreeMap<&'static str, BTreeSet<Place>> = BTreeMap::new();
        loop {
            let Some((kind, heard)) = all.next().await else { return };
            self.take(kind, heard, &mut listing);
            let gathered = tokio::time::sleep(GATHER);
            tokio::pin!(gathered);
            loop {
                tokio::select! {
                    () = &mut gathered => break,
                    Some((kind, heard)) = all.next() => self.take(kind, heard, &mut listing),
                }
            }
            self.news.send_modify(|count| *count += 1);
        }
    }

    fn take(
        &self,
        kind: &'static str,
        heard: Heard,
        listing: &mut BTreeMap<&'static str, BTreeSet<Place>>,
    ) {
        let event = match heard {
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(%error, "watching the {kind}s of fleets");
                return;
            }
        };
        let place = |object: &DynamicObject| {
            let namespace = object.namespace().unwrap_or_default();
            (kind.to_owned(), namespace, object.name_any())
        };
        self.look(|seen| match event {
            Event::Init => drop(listing.insert(kind, BTreeSet::new())),
            Event::InitApply(object) | Event::Apply(object) => {
                let place = place(&object);
                if let Some(listing) = listing.get_mut(kind) {
                    listing.insert(place.clone());
                }
                seen.gone.remove(&place);
                seen.objects.insert(place, Arc::new(object));
            }
            Event::Delete(object) => {
                let place = place(&object);
                seen.gone.insert(place.clone(), version(&object));
                seen.objects.remove(&place);
            }
            Event::InitDone => {
                let listed = listing.remove(kind).unwrap_or_default();
                seen.list(kind, &listed);
            }
        });
    }
}

type Heard = Result<Event<DynamicObject>, watcher::Error>;

fn follow(client: &Client, made: Made) -> BoxStream<'static, (&'static str, Heard)> {
    let kind = made.0;
    let selector =
        if kind == POD.0 { FLEET.to_owned() } else { format!("{MANAGED_BY}=fairway,{FLEET}") };
    let resource = resource(kind).expect("it is one of those that are found");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let config = watcher::Config::default().labels(&selector);
    watcher(api, config).default_backoff().map(move |heard| (kind, heard)).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, version: &str) -> DynamicObject {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": name, "resourceVersion": version},
        });
        serde_json::from_value(object).expect("an object")
    }

    /// Says which objects there are and which are gone after these events.
    fn after(events: Vec<Event<DynamicObject>>) -> (Vec<String>, Vec<(String, u64)>) {
        let sight = Sight::new();
        let mut listing = BTreeMap::new();
        for event in events {
            sight.take("Service", Ok(event), &mut listing);
        }
        sight.look(|seen| {
            let there = seen.objects.keys().map(|place| place.2.clone()).collect();
            (there, seen.gone.iter().map(|(place, v)| (place.2.clone(), *v)).collect())
        })
    }

    #[test]
    fn deletions_are_noticed_also_while_nobody_looked() {
        let (there, gone) = after(vec![
            Event::Init,
            Event::InitApply(object("a", "1")),
            Event::InitApply(object("b", "2")),
            Event::InitDone,
            Event::Apply(object("c", "3")),
            Event::Delete(object("a", "4")),
            Event::Init,
            Event::InitApply(object("c", "3")),
            Event::InitDone,
        ]);
        assert_eq!(there, ["c"]);
        assert_eq!(gone, [("a".to_owned(), 4), ("b".to_owned(), u64::MAX)]);
    }
}
