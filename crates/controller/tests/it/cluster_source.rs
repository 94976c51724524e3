//! The cluster as a source, against a scripted API server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fairway_controller::sources::cluster::{Cause, Settings, Source, Taken, Timing};
use fairway_translate::{Kind, Name, ObjectKey};
use serde_json::{Value, json};

use super::cluster_api::{Api, GATEWAYS, ROUTES, SECRETS, SERVICES};

const GROUP: &str = "gateway.networking.k8s.io";
const MS: Duration = Duration::from_millis(1);

fn settings() -> Settings {
    let timing = Timing {
        retry: 5 * MS,
        longest_retry: 50 * MS,
        denied_retry: 20 * MS,
        between_lists: 20 * MS,
        patience: 200 * MS,
        ..Timing::default()
    };
    Settings { timing, ..Settings::default() }
}

/// Waits until things are as wanted, and gives what was taken then.
async fn until(source: &mut Source, what: &str, wanted: impl Fn(&Taken) -> bool) -> Taken {
    let looking = async {
        loop {
            source.changed().await;
            let taken = source.take();
            if wanted(&taken) {
                return taken;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), looking).await;
    found.unwrap_or_else(|_elapsed| panic!("in 20 s it never came to this: {what}"))
}

/// Waits for something that the source does by itself, which it is driven for meanwhile.
async fn driven(source: &mut Source, what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::select! {
                () = source.changed() => drop(source.take()),
                () = tokio::time::sleep(MS) => {}
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    found.unwrap_or_else(|_elapsed| panic!("in 20 s it never came to this: {what}"));
}

fn route(name: &str, host: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"namespace": "shop", "name": name, "managedFields": [{"manager": "x"}]},
        "spec": {"hostnames": [host]},
    })
}

fn secret(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Secret, name: Name::new(namespace, name) }
}

fn put_secret(api: &Api, namespace: &str, name: &str) {
    let metadata = json!({"namespace": namespace, "name": name});
    api.put(SECRETS, json!({"metadata": metadata, "type": "Opaque", "data": {}}));
}

/// An API server with HTTPRoutes, and as many of them, followed.
async fn with_routes(count: usize, settings: Settings) -> (Api, Source, Taken) {
    let api = Api::start().await;
    api.define("httproutes", GROUP, "v1");
    for number in 0..count {
        api.put(ROUTES, route(&format!("route-{number:04}"), "a.example.com"));
    }
    let mut source = Source::start(api.client(), settings);
    let taken = until(&mut source, "everything is listed", |_| true).await;
    assert_eq!(taken.snapshot.http_routes.len(), count);
    (api, source, taken)
}

#[tokio::test]
async fn the_first_time_everything_is_there() {
    let api = Api::start().await;
    api.define("httproutes", GROUP, "v1");
    api.define("gateways", GROUP, "v1");
    api.define("widgets", "example.com", "v1");
    for number in 0..1200 {
        api.put(ROUTES, route(&format!("route-{number:04}"), "a.example.com"));
    }
    // As in the lists of a real one, built-in kinds come without their types.
    let metadata = json!({"namespace": "shop", "name": "cart"});
    api.put(SERVICES, json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}}));
    let mut source = Source::start(api.client(), settings());
    source.changed().await;
    let taken = source.take();
    assert_eq!((taken.snapshot.http_routes.len(), taken.snapshot.services.len()), (1200, 1));
    assert_eq!(taken.objects, 1201);
    assert!(taken.synced);
    assert_eq!(taken.bundle_version.as_deref(), Some("v1.6.3"));
    assert!(taken.missing.contains(&Kind::GrpcRoute) && !taken.missing.contains(&Kind::Gateway));
    let pages = api.asked(ROUTES, false);
    assert_eq!(pages.len(), 3, "in pages: {pages:?}");
    assert!(api.asked(SECRETS, false).is_empty(), "nobody reads all Secrets");
    let key = ObjectKey { kind: Kind::HttpRoute, name: Name::new("shop", "route-0001") };
    let metadata = taken.snapshot.metadata(&key).expect("it is there");
    assert!(metadata.resource_version.is_some());
}

