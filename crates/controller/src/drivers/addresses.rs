//! Addresses of Gateways over a restart of the controller: what their statuses show they keep.

use fairway_model::GatewayId;
use fairway_translate::object::slug;
use fairway_translate::{Held, Kind, Name, Snapshot};

/// Reads the addresses that Gateways have already.
#[must_use]
pub fn held(snapshot: &Snapshot) -> Held {
    let mut held = Held::new();
    let mut hold =
        |kind: Kind, name: &Name, addresses: &[fairway_api::status::GatewayStatusAddress]| {
            let found: Vec<_> = addresses.iter().filter_map(|a| a.value.parse().ok()).collect();
            if !found.is_empty() {
                let id = format!("{}/{}/{}", slug(kind), name.namespace, name.name);
                held.insert(GatewayId::new(id), found);
            }
        };
    for (name, gateway) in snapshot.gateways.iter() {
        let status = gateway.status.iter().flat_map(|status| &status.addresses);
        hold(Kind::Gateway, name, &status.cloned().collect::<Vec<_>>());
    }
    for (name, gateway) in snapshot.fairway_gateways.iter() {
        let status = gateway.status.iter().flat_map(|status| &status.addresses);
        hold(Kind::FairwayGateway, name, &status.cloned().collect::<Vec<_>>());
    }
    held
}
