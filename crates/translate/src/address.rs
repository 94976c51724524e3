//! Who gets which address. Pure: what is held already comes in, what is wanted goes out.
//!
//! In a cluster an address is served once it is claimed: creating its AddressClaim is the lock. What a Gateway's
//! status shows already goes on being served while its claim is missing, unless somebody else has claimed it.

pub mod claim;
mod pool;
mod range;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::status::GatewayStatusAddress;
use fairway_model::GatewayId;
use ipnet::IpNet;

pub(crate) use self::claim::Claims;
pub(crate) use self::pool::Pools;
pub use self::range::AddressRange;
use self::range::following;
use crate::object::{Kind, Name, ObjectKey, slug};
use crate::snapshot::Snapshot;

/// Addresses that gateways have already, without a claim: from the last plan, or shown in their statuses. They
/// stay where they are as long as the gateway does not ask for others.
pub type Held = BTreeMap<GatewayId, Vec<IpAddr>>;

/// What a gateway asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Who asks.
    pub(crate) gateway: GatewayId,
    /// Its object.
    pub(crate) key: ObjectKey,
    /// Addresses by value, in the order of the spec.
    pub(crate) fixed: Vec<IpAddr>,
    /// Whether one of a pool is wanted: nothing was asked for, or an address without a value.
    pub(crate) any: bool,
    /// Whether the addresses need not be in a pool (`--bind`).
    pub(crate) bound: bool,
    /// The pools that it may use (their places in [`Pools`]).
    pub(crate) pools: Vec<usize>,
}

/// What a gateway gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Those that it asked for and cannot have, and why.
    pub(crate) unusable: Vec<(IpAddr, String)>,
    /// Those that it gets once they are claimed.
    pub(crate) wanted: Vec<IpAddr>,
    /// Why there is none for it.
    pub(crate) lack: Option<String>,
}

/// Where addresses come from when there is no AddressPool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Networks to draw from, in order.
    pub ranges: Vec<IpNet>,
    /// Whether a gateway may ask for an address outside of all pools.
    pub open: bool,
}

/// Whether addresses are claimed before they are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claiming {
    /// They are served at once: there is nobody else.
    Off,
    /// They are.
    On,
    /// They should be, and cannot; says why. New ones are not served.
    Impossible(Arc<str>),
}

/// An address that has to be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// For whom.
    pub owner: ObjectKey,
    /// The AddressPool that it is of, if it is of one.
    pub pool: Option<Arc<str>>,
}

/// Gives the addresses that Gateways' statuses show.
pub(crate) fn shown(snapshot: &Snapshot) -> Held {
    let mut held = Held::new();
    let mut hold = |kind: Kind, name: &Name, addresses: &[GatewayStatusAddress]| {
        let found: Vec<_> = addresses.iter().filter_map(|a| a.value.parse().ok()).collect();
        if !found.is_empty() {
            let id = format!("{}/{}/{}", slug(kind), name.namespace, name.name);
            held.insert(GatewayId::new(id), found);
        }
    };
    for (name, gateway) in snapshot.gateways.iter() {
        if let Some(status) = &gateway.status {
            hold(Kind::Gateway, name, &status.addresses);
        }
    }
    for (name, gateway) in snapshot.fairway_gateways.iter() {
        if let Some(status) = &gateway.status {
            hold(Kind::FairwayGateway, name, &status.addresses);
        }
    }
    held
}

/// What allocation goes by.
pub(crate) struct Register<'a> {
    pub(crate) pools: &'a Pools,
    pub(crate) claims: &'a Claims,
    pub(crate) held: &'a Held,
    /// What statuses show; where claims are made.
    pub(crate) shown: &'a Held,
}

/// Gives each gateway its addresses: those asked for by value first (in the order of the wishes), then those
/// that are claimed for it or that it has already, then the next free one of its pools.
pub(crate) fn allocate(
    wishes: &[Wish],
    register: &Register<'_>,
) -> BTreeMap<GatewayId, Allocation> {
    let mut given: BTreeMap<GatewayId, Allocation> = BTreeMap::new();
    let mut taken: BTreeMap<IpAddr, &ObjectKey> = BTreeMap::new();
    for wish in wishes {
        let allocation = given.entry(wish.gateway.clone()).or_default();
        for &address in &wish.fixed {
            let trouble = match taken.get(&address) {
                Some(other) => Some(format!("{other} has it")),
                None => register.against(wish, address),
            };
            if let Some(why) = trouble {
                allocation.unusable.push((address, why));
            } else {
                taken.insert(address, &wish.key);
                allocation.addresses.push(address);
            }
        }
    }
    let claimed = register.claims.by_gateway();
    let mut waiting = Vec::new();
    for wish in wishes.iter().filter(|wish| wish.any) {
        let claimed = claimed.get(&wish.gateway).into_iter().flatten();
        let claimed = claimed.filter(|(a, owned)| *owned || register.may_draw(wish, *a));
        let before = [register.held, register.shown];
        let before = before.iter().filter_map(|held| held.get(&wish.gateway)).flatten();
        let before = before.filter(|a| {
            register.may_draw(wish, **a) && register.claims.against(&wish.gateway, **a).is_none()
        });
        let mut known = claimed.map(|(address, _)| *address).chain(before.copied());
        match known.find(|address| !taken.contains_key(address)) {
            Some(address) => {
                taken.insert(address, &wish.key);
                given.entry(wish.gateway.clone()).or_default().addresses.push(address);
            }
            None => waiting.push(wish),
        }
    }
    let mut draw = Draw::new(register.pools);
    for wish in waiting {
        let is_free = |a: IpAddr| !taken.contains_key(&a) && !register.claims.contains(a);
        let found = draw.next(&wish.pools, is_free);
        let allocation = given.entry(wish.gateway.clone()).or_default();
        if let Some(address) = found {
            taken.insert(address, &wish.key);
            allocation.addresses.push(address);
        } else {
            allocation.lack = Some(register.lack(wish));
        }
    }
    given
}