#[tokio::test]
async fn what_happens_is_told_and_the_rest_stays_as_it_is() {
    let (api, mut source, first) = with_routes(3, settings()).await;
    api.put(ROUTES, route("route-0001", "b.example.com"));
    let second = until(&mut source, "a route is changed", |taken| {
        taken.snapshot.http_routes.values().any(|r| r.spec.hostnames == ["b.example.com"])
    });
    let second = second.await;
    let pairs = first.snapshot.http_routes.values().zip(second.snapshot.http_routes.values());
    let same: Vec<bool> = pairs.map(|(a, b)| Arc::ptr_eq(a, b)).collect();
    assert_eq!(same, [true, false, true]);
    assert!(second.noticed >= first.noticed);
    assert!(Arc::ptr_eq(&first.snapshot.services, &second.snapshot.services));
    api.put(ROUTES, route("route-0009", "c.example.com"));
    api.delete(ROUTES, "shop", "route-0000");
    until(&mut source, "one comes and one goes", |taken| {
        let names: Vec<&str> = taken.snapshot.http_routes.keys().map(|n| &*n.name).collect();
        names == ["route-0001", "route-0002", "route-0009"]
    })
    .await;
}

#[tokio::test]
async fn a_cut_connection_is_taken_up_where_it_was() {
    let (api, mut source, _) = with_routes(3, settings()).await;
    driven(&mut source, "it watches", || api.asked(ROUTES, true).len() == 1).await;
    api.cut(ROUTES);
    api.put(ROUTES, route("meanwhile", "a.example.com"));
    until(&mut source, "nothing is missed", |taken| taken.snapshot.http_routes.len() == 4).await;
    assert_eq!(api.asked(ROUTES, false).len(), 1, "without another list");
}

#[tokio::test]
async fn a_bookmark_saves_a_list() {
    let (api, mut source, _) = with_routes(3, settings()).await;
    driven(&mut source, "it watches", || api.asked(ROUTES, true).len() == 1).await;
    api.bookmark(ROUTES);
    // Told after the bookmark, so that the bookmark is known to have been heard.
    api.put(ROUTES, route("after", "a.example.com"));
    until(&mut source, "the watch goes on", |taken| taken.snapshot.http_routes.len() == 4).await;
    api.delete(ROUTES, "shop", "after");
    until(&mut source, "the watch goes on", |taken| taken.snapshot.http_routes.len() == 3).await;
    api.bookmark(ROUTES);
    api.cut(ROUTES);
    let watches = || api.asked(ROUTES, true).len();
    driven(&mut source, "it watches again", || watches() == 2).await;
    assert_eq!(api.asked(ROUTES, false).len(), 1, "without another list");
}

#[tokio::test]
async fn an_expired_watch_becomes_a_list() {
    let (api, mut source, first) = with_routes(3, settings()).await;
    driven(&mut source, "it watches", || api.asked(ROUTES, true).len() == 1).await;
    let expired = source.expired();
    assert_eq!(expired.load(Ordering::Relaxed), 0);
    api.lose(ROUTES, |name| name != "route-0002");
    api.expire(ROUTES);
    let taken =
        until(&mut source, "the list counts", |taken| taken.snapshot.http_routes.len() == 2);
    let taken = taken.await;
    assert!(taken.held.is_empty(), "one of three is not held");
    let key = Name::new("shop", "route-0001");
    let (a, b) = (&first.snapshot.http_routes[&key], &taken.snapshot.http_routes[&key]);
    assert!(Arc::ptr_eq(a, b), "what was listed again is the same object");
    driven(&mut source, "it watches again", || api.asked(ROUTES, true).len() >= 2).await;
    assert_eq!(api.asked(ROUTES, false).len(), 2);
    assert!(expired.load(Ordering::Relaxed) >= 1, "it is counted");
    api.put(ROUTES, route("later", "a.example.com"));
    until(&mut source, "the watch goes on", |taken| taken.snapshot.http_routes.len() == 3).await;
}

#[tokio::test]
async fn a_list_that_lacks_most_has_to_be_confirmed() {
    let (api, mut source, _) = with_routes(20, settings()).await;
    driven(&mut source, "it watches", || api.asked(ROUTES, true).len() == 1).await;
    api.lose(ROUTES, |name| name < "route-0003");
    api.expire(ROUTES);
    let taken = until(&mut source, "they are held", |taken| !taken.held.is_empty()).await;
    assert_eq!(taken.snapshot.http_routes.len(), 20, "nothing is gone");
    assert_eq!((taken.held[0].kind, taken.held[0].names.len()), (Kind::HttpRoute, 17));
    assert_eq!(taken.held[0].cause, Cause::List);
    let taken = until(&mut source, "a second list agrees", |taken| taken.held.is_empty()).await;
    assert_eq!(taken.snapshot.http_routes.len(), 3);
}

