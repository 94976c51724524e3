//! Rules as text for `nft`: only what differs from what is in the kernel, as one transaction.
//!
//! Everything in the text is an address, a port or a name made here; nothing a user wrote gets in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::rules::{Backends, Endpoint, Frontend, Protocol, Rules};

const TABLE: &str = "ip fairway-lab";

/// The table with its hooks and without any Service. The filters stand before address translation,
/// so that they see the Service's address.
pub(super) fn base() -> String {
    format!(
        "add table {TABLE}
delete table {TABLE}
add table {TABLE}
add map {TABLE} services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
add set {TABLE} refused {{ type ipv4_addr . inet_proto . inet_service; }}
add set {TABLE} hairpin {{ type ipv4_addr . ipv4_addr; }}
add chain {TABLE} refuse
add rule {TABLE} refuse meta l4proto tcp reject with tcp reset
add rule {TABLE} refuse reject with icmp type port-unreachable
add chain {TABLE} filter-in {{ type filter hook prerouting priority -110; }}
add rule {TABLE} filter-in ct state new ip daddr . meta l4proto . th dport @refused goto refuse
add chain {TABLE} filter-out {{ type filter hook output priority -110; }}
add rule {TABLE} filter-out ct state new ip daddr . meta l4proto . th dport @refused goto refuse
add chain {TABLE} translate-in {{ type nat hook prerouting priority -100; }}
add rule {TABLE} translate-in ip daddr . meta l4proto . th dport vmap @services
add chain {TABLE} translate-out {{ type nat hook output priority -100; }}
add rule {TABLE} translate-out ip daddr . meta l4proto . th dport vmap @services
add chain {TABLE} source {{ type nat hook postrouting priority 100; }}
add rule {TABLE} source ct status dnat ip saddr . ip daddr @hairpin masquerade
"
    )
}

/// Back to [`base`], for when the kernel's table and ours have come apart.
pub(super) fn empty() -> String {
    base()
}

/// What is in the kernel.
#[derive(Debug, Default)]
pub(super) struct Table {
    rules: Rules,
    chains: BTreeMap<(Protocol, Backends), u64>,
    next: u64,
}

impl Table {
    /// The transaction that leads from the present rules to these, if they differ.
    pub(super) fn change_to(&mut self, wanted: Rules) -> Option<String> {
        if wanted == self.rules {
            return None;
        }
        let mut text = String::new();
        let before = std::mem::take(&mut self.rules);
        for (front, backends) in &before {
            if wanted.get(front) != Some(backends) {
                remove(&mut text, *front, backends);
            }
        }
        for (front, backends) in &wanted {
            if before.get(front) != Some(backends) {
                self.add(&mut text, *front, backends);
            }
        }
        self.drop_unused_chains(&mut text, &wanted);
        hairpin(&mut text, &before, &wanted);
        self.rules = wanted;
        Some(text)
    }

    /// UDP endpoints that no Service leads to any more: their flows would go on into the void.
    pub(super) fn lost_udp_endpoints(&self, wanted: &Rules) -> BTreeSet<Endpoint> {
        let kept = udp_endpoints(wanted);
        udp_endpoints(&self.rules).into_iter().filter(|endpoint| !kept.contains(endpoint)).collect()
    }

    fn add(&mut self, text: &mut String, front: Frontend, backends: &Backends) {
        if backends.endpoints.is_empty() {
            line(text, format_args!("add element {TABLE} refused {{ {} }}", key(front)));
            return;
        }
        let place = (front.protocol, backends.clone());
        let chain = match self.chains.get(&place) {
            Some(&chain) => chain,
            None => {
                self.next += 1;
                line(text, format_args!("add chain {TABLE} to-{}", self.next));
                line(
                    text,
                    format_args!(
                        "add rule {TABLE} to-{} {}",
                        self.next,
                        translation(front.protocol, backends)
                    ),
                );
                self.chains.insert(place, self.next);
                self.next
            }
        };
        line(
            text,
            format_args!("add element {TABLE} services {{ {} : goto to-{chain} }}", key(front)),
        );
    }

    fn drop_unused_chains(&mut self, text: &mut String, wanted: &Rules) {
        let used: BTreeSet<(Protocol, &Backends)> =
            wanted.iter().map(|(front, backends)| (front.protocol, backends)).collect();
        self.chains.retain(|(protocol, backends), chain| {
            let keep = used.contains(&(*protocol, backends));
            if !keep {
                line(text, format_args!("flush chain {TABLE} to-{chain}"));
                line(text, format_args!("delete chain {TABLE} to-{chain}"));
            }
            keep
        });
    }
}

