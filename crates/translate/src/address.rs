//! Who gets which address. Pure: what is held already comes in, what is wanted goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fairway_model::GatewayId;
use ipnet::IpNet;

/// Addresses that gateways have already (from AddressClaims, or from the last plan). They stay where
/// they are as long as the gateway does not ask for others.
pub type Held = BTreeMap<GatewayId, Vec<IpAddr>>;

/// What a gateway asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who asks.
    pub gateway: GatewayId,
    /// Addresses by value, in the order of the spec.
    pub fixed: Vec<IpAddr>,
    /// Whether one of the pool is wanted: nothing was asked for, or an address without a value.
    pub any: bool,
}

/// What a gateway gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Those that it asked for and another gateway has, or that no pool holds.
    pub unusable: Vec<IpAddr>,
    /// Those that it would get once they are claimed (see `Settings::claims`).
    pub wanted: Vec<IpAddr>,
    /// Whether the pool is used up.
    pub exhausted: bool,
}

/// Where addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Ranges to draw from, in order.
    pub ranges: Vec<IpNet>,
    /// Whether a gateway may ask for an address outside of the ranges.
    pub open: bool,
}

/// How far a pool is searched, so that a wide IPv6 range costs no more than a /16.
const SEARCH_LIMIT: usize = 1 << 16;

/// Gives each gateway its addresses: those asked for by value first (in the order of the wishes), then
/// those held, then the next free one of the pool.
#[must_use]
pub fn allocate(wishes: &[Wish], held: &Held, pool: &Pool) -> BTreeMap<GatewayId, Allocation> {
    let mut given: BTreeMap<GatewayId, Allocation> = BTreeMap::new();
    let mut taken: BTreeSet<IpAddr> = BTreeSet::new();
    for wish in wishes {
        let allocation = given.entry(wish.gateway.clone()).or_default();
        for &address in &wish.fixed {
            let allowed = pool.open || pool.ranges.iter().any(|range| range.contains(&address));
            if allowed && taken.insert(address) {
                allocation.addresses.push(address);
            } else {
                allocation.unusable.push(address);
            }
        }
    }
    for wish in wishes.iter().filter(|wish| wish.any) {
        let before = held.get(&wish.gateway).into_iter().flatten();
        let kept = before.copied().find(|address| {
            pool.ranges.iter().any(|range| range.contains(address)) && taken.insert(*address)
        });
        if let Some(address) = kept {
            given.entry(wish.gateway.clone()).or_default().addresses.push(address);
        }
    }
    for wish in wishes.iter().filter(|wish| wish.any) {
        let allocation = given.entry(wish.gateway.clone()).or_default();
        if allocation.addresses.len() > wish.fixed.len() - allocation.unusable.len() {
            continue;
        }
        match next_free(pool, &taken) {
            Some(address) => {
                taken.insert(address);
                allocation.addresses.push(address);
            }
            None => allocation.exhausted = true,
        }
    }
    given
}

fn next_free(pool: &Pool, taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let mut candidates = pool.ranges.iter().flat_map(IpNet::hosts).take(SEARCH_LIMIT);
    candidates.find(|address| !taken.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(name: &str, fixed: &[&str]) -> Wish {
        let fixed: Vec<IpAddr> = fixed.iter().map(|a| a.parse().expect("an address")).collect();
        Wish { gateway: GatewayId::new(name), any: fixed.is_empty(), fixed }
    }

    fn pool(open: bool) -> Pool {
        Pool { ranges: vec!["127.64.0.0/30".parse().expect("a range")], open }
    }

    fn shown(given: &BTreeMap<GatewayId, Allocation>, name: &str) -> String {
        let allocation = &given[name];
        format!("{:?} {:?} {}", allocation.addresses, allocation.unusable, allocation.exhausted)
    }

    #[test]
    fn held_addresses_stay_and_fixed_ones_come_first() {
        let held = Held::from([(GatewayId::new("b"), vec!["127.64.0.1".parse().expect("one")])]);
        let given = allocate(&[wish("a", &[]), wish("b", &[]), wish("c", &[])], &held, &pool(true));
        assert_eq!(shown(&given, "a"), "[127.64.0.2] [] false");
        assert_eq!(shown(&given, "b"), "[127.64.0.1] [] false");
        assert_eq!(shown(&given, "c"), "[] [] true");
    }

    #[test]
    fn an_address_is_given_once_and_a_closed_pool_holds_all() {
        let wishes = [wish("a", &["10.0.0.1"]), wish("b", &["10.0.0.1"])];
        let given = allocate(&wishes, &Held::new(), &pool(true));
        assert_eq!(shown(&given, "a"), "[10.0.0.1] [] false");
        assert_eq!(shown(&given, "b"), "[] [10.0.0.1] false");
        let given = allocate(&wishes, &Held::new(), &pool(false));
        assert_eq!(shown(&given, "a"), "[] [10.0.0.1] false");
    }
}
