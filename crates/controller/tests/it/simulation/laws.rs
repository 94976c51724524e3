//! What must hold after each single write.

use std::collections::BTreeMap;

use serde_json::Value;

use super::server::LEASES;
use super::store::{Place, Store};

pub(super) const SERVICES: &str = "/api/v1/services";
pub(super) const CLAIMS: &str = "/apis/fairway.dev/v1alpha1/addressclaims";
pub(super) const OURS: &str = "fairway.dev/controller";

/// A write that was tried.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) who: usize,
    pub(super) what: String,
    pub(super) place: Place,
    /// Whether it asked for what was there already, as is allowed.
    pub(super) idle: bool,
}

/// Gives the name of a pod: its processes come one after the other, each with a number of its own.
pub(super) fn identity(who: usize) -> String {
    format!("controller-{}", who % 2)
}

/// Says which laws a write broke.
pub(super) fn broken(store: &Store, write: &Write, before: Option<&Value>) -> Vec<String> {
    let mut found = Vec::new();
    let holder = store.objects.iter().find(|(place, _)| place.list == LEASES);
    let holder = holder.and_then(|(_, lease)| lease["spec"]["holderIdentity"].as_str());
    if holder != Some(identity(write.who).as_str()) {
        found.push(format!("{} writes while {holder:?} leads: {}", write.who, write.what));
    }
    let live = store.objects.get(&write.place);
    let (was, is) = (before.map(others), live.map(others));
    if live.is_some() && was.clone().unwrap_or_default() != is.clone().unwrap_or_default() {
        found.push(format!("{}: another controller's {was:?} became {is:?}", write.what));
    }
    found.extend(addresses(store, write, before));
    found
}

/// Gives the entries of other controllers in a status.
fn others(object: &Value) -> Vec<Value> {
    let parents = object.pointer("/status/parents").and_then(Value::as_array);
    let parents = parents.into_iter().flatten();
    parents.filter(|parent| parent["controllerName"] != OURS).cloned().collect()
}

fn carried(service: &Value) -> impl Iterator<Item = &str> {
    let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    ingress.into_iter().flatten().filter_map(|one| one["ip"].as_str())
}

/// An address is of one Service at a time, and whoever begins to carry it has claimed it.
fn addresses(store: &Store, write: &Write, before: Option<&Value>) -> Vec<String> {
    let mut found = Vec::new();
    let mut carriers: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for (place, service) in store.objects.iter().filter(|(place, _)| place.list == SERVICES) {
        for address in carried(service) {
            carriers.entry(address).or_default().push(place);
        }
    }
    for (address, all) in &carriers {
        if all.len() > 1 {
            found.push(format!("{address} is carried by {all:?} after {}", write.what));
        }
    }
    if write.place.list != SERVICES {
        return found;
    }
    let before: Vec<&str> = before.into_iter().flat_map(carried).collect();
    let service = store.objects.get(&write.place);
    for address in service.into_iter().flat_map(carried).filter(|one| !before.contains(one)) {
        let owner = claimant(store, address).or_else(|| {
            // It was given up a moment ago, and its owner wants it again before that is heard of. Nobody else
            // has it meanwhile, and it is claimed anew as soon as it is heard.
            let mut events = store.events.iter().rev();
            let last = events
                .find(|event| event.list == CLAIMS && event.object["metadata"]["name"] == address);
            last.map(|event| owner(&event.object))
        });
        if owner.as_ref() != Some(&write.place.name) {
            let what = &write.what;
            found.push(format!("{address} is carried, and the claim is that of {owner:?}: {what}"));
        }
    }
    found
}

/// Gives the Service of a claim's owner.
fn owner(claim: &Value) -> String {
    let name = claim.pointer("/spec/owner/name").and_then(Value::as_str);
    format!("fairway-{}", name.unwrap_or_default())
}

fn claimant(store: &Store, address: &str) -> Option<String> {
    let name = address.to_owned();
    let place = Place { list: CLAIMS.to_owned(), namespace: String::new(), name };
    store.objects.get(&place).map(owner)
}

/// In the end each address that is carried is claimed by who carries it.
pub(super) fn unclaimed(store: &Store) -> Vec<String> {
    let services = store.objects.iter().filter(|(place, _)| place.list == SERVICES);
    let all = services.flat_map(|(place, service)| carried(service).map(move |one| (place, one)));
    let unclaimed = all.filter(|(place, one)| claimant(store, one).as_ref() != Some(&place.name));
    unclaimed.map(|(place, one)| format!("{one} of {place:?} is not claimed in the end")).collect()
}
