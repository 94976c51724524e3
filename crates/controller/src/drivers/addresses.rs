//! The LoadBalancer Operator's book: which addresses have to be claimed, and which claims can be given up. Pure;
//! [`Claimer`] does it.
//!
//! A claim is given up when nothing carries its address any more: until then nobody else can have it.

mod work;

use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::core::Service;
use fairway_api::own::AddressClaim;
use fairway_api::own::address::{AddressClaimSpec, ClaimOwner, claim_name};
use fairway_translate::address::claim::gateway;
use fairway_translate::{Name, ObjectKey, Plan, Snapshot};

use super::fleet::{self, FLEET, MANAGED_BY};
pub use work::Claimer;

/// On a claim: the controller that has made it, which alone gives it up.
const CONTROLLER: &str = "fairway.dev/controller";

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Claim an address.
    Claim(AddressClaimSpec),
    /// Delete the Service of a Gateway that is gone: it still carries an address. In a while the garbage collector
    /// would do it.
    Withdraw(Left),
    /// Give up a claim.
    Release {
        /// Its uid: another one of the name is left alone.
        uid: String,
        /// The address, and who had it.
        left: Left,
        /// Whether the owner is gone; else it wants the address no more.
        gone: bool,
        /// Whether a Gateway of the owner's name follows it, which takes its Service over.
        inherited: bool,
    },
}

/// An address that its owner has no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The address.
    pub address: IpAddr,
    /// Whose it was.
    pub owner: ObjectKey,
    /// Its uid.
    pub owner_uid: String,
    /// The name of the owner's Service, in its namespace.
    pub service: String,
}

/// Lists what is to be done about claims. `controller` is our name.
#[must_use]
pub fn due(snapshot: &Snapshot, plan: &Plan, controller: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for claim in snapshot.address_claims.values() {
        if claim.metadata.annotations.get(CONTROLLER).is_some_and(|by| by == controller) {
            steps.extend(release(claim, snapshot, plan));
        }
    }
    for (address, claimant) in &plan.claims {
        let name = Name::new("", claim_name(*address));
        let key = &claimant.owner;
        let Some(metadata) = snapshot.metadata(key) else { continue };
        let Some(uid) = metadata.uid.clone() else { continue };
        let ends = metadata.deletion_timestamp.is_some();
        if ends || snapshot.address_claims.contains_key(&name) {
            continue;
        }
        // A Service from before there were claims.
        let own = Name::new(Arc::clone(&key.name.namespace), fleet::name(key));
        if carriers(snapshot, *address).any(|(name, service)| *name != own && is_fleet(service)) {
            continue;
        }
        steps.push(Step::Claim(AddressClaimSpec {
            address: address.to_string(),
            pool: claimant.pool.as_deref().map(str::to_owned),
            owner: ClaimOwner {
                group: key.kind.group().to_owned(),
                kind: key.kind.name().to_owned(),
                namespace: key.name.namespace.as_ref().to_owned(),
                name: key.name.name.as_ref().to_owned(),
                uid,
            },
        }));
    }
    steps
}

/// Says what is to be done about a claim of ours.
fn release(claim: &AddressClaim, snapshot: &Snapshot, plan: &Plan) -> Vec<Step> {
    let spec = &claim.spec;
    let (Ok(address), Some(owner)) = (spec.address.parse::<IpAddr>(), gateway(&spec.owner)) else {
        return Vec::new();
    };
    let metadata = snapshot.metadata(&owner);
    let lives =
        metadata.is_some_and(|metadata| metadata.uid.as_deref() == Some(spec.owner.uid.as_str()));
    let named = plan.claims.get(&address).is_some_and(|claimant| claimant.owner == owner);
    if lives && (named || is_served(plan, &owner, address)) {
        return Vec::new();
    }
    let inherited = !lives && named;
    let service = fleet::name(&owner);
    let own = Name::new(Arc::clone(&owner.name.namespace), service.as_str());
    let left = Left { address, owner_uid: spec.owner.uid.clone(), owner, service };
    let mut steps = Vec::new();
    let is_its = |service: &Service| {
        let mut owners = service.metadata.owner_references.iter();
        owners.any(|owner| owner.controller == Some(true) && owner.uid == left.owner_uid)
    };
    let mut carried = carriers(snapshot, address);
    if !lives && carried.any(|(name, service)| *name == own && is_its(service)) {
        steps.push(Step::Withdraw(left.clone()));
    }
    let mut carried = carriers(snapshot, address);
    if carried.all(|(name, _)| inherited && *name == own)
        && let Some(uid) = claim.metadata.uid.clone()
    {
        steps.push(Step::Release { uid, left, gone: !lives, inherited });
    }
    steps
}

fn is_served(plan: &Plan, owner: &ObjectKey, address: IpAddr) -> bool {
    let mut all = plan.model.gateways.values();
    all.any(|gateway| {
        *gateway.namespace == *owner.name.namespace
            && *gateway.name == *owner.name.name
            && gateway.addresses.contains(&address)
    })
}

/// Finds the Services whose status carries an address.
fn carriers(
    snapshot: &Snapshot,
    address: IpAddr,
) -> impl Iterator<Item = (&Name, &Arc<Service>)> + '_ {
    snapshot.services.iter().filter(move |(_, service)| carries(service, address))
}

/// Says whether a Service's status carries an address: whoever forwards leads its clients to the Service then.
pub(crate) fn carries(service: &Service, address: IpAddr) -> bool {
    let ingress = service.status.iter().flat_map(|status| &status.load_balancer.ingress);
    let mut addresses = ingress.filter_map(|ingress| ingress.ip.as_deref());
    addresses.any(|ip| ip.parse::<IpAddr>().is_ok_and(|ip| ip == address))
}

fn is_fleet(service: &Service) -> bool {
    let labels = &service.metadata.labels;
    labels.contains_key(FLEET) && labels.get(MANAGED_BY).is_some_and(|by| by == "fairway")
}

#[cfg(test)]
mod tests;
