//! Tests of what is due about claims.

use fairway_api::kind::decode;
use fairway_translate::address::Claiming;
use fairway_translate::{Held, Settings, translate};
use serde_json::{Value, json};

use super::*;

const OURS: &str = "fairway.dev/controller";

fn gateway(name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"namespace": "shop", "name": name, "uid": uid},
        "spec": {
            "gatewayClassName": "fairway",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    })
}

fn claim(address: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "fairway.dev/v1alpha1", "kind": "AddressClaim",
        "metadata": {
            "name": address, "uid": format!("claim-{uid}"), "annotations": {CONTROLLER: OURS},
        },
        "spec": {"address": address, "owner": {
            "group": "gateway.networking.k8s.io", "kind": "Gateway",
            "namespace": "shop", "name": name, "uid": uid,
        }},
    })
}

fn service(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": "shop", "name": name,
            "labels": {MANAGED_BY: "fairway", FLEET: name},
            "ownerReferences": [{"uid": "1", "controller": true}],
        },
        "spec": {"ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    })
}

/// Gives what is due, a word each.
fn steps(objects: &[Value]) -> Vec<String> {
    let pool = json!({
        "apiVersion": "fairway.dev/v1alpha1", "kind": "AddressPool",
        "metadata": {"name": "pool"}, "spec": {"ranges": ["10.9.0.0/29"]},
    });
    let objects = objects.iter().cloned().chain([pool]);
    let snapshot = Snapshot::new(objects.map(|object| decode(object).expect("an object")));
    let settings = Settings { claims: Claiming::On, ..Settings::for_files() };
    let plan = translate(&snapshot, &settings, &Held::new(), None);
    let shown = |step: &Step| match step {
        Step::Claim(spec) => format!("claim {} for {}", spec.address, spec.owner.uid),
        Step::Withdraw(left) => format!("withdraw {}", left.service),
        Step::Release { uid, left, gone, inherited } => {
            let how = match (gone, inherited) {
                (true, true) => "to its successor",
                (true, false) => "of one gone",
                (false, _) => "unwanted",
            };
            format!("release {} {uid} {how}", left.address)
        }
    };
    due(&snapshot, &plan, OURS).iter().map(shown).collect()
}

#[test]
fn what_is_wanted_is_claimed_once() {
    assert_eq!(steps(&[gateway("web", "1")]), ["claim 10.9.0.1 for 1"]);
    assert!(steps(&[gateway("web", "1"), claim("10.9.0.4", "web", "1")]).is_empty());
    let mut ending = gateway("web", "1");
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(steps(&[ending]).is_empty());
}

#[test]
fn a_claim_is_given_up_when_nothing_carries_the_address() {
    let gone = claim("10.9.0.1", "gone", "1");
    let carried = [gone.clone(), service("fairway-gone", "10.9.0.1"), gateway("web", "2")];
    assert_eq!(steps(&carried), ["withdraw fairway-gone", "claim 10.9.0.2 for 2"]);
    // By whomever: one that the owner's Gateway left, say.
    let carried = [gone.clone(), service("kept", "10.9.0.1"), gateway("web", "2")];
    assert_eq!(steps(&carried), ["claim 10.9.0.2 for 2"]);
    let free = [gone, service("fairway-gone", "10.9.0.9")];
    assert_eq!(steps(&free), ["release 10.9.0.1 claim-1 of one gone"]);
}

#[test]
fn an_address_from_before_there_were_claims_waits_for_its_service() {
    assert!(steps(&[service("fairway-gone", "10.9.0.1"), gateway("web", "2")]).is_empty());
    let own = [service("fairway-web", "10.9.0.1"), gateway("web", "2")];
    assert_eq!(steps(&own), ["claim 10.9.0.1 for 2"]);
}

#[test]
fn what_a_gateway_wants_no_more_goes_once_it_has_moved() {
    let mut moved = gateway("web", "1");
    moved["spec"]["addresses"] = json!([{"value": "10.9.0.3"}]);
    let old = claim("10.9.0.1", "web", "1");
    // The old one serves until the new one is claimed.
    assert_eq!(steps(&[moved.clone(), old.clone()]), ["claim 10.9.0.3 for 1"]);
    let new = claim("10.9.0.3", "web", "1");
    let carried = [moved.clone(), old.clone(), new.clone(), service("fairway-web", "10.9.0.1")];
    assert!(steps(&carried).is_empty());
    let free = [moved, old, new, service("fairway-web", "10.9.0.3")];
    assert_eq!(steps(&free), ["release 10.9.0.1 claim-1 unwanted"]);
}

#[test]
fn one_of_the_same_name_inherits() {
    let (old, new) = (claim("10.9.0.1", "web", "1"), gateway("web", "2"));
    let mut service = service("fairway-web", "10.9.0.1");
    let release = "release 10.9.0.1 claim-1 to its successor";
    let all = [old.clone(), new.clone(), service.clone()];
    assert_eq!(steps(&all), ["withdraw fairway-web", release]);
    // One that was to stay is taken over as it is.
    service["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(steps(&[old, new, service]), [release]);
}

#[test]
fn what_others_have_made_stays() {
    let mut by_hand = claim("10.9.0.1", "gone", "1");
    by_hand["metadata"]["annotations"] = json!({});
    assert!(steps(&[by_hand]).is_empty());
}
