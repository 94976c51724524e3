//! A thousand objects that the API server takes and that make no sense, and a fault of Fairway in one object's
//! path: the controller lives, everything is answered, and what was served is served on.

#[path = "fuzz/nonsense.rs"]
mod nonsense;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use fairway_api::kind::Kind;
use fairway_controller::sources::cluster::object_path;
use fairway_translate::{Name, ObjectKey};
use serde_json::Value;
use tokio::task::JoinSet;

use super::Cluster;
use super::load::Load;
use super::world::{address, await_answer, await_live, begin, route, status};
use nonsense::{NAMESPACE, Random, object};

/// As many have to be taken.
const ENOUGH: usize = 1000;
/// As many are offered at most.
const MOST: u64 = 4000;
/// Requests to the API server that are under way at once.
const AT_ONCE: usize = 24;
const OURS: &str = "fairway.dev/controller";
const ROUTES: &[Kind] = &[
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TlsRoute,
    Kind::TcpRoute,
    Kind::UdpRoute,
    Kind::TrafficRoute,
];

/// A seed that has found something, or a new one.
fn seed() -> u64 {
    let given = std::env::var("FAIRWAY_SEED").ok().and_then(|text| text.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    given.unwrap_or_else(now)
}

/// Does something with a client of the lab's API server.
fn with_client<T: Send>(cluster: &Cluster, work: impl AsyncFnOnce(kube::Client) -> T + Send) -> T {
    let path = cluster.lab.kubeconfig();
    let inside = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let file = kube::config::Kubeconfig::read_from(path).expect("the lab's kubeconfig");
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(file, &options).await;
            let client = kube::Client::try_from(config.expect("a config")).expect("a client");
            work(client).await
        })
    };
    cluster.lab.namespace().run(inside).expect("the namespace is there")
}

async fn offer(client: kube::Client, kind: Kind, object: Value) -> bool {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let path = object_path(&ObjectKey { kind, name: Name::new(NAMESPACE, name) });
    let path = path.expect("a name that may be");
    // Created, for the server's side of an apply refuses more than the API does.
    let request = http::Request::post(path.trim_end_matches(name).trim_end_matches('/'))
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes());
    let answer = client.request::<Value>(request.expect("a request")).await;
    // Refused, as much of this should be. An API server that fails would be another matter.
    let refused =
        matches!(&answer, Err(kube::Error::Api(status)) if (400..500).contains(&status.code));
    assert!(answer.is_ok() || refused, "{kind} {object}: {answer:?}");
    answer.is_ok()
}

/// Offers objects until enough are taken; gives how many of each kind were.
async fn fill(client: kube::Client, mut random: Random) -> BTreeMap<Kind, usize> {
    let mut taken: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut under_way = JoinSet::new();
    for number in 0..MOST {
        if taken.values().sum::<usize>() >= ENOUGH {
            break;
        }
        let (kind, object) = object(&mut random, number);
        let client = client.clone();
        under_way.spawn(async move { (kind, offer(client, kind, object).await) });
        while under_way.len() >= AT_ONCE {
            count(&mut under_way, &mut taken).await;
        }
    }
    while !under_way.is_empty() {
        count(&mut under_way, &mut taken).await;
    }
    taken
}

async fn count(under_way: &mut JoinSet<(Kind, bool)>, taken: &mut BTreeMap<Kind, usize>) {
    if let Some(done) = under_way.join_next().await
        && let (kind, true) = done.expect("it does not panic")
    {
        *taken.entry(kind).or_default() += 1;
    }
}

async fn list(client: &kube::Client, kind: Kind, namespace: &str) -> Vec<Value> {
    let path = object_path(&ObjectKey { kind, name: Name::new(namespace, "x") });
    let path = path.expect("a name that may be");
    let request = http::Request::get(path.trim_end_matches("/x")).body(Vec::new());
    let list: Value = client.request(request.expect("a request")).await.expect("a list");
    list["items"].as_array().cloned().unwrap_or_default()
}

fn text<'a>(value: &'a Value, field: &str, otherwise: &'a str) -> &'a str {
    value[field].as_str().filter(|text| !text.is_empty()).unwrap_or(otherwise)
}

/// Says what is wrong with conditions that have to speak of an object as it is now.
fn stale(conditions: &Value, object: &Value) -> Option<String> {
    let all = conditions.as_array().filter(|all| !all.is_empty());
    let Some(all) = all else { return Some("no condition".to_owned()) };
    let now = &object["metadata"]["generation"];
    let old = all.iter().find(|condition| condition["observedGeneration"] != *now)?;
    Some(format!("is at generation {now}, but {old}"))
}

