//! One view of Gateway API's Gateway and ours: whatever is judged after this is judged the same.

use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::gateway::{AllowedListeners, Gateway, GatewayAddress, GatewayTls, Listener};
use fairway_model::GatewayId;

use super::class::Classes;
use super::{ParentKey, ParentKind};
use crate::address::{Pools, Wish};
use crate::object::{Kind, Name, ObjectKey, slug};
use crate::profile::{gateway_fault, unserved};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{ObjectVerdicts, Reason};

/// A Gateway of either group.
pub(crate) struct GatewayView<'a> {
    pub(crate) key: ParentKey,
    pub(crate) id: GatewayId,
    pub(crate) generation: i64,
    pub(crate) listeners: &'a [Listener],
    pub(crate) addresses: &'a [GatewayAddress],
    pub(crate) tls: Option<&'a GatewayTls>,
    pub(crate) allowed_listeners: Option<&'a AllowedListeners>,
    pub(crate) ingress_classes: &'a [String],
    /// What keeps the whole Gateway from being served.
    pub(crate) refused: Option<(Reason, String)>,
    /// Whether it is served all the same: it was before, and what is wrong with it now concerns its proxies alone,
    /// which stay as they are. A GatewayProfile that somebody deletes takes nobody's traffic away.
    pub(crate) stands: bool,
}

impl GatewayView<'_> {
    /// Whether it is in the model.
    pub(crate) const fn is_served(&self) -> bool {
        self.refused.is_none() || self.stands
    }
}

/// Says of Gateways whose class does not exist that it does not, where nobody else would.
pub(crate) fn classless(
    snapshot: &Snapshot,
    settings: &Settings,
    classes: &Classes,
) -> Vec<(ObjectKey, ObjectVerdicts)> {
    if !settings.alone {
        return Vec::new();
    }
    let unknown = snapshot.gateways.iter().filter(|(_, gateway)| {
        let class = gateway.spec.gateway_class_name.as_str();
        classes.find(class).is_none()
            && !snapshot.gateway_classes.contains_key(&Name::new("", class))
    });
    let one = |(name, gateway): (&Name, &Arc<Gateway>)| {
        let mut said =
            ObjectVerdicts { generation: gateway.metadata.generation, ..ObjectVerdicts::default() };
        let class = &gateway.spec.gateway_class_name;
        let names: Vec<&str> = settings.default_classes.iter().map(|name| &**name).collect();
        let message = format!(
            "gatewayClassName: there is no GatewayClass {class}: create it, or use {}",
            names.join(" or ")
        );
        said.conditions.say(Reason::UnknownClass, message.as_str());
        said.conditions.say(Reason::ProgrammedInvalid, message);
        (ObjectKey { kind: Kind::Gateway, name: name.clone() }, said)
    };
    unknown.map(one).collect()
}

/// Gives the Gateways that are ours, in order.
pub(crate) fn gateways<'a>(
    snapshot: &'a Snapshot,
    settings: &Settings,
    classes: &Classes,
    was_served: impl Fn(&GatewayId) -> bool,
) -> Vec<GatewayView<'a>> {
    let mut views = Vec::new();
    for (name, gateway) in &*snapshot.gateways {
        let class = classes.find(&gateway.spec.gateway_class_name);
        let Some(class) = class else { continue };
        let spec = &gateway.spec;
        let mut view = GatewayView {
            id: id(Kind::Gateway, name),
            key: ParentKey { kind: ParentKind::Gateway, name: name.clone() },
            generation: gateway.metadata.generation,
            listeners: &spec.listeners,
            addresses: &spec.addresses,
            tls: spec.tls.as_ref(),
            allowed_listeners: spec.allowed_listeners.as_ref(),
            ingress_classes: &[],
            refused: None,
            stands: false,
        };
        let parameters = class.refused.clone();
        let parameters = parameters
            .or_else(|| gateway_fault(spec.infrastructure.as_ref(), name, snapshot))
            .map(|why| (Reason::InvalidParameters, why));
        view.stands = parameters.is_some() && was_served(&view.id);
        view.refused = parameters.or_else(|| unsupported_address(&view, settings));
        views.push(view);
    }
    for (name, gateway) in &*snapshot.fairway_gateways {
        let spec = &gateway.spec;
        let mut view = GatewayView {
            id: id(Kind::FairwayGateway, name),
            key: ParentKey { kind: ParentKind::FairwayGateway, name: name.clone() },
            generation: gateway.metadata.generation,
            listeners: &spec.listeners,
            addresses: &spec.addresses,
            tls: spec.tls.as_ref(),
            allowed_listeners: spec.allowed_listeners.as_ref(),
            ingress_classes: &spec.ingress_classes,
            refused: None,
            stands: false,
        };
        let parameters = unserved(spec.proxy.as_ref(), spec.load_balancer.as_ref())
            .map(|why| (Reason::InvalidParameters, why));
        view.stands = parameters.is_some() && was_served(&view.id);
        view.refused = parameters.or_else(|| unsupported_address(&view, settings));
        views.push(view);
    }
    views
}

fn id(kind: Kind, name: &Name) -> GatewayId {
    GatewayId::new(format!("{}/{}/{}", slug(kind), name.namespace, name.name))
}

const IP_ADDRESS: &str = "IPAddress";

fn unsupported_address(view: &GatewayView<'_>, settings: &Settings) -> Option<(Reason, String)> {
    if settings.binds.contains_key(&view.key.object()) {
        return None;
    }
    let odd = view.addresses.iter().find_map(|address| {
        let kind = address.kind.as_deref().unwrap_or(IP_ADDRESS);
        if kind != IP_ADDRESS {
            return Some(format!("addresses: type {kind} is not supported: use {IP_ADDRESS}"));
        }
        if let Some(scope) = address.routability.as_deref().filter(|scope| !scope.is_empty()) {
            return Some(format!("addresses: routability {scope} is not supported: leave it out"));
        }
        let value = value(address)?;
        let broken = value.parse::<IpAddr>().is_err();
        broken.then(|| format!("addresses: {value:?} is not an IP address"))
    });
    odd.map(|message| (Reason::UnsupportedAddress, message))
}

fn value(address: &GatewayAddress) -> Option<&str> {
    address.value.as_deref().filter(|value| !value.is_empty())
}

/// Reads which addresses a Gateway asks for.
pub(crate) fn wish(
    view: &GatewayView<'_>,
    settings: &Settings,
    pools: &Pools,
    snapshot: &Snapshot,
) -> Wish {
    let gateway = view.id.clone();
    let key = view.key.object();
    let pools = pools.of(&key.name.namespace, snapshot);
    if let Some(fixed) = settings.binds.get(&key) {
        return Wish { gateway, key, fixed: fixed.clone(), any: false, bound: true, pools };
    }
    let fixed = view.addresses.iter().filter_map(value).filter_map(|text| text.parse().ok());
    let any = view.addresses.is_empty() || view.addresses.iter().any(|a| value(a).is_none());
    Wish { gateway, key, fixed: fixed.collect(), any, bound: false, pools }
}