#[tokio::test]
async fn a_late_definition_is_followed_and_a_lost_one_takes_nothing_along() {
    let (api, mut source, first) = with_routes(3, settings()).await;
    assert!(first.missing.contains(&Kind::Gateway));
    api.define("gateways", GROUP, "v1");
    let metadata = json!({"namespace": "shop", "name": "web"});
    let spec = json!({"gatewayClassName": "fairway", "listeners": []});
    api.put(GATEWAYS, json!({"metadata": metadata, "spec": spec}));
    let there = |taken: &Taken| taken.snapshot.gateways.len() == 1 && taken.synced;
    let taken = until(&mut source, "the late kind is listed", there).await;
    assert!(!taken.missing.contains(&Kind::Gateway));
    api.begin_to_undefine("httproutes", GROUP, "v1");
    let ends = |taken: &Taken| taken.ending.contains(&Kind::HttpRoute);
    until(&mut source, "the end is coming", ends).await;
    api.undefine("httproutes", GROUP, "v1");
    let gone = |taken: &Taken| taken.missing.contains(&Kind::HttpRoute);
    let taken = until(&mut source, "the kind is gone", gone).await;
    assert_eq!(taken.snapshot.http_routes.len(), 3, "its objects are not");
    assert_eq!((taken.held[0].names.len(), taken.held[0].cause), (3, Cause::Definition));
    api.define("httproutes", GROUP, "v1");
    api.put(ROUTES, route("route-0000", "a.example.com"));
    let back = |taken: &Taken| {
        taken.held.is_empty() && taken.synced && taken.snapshot.http_routes.len() == 1
    };
    let taken = until(&mut source, "it is back and listed", back).await;
    assert!(!taken.missing.contains(&Kind::HttpRoute));
}

#[tokio::test]
async fn secrets_are_watched_one_by_one() {
    let (api, mut source, _) = with_routes(1, settings()).await;
    for name in ["tls", "other"] {
        put_secret(&api, "shop", name);
    }
    let impossible = secret("shop", "a,metadata.name!=b");
    source.want(BTreeSet::from([secret("shop", "tls"), secret("shop", "not-there"), impossible]));
    assert!(source.awaits());
    let names = |taken: &Taken| -> Vec<String> {
        taken.snapshot.secrets.keys().map(ToString::to_string).collect()
    };
    let taken = until(&mut source, "it is read", |taken| !names(taken).is_empty()).await;
    assert_eq!(names(&taken), ["shop/tls"], "no other");
    let asked = || api.asked("/api/v1/namespaces/shop/secrets", true).len();
    driven(&mut source, "both are watched", || asked() == 2).await;
    assert!(!source.awaits());
    put_secret(&api, "shop", "not-there");
    until(&mut source, "a late one is read", |taken| names(taken).len() == 2).await;
    api.delete(SECRETS, "shop", "tls");
    let left = |taken: &Taken| names(taken) == ["shop/not-there"];
    until(&mut source, "a deleted one is gone", left).await;
    source.want(BTreeSet::new());
    assert!(names(&source.take()).is_empty(), "what is not wanted is dropped");
    assert!(api.asked(SECRETS, false).is_empty(), "nobody reads all Secrets");
}

#[tokio::test]
async fn a_missing_right_names_the_role() {
    let (api, mut source, _) = with_routes(1, settings()).await;
    let path = "/api/v1/namespaces/shop/secrets";
    put_secret(&api, "shop", "tls");
    api.deny(path, true);
    let key = secret("shop", "tls");
    source.want(BTreeSet::from([key.clone()]));
    let taken = until(&mut source, "it is denied", |taken| !taken.denied.is_empty()).await;
    let expected = "Secret shop/tls may not be read: give ServiceAccount \
                    fairway-system/fairway-controller the Role fairway-secrets in namespace shop";
    assert_eq!(taken.denied[0].message, expected);
    let why = &taken.snapshot.unreadable[&key];
    assert_eq!(format!("{key} {why}"), expected, "the snapshot says it, too");
    api.deny(path, false);
    let taken = until(&mut source, "the right is given", |taken| taken.denied.is_empty());
    assert!(taken.await.snapshot.unreadable.is_empty());
    let read = |taken: &Taken| taken.snapshot.secrets.len() == 1;
    if !read(&source.take()) {
        until(&mut source, "it is read", read).await;
    }
    // A right that is withdrawn later takes nothing off the air.
    driven(&mut source, "it is watched", || api.asked(path, true).len() == 1).await;
    api.deny(path, true);
    api.cut(SECRETS);
    let taken = until(&mut source, "it is denied again", |taken| !taken.denied.is_empty()).await;
    assert_eq!(taken.snapshot.secrets.len(), 1);
}

