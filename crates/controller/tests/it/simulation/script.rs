//! What happens in a simulation: steps drawn from a seed, and the objects that users write in them.

use fairway_translate::{Kind, Snapshot};
use serde_json::{Value, json};

use super::dice::Dice;
use super::laws::SERVICES;
use super::server::{Fault, World};
use super::store::Place;

const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/gateways";
const CLASSES: &str = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/httproutes";
const POOLS: &str = "/apis/fairway.dev/v1alpha1/addresspools";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NAMESPACES: &str = "/api/v1/namespaces";
const FOREIGN: &str = "example.com/other";

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Gateway {
        number: u64,
        port: u64,
        class: &'static str,
    },
    NoGateway(u64),
    Route {
        number: u64,
        gateway: u64,
        backend: u64,
    },
    NoRoute(u64),
    Backend(u64),
    NoBackend(u64),
    /// The pool has so many addresses.
    Pool(u64),
    /// Another controller says something of a route.
    Foreign {
        route: u64,
        word: u64,
    },
    /// The garbage collector comes by.
    Collect,
    /// All watches end.
    Cut,
    /// All watches end, and their history is forgotten.
    Forget,
    /// The watches of a list are late by so many seconds.
    Late(&'static str, u64),
    /// Watches tell everything twice from now on, or no more.
    Twice(bool),
    /// A write that is so many ahead comes to harm.
    Harm(u32, Fault),
    /// A process dies.
    Kill(usize),
    /// A process is asked to end.
    Stop(usize),
    /// The Lease cannot be reached from a process for so many seconds.
    Mute(usize, u64),
}

/// Draws the steps of a seed, each with the milliseconds that pass after it.
pub(super) fn script(dice: &mut Dice) -> Vec<(Step, u64)> {
    let begin = [
        Step::Pool(2 + dice.upto(3)),
        Step::Backend(0),
        Step::Gateway { number: 0, port: 80, class: "fairway" },
        Step::Route { number: 0, gateway: 0, backend: 0 },
    ];
    let mut steps: Vec<(Step, u64)> = begin.into_iter().map(|step| (step, 0)).collect();
    for _ in 0..40 {
        let step = draw(dice);
        let pause = match dice.upto(3) {
            0 => dice.upto(60),
            1 => dice.upto(1000),
            _ => dice.upto(6000),
        };
        steps.push((step, pause));
    }
    steps
}

fn draw(dice: &mut Dice) -> Step {
    let slot = usize::from(dice.upto(2) == 1);
    match dice.upto(26) {
        0..=3 => Step::Gateway {
            number: dice.upto(3),
            port: 80 + dice.upto(3),
            class: if dice.upto(4) == 0 { "other" } else { "fairway" },
        },
        4 | 5 => Step::NoGateway(dice.upto(3)),
        6..=8 => Step::Route { number: dice.upto(3), gateway: dice.upto(3), backend: dice.upto(2) },
        9 => Step::NoRoute(dice.upto(3)),
        10 => Step::Backend(dice.upto(2)),
        11 => Step::NoBackend(dice.upto(2)),
        12 => Step::Pool(2 + dice.upto(3)),
        13 => Step::Foreign { route: dice.upto(3), word: dice.upto(100) },
        14 => Step::Collect,
        15 => Step::Cut,
        16 => Step::Forget,
        17 => {
            let lists = [GATEWAYS, ROUTES, SERVICES, super::laws::CLAIMS, POOLS];
            let list = usize::try_from(dice.upto(5)).unwrap_or(0);
            Step::Late(lists[list], 1 + dice.upto(20))
        }
        18 => Step::Twice(dice.upto(2) == 0),
        19..=22 => Step::Harm(u32::try_from(dice.upto(8)).unwrap_or(0), fault(dice)),
        23 => Step::Kill(slot),
        24 => Step::Stop(slot),
        _ => Step::Mute(slot, 5 + dice.upto(30)),
    }
}

fn fault(dice: &mut Dice) -> Fault {
    match dice.upto(8) {
        0 => Fault::Refuse(409),
        1 => Fault::Refuse(429),
        2 => Fault::Refuse(500),
        3 => Fault::LostBefore,
        4 => Fault::LostAfter,
        5 | 6 => Fault::CrashBefore,
        _ => Fault::CrashAfter,
    }
}

fn place(list: &str, namespace: &str, name: impl Into<String>) -> Place {
    Place { list: list.to_owned(), namespace: namespace.to_owned(), name: name.into() }
}