/// Gives objects of ours that are not answered, with the reason.
async fn unanswered(client: kube::Client) -> Vec<String> {
    let mut found = Vec::new();
    let mut gateways: Vec<(String, String)> = vec![("shop".to_owned(), "web".to_owned())];
    for gateway in list(&client, Kind::Gateway, NAMESPACE).await {
        let name = text(&gateway["metadata"], "name", "").to_owned();
        if let Some(why) = stale(&gateway["status"]["conditions"], &gateway) {
            found.push(format!("Gateway {name}: {why}"));
        }
        gateways.push((NAMESPACE.to_owned(), name));
    }
    let is_ours = |parent: &Value| {
        let group = parent["group"].as_str().unwrap_or("gateway.networking.k8s.io");
        let at = (text(parent, "namespace", NAMESPACE), text(parent, "name", ""));
        group == "gateway.networking.k8s.io"
            && text(parent, "kind", "Gateway") == "Gateway"
            && gateways.iter().any(|(namespace, name)| (namespace.as_str(), name.as_str()) == at)
    };
    for set in list(&client, Kind::ListenerSet, NAMESPACE).await {
        if is_ours(&set["spec"]["parentRef"])
            && let Some(why) = stale(&set["status"]["conditions"], &set)
        {
            found.push(format!("ListenerSet {}: {why}", set["metadata"]["name"]));
        }
    }
    for kind in ROUTES {
        for route in list(&client, *kind, NAMESPACE).await {
            let parents: Vec<&Value> =
                route["spec"]["parentRefs"].as_array().into_iter().flatten().collect();
            for parent in parents.iter().copied().filter(|parent| is_ours(parent)) {
                // One may be named twice, with its namespace and without: then each is answered.
                let named = parents.iter().filter(|other| is_same(other, parent)).count();
                let said = route["status"]["parents"].as_array().into_iter().flatten();
                let mut said = said.filter(|said| {
                    said["controllerName"] == OURS && is_same(&said["parentRef"], parent)
                });
                let first = said.next();
                let twice = (first.is_some() && said.count() >= named)
                    .then(|| "is answered more often than asked".to_owned());
                let why = match first {
                    Some(said) => stale(&said["conditions"], &route),
                    None => Some("is not answered".to_owned()),
                };
                for why in why.into_iter().chain(twice) {
                    found.push(format!("{kind} {} for {parent}: {why}", route["metadata"]["name"]));
                }
            }
        }
    }
    found
}

fn is_same(one: &Value, other: &Value) -> bool {
    let namespace = |parent: &Value| text(parent, "namespace", NAMESPACE).to_owned();
    namespace(one) == namespace(other)
        && ["name", "sectionName", "port"].iter().all(|field| one[field] == other[field])
}

#[test]
fn a_thousand_objects_without_sense_and_a_fault_of_ours_harm_nobody() {
    let mut cluster = Cluster::start("test-fuzz");
    begin(&cluster);
    let to = address(&cluster);
    let load = Load::begin(cluster.lab.namespace(), to, "first.example", "/");
    // The controller that is started now has a fault in the path of one object.
    cluster.kill_controller();
    cluster.start_controller_with(&["--planted-fault", "shop/planted"]);
    cluster.apply(&route("planted"));
    cluster.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"));
    let message = "{.status.parents[0].conditions[?(@.type=='Accepted')].message}";
    cluster.until("the verdict of the planted fault", |cluster| {
        cluster.get("httproute/planted", message).contains("a fault of Fairway itself")
    });
    assert_eq!(status(&cluster, to, "planted.example"), 404, "that one object is out");

    let seed = seed();
    println!("FAIRWAY_SEED={seed}");
    let taken = with_client(&cluster, async |client| fill(client, Random::new(seed)).await);
    let count: usize = taken.values().sum();
    assert!(count >= ENOUGH, "only {count} of {MOST} were taken: {taken:?}");
    assert!(taken.len() >= 12, "some kinds are always refused: {taken:?}");

    let began = std::time::Instant::now();
    cluster.apply(&route("fresh"));
    await_answer(&cluster, "fresh.example");
    await_live(&cluster, "fresh");
    println!("{count} taken; a new route is live after {:?}", began.elapsed());
    let mut rest = Vec::new();
    cluster.until("an answer for each object", |cluster| {
        let asked = with_client(cluster, async |client| unanswered(client).await);
        if rest != asked {
            println!(
                "{} without an answer: {:?}",
                asked.len(),
                asked.iter().take(5).collect::<Vec<_>>()
            );
        }
        rest = asked;
        rest.is_empty()
    });
    assert!(cluster.controller_runs(), "it did not begin anew");
    assert_eq!(load.refused(), 0);
    load.end();
}
