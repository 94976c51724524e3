//! Which address each Gateway gets, and what is said about it and about the pools.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::GatewayId;

use super::gateway::{GatewayView, wish};
use crate::address::{self, Allocation, Claimant, Claiming, Claims, Held, Pools, Register};
use crate::object::ObjectKey;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{Conditions, ObjectVerdicts, Reason};

/// Who gets which address, and what is said about the pools.
pub(super) struct Given {
    pub(super) addresses: BTreeMap<GatewayId, Allocation>,
    /// What has to be claimed; nothing where claims are not made.
    pub(super) claims: BTreeMap<IpAddr, Claimant>,
    pub(super) verdicts: Vec<(ObjectKey, Arc<ObjectVerdicts>)>,
}

/// Gives these Gateways their addresses.
pub(super) fn give(
    views: &[&GatewayView<'_>],
    snapshot: &Snapshot,
    settings: &Settings,
    held: &Held,
    claims: &Claims,
) -> Given {
    let pools = Pools::read(snapshot, settings);
    let wishes: Vec<_> = views.iter().map(|view| wish(view, settings, &pools, snapshot)).collect();
    let claiming = settings.claims != Claiming::Off;
    let shown = if claiming { address::shown(snapshot) } else { Held::new() };
    let register = Register { pools: &pools, claims, held, shown: &shown };
    let mut addresses = address::allocate(&wishes, &register);
    let mut claimants = BTreeMap::new();
    if claiming {
        for wish in &wishes {
            let given = addresses.get(&wish.gateway).into_iter().flat_map(|a| &a.addresses);
            claimants.extend(given.map(|address| {
                let pool = pools.name_of(*address);
                (*address, Claimant { owner: wish.key.clone(), pool })
            }));
        }
        address::keep_claimed(&mut addresses, claims, &shown);
    }
    if let Claiming::Impossible(why) = &settings.claims {
        for allocation in addresses.values_mut().filter(|a| !a.wanted.is_empty()) {
            allocation.lack = Some(format!("it cannot be claimed: {why}"));
        }
        claimants.clear();
    }
    let assigned = address::assigned(&addresses, claims);
    let verdicts = pools.verdicts(&assigned).map(|(key, said)| (key, Arc::new(said))).collect();
    Given { addresses, claims: claimants, verdicts }
}

/// Says whether a Gateway has the addresses that it asks for.
pub(super) fn programmed(allocation: &Allocation, said: &mut Conditions) {
    if !allocation.unusable.is_empty() {
        let list: Vec<String> =
            allocation.unusable.iter().map(|(address, why)| format!("{address}: {why}")).collect();
        said.say(Reason::AddressNotUsable, format!("addresses: {}", list.join("; ")));
    } else if let Some(why) = &allocation.lack {
        said.say(Reason::AddressNotAssigned, why.as_str());
    } else if allocation.addresses.is_empty() {
        said.say(Reason::AddressNotAssigned, "its address is not claimed yet");
    } else {
        said.say(Reason::Programmed, "");
    }
}
