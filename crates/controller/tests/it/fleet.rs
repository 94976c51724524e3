//! Golden cases of fleets: objects in, and below the mark what is applied for their Gateways.
//! `FAIRWAY_GOLDEN=update` (`cargo xtask golden --update`) writes it there.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use fairway_api::kind::decode;
use fairway_controller::drivers::fleet::{Fleet, Settings, fleets, left};
use fairway_translate::{Held, Snapshot, translate};
use serde_json::{Value, json};

const MARK: &str = "# expect\n";

fn snapshot(objects: Vec<Value>) -> Snapshot {
    let one = |(index, mut object): (usize, Value)| {
        object["metadata"]["uid"] = json!(format!("uid-{index}"));
        decode(object).expect("an object of a known kind")
    };
    Snapshot::new(objects.into_iter().enumerate().map(one))
}

fn made(objects: Vec<Value>) -> Vec<Fleet> {
    let snapshot = snapshot(objects);
    let settings = fairway_translate::Settings::for_files();
    fleets(&snapshot, &translate(&snapshot, &settings, &Held::new(), None))
}

fn settings() -> Settings {
    Settings {
        image: "fairway:1.2.3".to_owned(),
        replicas: 2,
        controller: "fairway-controller.fairway-system.svc:7443".to_owned(),
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fleet");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all: BTreeSet<PathBuf> = files.collect();
    assert!(all.len() >= 4, "the cases are there");
    all.into_iter().collect()
}

#[test]
fn golden_fleets_are_what_they_expect() {
    let update = env::var("FAIRWAY_GOLDEN").is_ok_and(|word| word == "update");
    let mut wrong = Vec::new();
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let (input, expected) = text.split_once(MARK).unwrap_or((&text, ""));
        let documents = input.split("---\n").filter(|text| !text.trim().is_empty());
        let objects = documents.map(|text| serde_saphyr::from_str(text).unwrap()).collect();
        let shown = shown(&made(objects), kinds(input));
        if update && shown != expected {
            let input = input.trim_end().trim_end_matches("---").trim_end();
            fs::write(&path, format!("{input}\n---\n{MARK}{shown}")).unwrap();
        } else if shown != expected {
            wrong.push(path);
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong:?}: run `cargo xtask golden --update` and read the difference"
    );
}

/// Which kinds a case shows: those after `# shows:` in its first line, or all.
fn kinds(input: &str) -> Option<&str> {
    input.lines().next().and_then(|line| line.split_once("# shows: ")).map(|(_, kinds)| kinds)
}

/// Gives what is applied. What all objects of a fleet carry is shown once, before them.
fn shown(fleets: &[Fleet], kinds: Option<&str>) -> String {
    let mut all = Vec::new();
    for fleet in fleets {
        let shared = fleet.metadata();
        all.push(json!({"all": {"metadata": shared}}));
        for mut object in fleet.desired(&settings()) {
            let kind = object["kind"].as_str().unwrap().to_owned();
            if kinds.is_some_and(|kinds| !kinds.split(' ').any(|shown| shown == kind)) {
                continue;
            }
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|field, value| shared.get(field) != Some(value));
            all.push(object);
        }
    }
    let all: Vec<String> = all.iter().map(|o| serde_saphyr::to_string(o).unwrap()).collect();
    all.join("---\n")
}

fn gateway(name: &str, infrastructure: &Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {
            "gatewayClassName": "fairway", "infrastructure": infrastructure,
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    })
}

fn part(fleet: &Fleet, kind: &str) -> Value {
    let found = fleet.desired(&settings()).into_iter().find(|object| object["kind"] == kind);
    found.unwrap_or_else(|| panic!("there is a {kind}"))
}

/// A Deployment's selector cannot be changed, and a pod that it does not select is none of its own.
#[test]
fn whatever_changes_the_selector_stays() {
    let plain = made(vec![gateway("web", &json!({}))]).remove(0);
    let marked = json!({
        "labels": {"a": "b", "app.kubernetes.io/name": "mine", "fairway.dev/fleet": "another"},
    });
    let marked = made(vec![gateway("web", &marked)]).remove(0);
    let selector = |fleet: &Fleet| part(fleet, "Deployment")["spec"]["selector"].clone();
    assert_eq!(selector(&plain), selector(&marked));
    let template = &part(&marked, "Deployment")["spec"]["template"]["metadata"]["labels"];
    for (label, value) in selector(&marked)["matchLabels"].as_object().unwrap() {
        assert_eq!(&template[label], value);
    }
    assert_eq!(template["a"], "b");
}

#[test]
fn names_of_any_length_give_valid_objects() {
    for length in [1, 55, 56, 63, 64, 253] {
        let name = "a".repeat(length);
        let fleet = made(vec![gateway(&name, &json!({}))]).remove(0);
        for object in fleet.desired(&settings()) {
            let named = object["metadata"]["name"].as_str().unwrap();
            assert!(named.len() <= 63, "{named}");
            for value in object["metadata"]["labels"].as_object().unwrap().values() {
                assert!(value.as_str().unwrap().len() <= 63, "{value}");
            }
        }
    }
}

#[test]
fn what_users_write_stays_a_value() {
    let hostile = "'\"\n---\nkind: Pod\u{0}{{.}}$(id)";
    let fleet = made(vec![gateway("web", &json!({"annotations": {hostile: hostile}}))]).remove(0);
    for object in fleet.desired(&settings()) {
        assert_eq!(object["metadata"]["annotations"], json!({hostile: hostile}));
    }
    let arguments =
        &part(&fleet, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(arguments.as_array().unwrap().len(), 5);
}

#[test]
fn a_gateway_that_went_over_is_left_and_one_without_a_class_is_not() {
    let class = |name: &str, controller: &str| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": name}, "spec": {"controllerName": controller},
        })
    };
    let of_class = |name: &str, class: &str| {
        let mut gateway = gateway(name, &json!({}));
        gateway["spec"]["gatewayClassName"] = json!(class);
        gateway
    };
    let snapshot = snapshot(vec![
        of_class("mine", "mine"),
        of_class("gone", "gone"),
        of_class("others", "others"),
        class("mine", "fairway.dev/controller"),
        class("others", "example.com/another"),
    ]);
    let left = left(&snapshot, &fairway_translate::Settings::for_files());
    assert_eq!(left, BTreeSet::from(["uid-2".to_owned()]));
}
