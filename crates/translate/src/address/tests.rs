//! Tests of allocation.

use super::*;
use crate::settings::Settings;

fn wish(name: &str, fixed: &[&str]) -> Wish {
    let fixed: Vec<IpAddr> = fixed.iter().map(|a| a.parse().expect("an address")).collect();
    Wish {
        gateway: GatewayId::new(name),
        key: ObjectKey { kind: Kind::Gateway, name: Name::new("shop", name) },
        any: fixed.is_empty(),
        bound: false,
        fixed,
        pools: vec![0],
    }
}

fn given(wishes: &[Wish], held: &Held, open: bool) -> BTreeMap<GatewayId, Allocation> {
    let ranges = vec!["127.64.0.0/30".parse().expect("a range")];
    let settings = Settings { pool: Pool { ranges, open }, ..Settings::for_files() };
    let pools = Pools::read(&Snapshot::default(), &settings);
    let claims = Claims::default();
    allocate(wishes, &Register { pools: &pools, claims: &claims, held, shown: &Held::new() })
}

fn shown(given: &BTreeMap<GatewayId, Allocation>, name: &str) -> String {
    let allocation = &given[name];
    let unusable: Vec<_> = allocation.unusable.iter().map(|(address, _)| address).collect();
    format!("{:?} {unusable:?} {}", allocation.addresses, allocation.lack.is_some())
}

#[test]
fn held_addresses_stay_and_fixed_ones_come_first() {
    let held = Held::from([(GatewayId::new("b"), vec!["127.64.0.1".parse().expect("one")])]);
    let given = given(&[wish("a", &[]), wish("b", &[]), wish("c", &[])], &held, true);
    assert_eq!(shown(&given, "a"), "[127.64.0.2] [] false");
    assert_eq!(shown(&given, "b"), "[127.64.0.1] [] false");
    assert_eq!(shown(&given, "c"), "[] [] true");
}

#[test]
fn an_address_is_given_once_and_a_closed_pool_holds_all() {
    let wishes = [wish("a", &["10.0.0.1"]), wish("b", &["10.0.0.1"])];
    let open = given(&wishes, &Held::new(), true);
    assert_eq!(shown(&open, "a"), "[10.0.0.1] [] false");
    assert_eq!(shown(&open, "b"), "[] [10.0.0.1] false");
    let closed = given(&wishes, &Held::new(), false);
    assert_eq!(shown(&closed, "a"), "[] [10.0.0.1] false");
}