fn remove(text: &mut String, front: Frontend, backends: &Backends) {
    let place = if backends.endpoints.is_empty() { "refused" } else { "services" };
    line(text, format_args!("delete element {TABLE} {place} {{ {} }}", key(front)));
}

/// A pod that reaches itself through a Service must see another address than its own as the peer.
fn hairpin(text: &mut String, before: &Rules, wanted: &Rules) {
    let (before, wanted) = (pods(before), pods(wanted));
    for pod in before.difference(&wanted) {
        line(text, format_args!("delete element {TABLE} hairpin {{ {pod} . {pod} }}"));
    }
    for pod in wanted.difference(&before) {
        line(text, format_args!("add element {TABLE} hairpin {{ {pod} . {pod} }}"));
    }
}

fn pods(rules: &Rules) -> BTreeSet<std::net::Ipv4Addr> {
    rules
        .values()
        .flat_map(|backends| &backends.endpoints)
        .map(|endpoint| endpoint.address)
        .collect()
}

fn udp_endpoints(rules: &Rules) -> BTreeSet<Endpoint> {
    let udp = rules.iter().filter(|(front, _)| front.protocol == Protocol::Udp);
    udp.flat_map(|(_, backends)| backends.endpoints.iter().copied()).collect()
}

fn key(front: Frontend) -> String {
    format!("{} . {} . {}", front.address, front.protocol, front.port)
}

fn translation(protocol: Protocol, backends: &Backends) -> String {
    let count = backends.endpoints.len();
    if let [only] = backends.endpoints.as_slice() {
        return format!("meta l4proto {protocol} dnat ip to {}:{}", only.address, only.port);
    }
    let choice = if backends.sticky { "jhash ip saddr" } else { "numgen random" };
    let seed = if backends.sticky { " seed 0x1" } else { "" };
    let places: Vec<String> = backends
        .endpoints
        .iter()
        .enumerate()
        .map(|(place, endpoint)| format!("{place} : {} . {}", endpoint.address, endpoint.port))
        .collect();
    format!(
        "meta l4proto {protocol} dnat ip to {choice} mod {count}{seed} map {{ {} }}",
        places.join(", ")
    )
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("writing into a String never fails");
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn rules(backends: &[&[u8]]) -> Rules {
        let endpoint =
            |last: &u8| Endpoint { address: Ipv4Addr::new(10, 244, 0, *last), port: 3000 };
        let port = |place: usize| u16::try_from(place).expect("few") + 80;
        let front = |place| Frontend {
            address: Ipv4Addr::new(10, 96, 0, 1),
            protocol: Protocol::Tcp,
            port: port(place),
        };
        let backend = |list: &&[u8]| Backends {
            endpoints: list.iter().map(endpoint).collect(),
            sticky: false,
        };
        backends.iter().enumerate().map(|(place, list)| (front(place), backend(list))).collect()
    }

    #[test]
    fn the_same_rules_need_no_transaction() {
        let mut table = Table::default();
        assert!(table.change_to(rules(&[&[2, 3]])).is_some());
        assert_eq!(table.change_to(rules(&[&[2, 3]])), None);
    }

    #[test]
    fn only_what_differs_is_written() {
        let mut table = Table::default();
        table.change_to(rules(&[&[2], &[2], &[]]));
        let text = table.change_to(rules(&[&[2], &[2, 3], &[2]])).unwrap();
        assert_eq!(
            text,
            "delete element ip fairway-lab services { 10.96.0.1 . tcp . 81 }
delete element ip fairway-lab refused { 10.96.0.1 . tcp . 82 }
add chain ip fairway-lab to-2
add rule ip fairway-lab to-2 meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . 3000, 1 : 10.244.0.3 . 3000 }
add element ip fairway-lab services { 10.96.0.1 . tcp . 81 : goto to-2 }
add element ip fairway-lab services { 10.96.0.1 . tcp . 82 : goto to-1 }
add element ip fairway-lab hairpin { 10.244.0.3 . 10.244.0.3 }
"
        );
    }

    #[test]
    fn a_chain_goes_with_its_last_use() {
        let mut table = Table::default();
        table.change_to(rules(&[&[2]]));
        let text = table.change_to(Rules::new()).unwrap();
        assert!(text.contains("delete chain ip fairway-lab to-1"), "{text}");
        assert!(
            text.contains("delete element ip fairway-lab hairpin { 10.244.0.2 . 10.244.0.2 }"),
            "{text}"
        );
    }
}