impl Register<'_> {
    /// Says why a gateway cannot have an address that it asks for, if it cannot.
    fn against(&self, wish: &Wish, address: IpAddr) -> Option<String> {
        if let Some(holder) = self.claims.against(&wish.gateway, address) {
            return Some(format!("it is claimed for {holder}"));
        }
        // What it has it keeps, also when the pool is gone.
        if wish.bound || self.pools.open || self.claims.is_of(&wish.gateway, address) {
            return None;
        }
        let Some(at) = self.pools.find(address) else {
            return Some("it is in no pool".to_owned());
        };
        let refused = !wish.pools.contains(&at);
        refused.then(|| self.keeps_out(&[at], &wish.key.name.namespace))
    }

    fn may_draw(&self, wish: &Wish, address: IpAddr) -> bool {
        wish.pools.iter().any(|at| self.pools.all[*at].contains(address))
    }

    fn lack(&self, wish: &Wish) -> String {
        let namespace = &wish.key.name.namespace;
        if self.pools.all.is_empty() {
            return "there is no AddressPool: create one".to_owned();
        }
        if wish.pools.is_empty() {
            let all: Vec<usize> = (0..self.pools.all.len()).collect();
            return self.keeps_out(&all, namespace);
        }
        let drawn =
            wish.pools.iter().map(|at| &self.pools.all[*at]).filter(|pool| pool.auto_assign);
        let drawn: Vec<String> = drawn.map(pool::Pool::shown).collect();
        if drawn.is_empty() {
            return format!(
                "{} gives addresses only to those who ask for one (autoAssign: false)",
                self.names(&wish.pools)
            );
        }
        format!("no address is left in {}", drawn.join(", "))
    }

    fn keeps_out(&self, pools: &[usize], namespace: &str) -> String {
        let names = self.names(pools);
        format!(
            "{names} does not let namespace {namespace} in: see namespaces and namespaceSelector there"
        )
    }

    fn names(&self, pools: &[usize]) -> String {
        pools.iter().map(|at| self.pools.all[*at].shown()).collect::<Vec<_>>().join(", ")
    }
}

/// Draws addresses from pools. What was found taken once is not looked at again.
struct Draw<'a> {
    pools: &'a Pools,
    /// For each range of each pool the next address to look at.
    next: Vec<Vec<Option<IpAddr>>>,
}

impl<'a> Draw<'a> {
    fn new(pools: &'a Pools) -> Self {
        let firsts = |pool: &pool::Pool| pool.ranges.iter().map(|r| Some(r.first())).collect();
        Self { pools, next: pools.all.iter().map(firsts).collect() }
    }

    fn next(&mut self, from: &[usize], is_free: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        for &at in from.iter().filter(|at| self.pools.all[**at].auto_assign) {
            for (range, next) in self.pools.all[at].ranges.iter().zip(&mut self.next[at]) {
                while let Some(address) = next.filter(|address| range.contains(*address)) {
                    *next = following(address);
                    if is_free(address) {
                        return Some(address);
                    }
                }
            }
        }
        None
    }
}

/// Leaves in `addresses` what may be served: what is claimed, and what is shown already and claimed by nobody. A
/// gateway that waits for all of its addresses goes on with those that it still holds.
pub(crate) fn keep_claimed(
    given: &mut BTreeMap<GatewayId, Allocation>,
    claims: &Claims,
    shown: &Held,
) {
    let claimed = claims.by_gateway();
    for (gateway, allocation) in given {
        let is_shown = |a: &IpAddr| shown.get(gateway).is_some_and(|known| known.contains(a));
        let (kept, wanted) = allocation.addresses.drain(..).partition(|address| {
            claims.is_of(gateway, *address) || (is_shown(address) && !claims.contains(*address))
        });
        allocation.addresses = kept;
        allocation.wanted = wanted;
        if allocation.addresses.is_empty() && !allocation.wanted.is_empty() {
            let owned = claimed.get(gateway).into_iter().flatten().filter(|(_, owned)| *owned);
            allocation.addresses = owned.map(|(address, _)| *address).collect();
        }
    }
}

/// Gives all addresses that are somebody's, claimed or not.
pub(crate) fn assigned(
    given: &BTreeMap<GatewayId, Allocation>,
    claims: &Claims,
) -> BTreeSet<IpAddr> {
    let given = given.values().flat_map(|a| a.addresses.iter().chain(&a.wanted).copied());
    given.chain(claims.addresses()).collect()
}

#[cfg(test)]
mod tests;
