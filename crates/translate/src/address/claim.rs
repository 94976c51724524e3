//! Who holds which address by an AddressClaim.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::own::address::ClaimOwner;
use fairway_model::GatewayId;

use crate::object::{Kind, Name, ObjectKey, slug};
use crate::snapshot::Snapshot;

/// All claims, by address.
#[derive(Debug, Default)]
pub(crate) struct Claims(BTreeMap<IpAddr, Holder>);

#[derive(Debug)]
struct Holder {
    /// The Gateway that is called like the owner, if there is one.
    gateway: Option<GatewayId>,
    /// Whether it is the owner, and not a later one of that name.
    is_owner: bool,
    shown: Arc<str>,
}

impl Claims {
    pub(crate) fn read(snapshot: &Snapshot) -> Self {
        let all = snapshot.address_claims.values().filter_map(|claim| {
            let address: IpAddr = claim.spec.address.parse().ok()?;
            Some((address, Holder::of(&claim.spec.owner, snapshot)))
        });
        Self(all.collect())
    }

    /// Gives all claimed addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.keys().copied()
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains_key(&address)
    }

    /// Says whether a Gateway holds any address.
    pub(crate) fn are_of(&self, gateway: &GatewayId) -> bool {
        let mut all = self.0.values();
        all.any(|holder| holder.is_owner && holder.gateway.as_ref() == Some(gateway))
    }

    /// Says whether a Gateway holds an address.
    pub(super) fn is_of(&self, gateway: &GatewayId, address: IpAddr) -> bool {
        let holder = self.0.get(&address);
        holder.is_some_and(|holder| holder.is_owner && holder.gateway.as_ref() == Some(gateway))
    }

    /// Names the holder of an address that a Gateway cannot have because of it.
    pub(super) fn against(&self, gateway: &GatewayId, address: IpAddr) -> Option<&Arc<str>> {
        let holder = self.0.get(&address)?;
        (holder.gateway.as_ref() != Some(gateway)).then_some(&holder.shown)
    }

    /// Lists what a Gateway may keep: what it holds, then what one of its name held before it.
    pub(super) fn by_gateway(&self) -> BTreeMap<&GatewayId, Vec<(IpAddr, bool)>> {
        let mut all: BTreeMap<&GatewayId, Vec<(IpAddr, bool)>> = BTreeMap::new();
        for (address, holder) in &self.0 {
            if let Some(gateway) = &holder.gateway {
                all.entry(gateway).or_default().push((*address, holder.is_owner));
            }
        }
        for addresses in all.values_mut() {
            addresses.sort_by_key(|(_, is_owner)| !is_owner);
        }
        all
    }
}

impl Holder {
    fn of(owner: &ClaimOwner, snapshot: &Snapshot) -> Self {
        let Some(key) = gateway(owner) else {
            let shown = format!("{} {}/{}", owner.kind, owner.namespace, owner.name);
            return Self { gateway: None, is_owner: false, shown: shown.into() };
        };
        let metadata = snapshot.metadata(&key);
        let is_owner = metadata
            .is_some_and(|metadata| metadata.uid.as_ref().is_none_or(|uid| *uid == owner.uid));
        let shown = if is_owner { key.to_string() } else { format!("{key}, which is gone") };
        let gateway = metadata.map(|_| {
            GatewayId::new(format!("{}/{}/{}", slug(key.kind), key.name.namespace, key.name.name))
        });
        Self { gateway, is_owner, shown: shown.into() }
    }
}

/// Finds the Gateway that an owner is, or was.
#[must_use]
pub fn gateway(owner: &ClaimOwner) -> Option<ObjectKey> {
    let kind = Kind::in_group(&owner.group, &owner.kind)?;
    let name = Name::new(owner.namespace.as_str(), owner.name.as_str());
    matches!(kind, Kind::Gateway | Kind::FairwayGateway).then_some(ObjectKey { kind, name })
}