fn gateway(number: u64) -> Place {
    place(GATEWAYS, "shop", format!("web-{number}"))
}

fn route(number: u64) -> Place {
    place(ROUTES, "shop", format!("route-{number}"))
}

fn backend(number: u64) -> Place {
    place(SERVICES, "shop", format!("backend-{number}"))
}

/// What is there before anything happens: the kinds, two classes, a namespace.
pub(super) fn begin(world: &mut World) {
    for kind in Snapshot::KINDS
        .iter()
        .filter(|kind| kind.group().contains("gateway.") || kind.group() == "fairway.dev")
    {
        let name = format!("{}.{}", kind.plural(), kind.group());
        let versions: Vec<Value> =
            kind.versions().iter().map(|name| json!({"name": name, "served": true})).collect();
        let definition = json!({
            "metadata": {}, "spec": {"versions": versions},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        });
        world.store.create(&place(DEFINITIONS, "", name), definition);
    }
    for (class, controller) in [("fairway", super::laws::OURS), ("other", FOREIGN)] {
        put(
            world,
            &place(CLASSES, "", class),
            Kind::GatewayClass,
            json!({"controllerName": controller}),
        );
    }
    put(world, &place(NAMESPACES, "", "shop"), Kind::Namespace, json!({}));
}

/// Writes the spec of an object, as users do.
fn put(world: &mut World, place: &Place, kind: Kind, spec: Value) {
    match world.store.objects.get(place).cloned() {
        Some(mut object) => {
            object["spec"] = spec;
            world.store.replace(place, &object, false);
        }
        None => {
            let object = json!({
                "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {}, "spec": spec,
            });
            world.store.create(place, object);
        }
    }
}

/// Does what users and others do; what happens to processes is not done here.
pub(super) fn act(world: &mut World, step: Step) {
    match step {
        Step::Gateway { number, port, class } => {
            let listeners = json!([{"name": "http", "port": port, "protocol": "HTTP"}]);
            let spec = json!({"gatewayClassName": class, "listeners": listeners});
            put(world, &gateway(number), Kind::Gateway, spec);
        }
        Step::Route { number, gateway, backend } => {
            let spec = json!({
                "parentRefs": [{"name": format!("web-{gateway}")}],
                "rules": [{"backendRefs": [{"name": format!("backend-{backend}"), "port": 80}]}],
            });
            put(world, &route(number), Kind::HttpRoute, spec);
        }
        Step::Backend(number) => {
            put(world, &backend(number), Kind::Service, json!({"ports": [{"port": 80}]}));
        }
        Step::Pool(size) => {
            let ranges = json!([format!("10.0.0.1-10.0.0.{size}")]);
            put(world, &place(POOLS, "", "pool"), Kind::AddressPool, json!({"ranges": ranges}));
        }
        Step::NoGateway(number) => drop(world.store.delete(&gateway(number), &Value::Null)),
        Step::NoRoute(number) => drop(world.store.delete(&route(number), &Value::Null)),
        Step::NoBackend(number) => drop(world.store.delete(&backend(number), &Value::Null)),
        Step::Foreign { route: number, word } => foreign(world, &route(number), word),
        Step::Collect => world.store.collect_garbage(),
        Step::Cut => world.cuts += 1,
        Step::Forget => {
            world.store.forgotten = world.store.version;
            world.cuts += 1;
        }
        Step::Late(list, seconds) => {
            let until = tokio::time::Instant::now() + std::time::Duration::from_secs(seconds);
            world.lag.insert(list.to_owned(), until);
        }
        Step::Twice(again) => world.again = again,
        Step::Harm(ahead, fault) => world.fault = Some((ahead, fault)),
        Step::Kill(_) | Step::Stop(_) | Step::Mute(..) => {}
    }
}

fn foreign(world: &mut World, place: &Place, word: u64) {
    let Some(mut object) = world.store.objects.get(place).cloned() else { return };
    let mut parents = object["status"]["parents"].as_array().cloned().unwrap_or_default();
    parents.retain(|parent| parent["controllerName"] != FOREIGN);
    parents.push(json!({
        "parentRef": {"name": "theirs"}, "controllerName": FOREIGN,
        "conditions": [{
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": word.to_string(),
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    }));
    object["status"]["parents"] = json!(parents);
    world.store.replace(place, &object, true);
}