#[tokio::test]
async fn outside_of_the_namespaces_nothing_is_asked() {
    let only =
        Settings { secret_namespaces: Some(BTreeSet::from(["shop".to_owned()])), ..settings() };
    let (api, mut source, _) = with_routes(1, only).await;
    source.want(BTreeSet::from([secret("shop", "tls"), secret("other", "tls")]));
    let taken = until(&mut source, "it is told", |taken| !taken.denied.is_empty()).await;
    let expected = "Secret other/tls is not read: add other to the chart's secretNamespaces";
    assert_eq!(taken.denied[0].message, expected);
    let asked = |namespace: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        api.asked(&path, false).len() + api.asked(&path, true).len()
    };
    driven(&mut source, "the other is asked for", || asked("shop") == 2).await;
    assert_eq!(asked("other"), 0);
}

#[tokio::test]
async fn while_the_server_is_away_everything_stays() {
    let (api, mut source, _) = with_routes(3, settings()).await;
    driven(&mut source, "it watches", || api.asked(ROUTES, true).len() == 1).await;
    api.down(true);
    tokio::select! {
        () = source.changed() => panic!("nothing has changed: {:?}", source.take()),
        () = tokio::time::sleep(200 * MS) => {}
    }
    assert_eq!(source.take().snapshot.http_routes.len(), 3);
    api.put(ROUTES, route("meanwhile", "a.example.com"));
    api.down(false);
    let taken =
        until(&mut source, "it is back", |taken| taken.snapshot.http_routes.len() == 4).await;
    assert!(taken.held.is_empty());
    assert_eq!(api.asked(ROUTES, false).len(), 1, "without another list");
}

#[tokio::test]
async fn an_object_that_makes_no_sense_is_alone_in_that() {
    let (api, mut source, first) = with_routes(3, settings()).await;
    let mut broken = route("route-0001", "b.example.com");
    broken["spec"]["rules"] = json!(7);
    api.put(ROUTES, broken);
    api.put(ROUTES, route("route-0002", "c.example.com"));
    let told = |taken: &Taken| !taken.undecoded.is_empty();
    let taken = until(&mut source, "it is told", told).await;
    assert_eq!(taken.undecoded[0].key.to_string(), "HTTPRoute shop/route-0001");
    let name = Name::new("shop", "route-0001");
    let (a, b) = (&first.snapshot.http_routes[&name], &taken.snapshot.http_routes[&name]);
    assert!(Arc::ptr_eq(a, b), "the last good version counts");
    api.put(ROUTES, route("route-0001", "d.example.com"));
    let taken = until(&mut source, "it is mended", |taken| taken.undecoded.is_empty()).await;
    assert_eq!(taken.snapshot.http_routes[&name].spec.hostnames, ["d.example.com"]);
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_keeps_us_from_beginning() {
    let api = Api::start().await;
    api.define("httproutes", GROUP, "v1");
    api.put(ROUTES, route("a", "a.example.com"));
    api.deny(SERVICES, true);
    let mut source = Source::start(api.client(), settings());
    driven(&mut source, "it has asked twice", || api.asked(SERVICES, false).len() >= 2).await;
    assert!(!source.is_synced());
    let taken = source.take();
    let denied: Vec<&str> = taken.denied.iter().map(|denied| denied.message.as_str()).collect();
    let expected = "services may not be listed and watched: give ServiceAccount \
                    fairway-system/fairway-controller the ClusterRole fairway-controller";
    assert_eq!(denied, [expected]);
    api.deny(SERVICES, false);
    let taken = until(&mut source, "the right is given", |taken| taken.synced).await;
    assert!(taken.denied.is_empty());
}
