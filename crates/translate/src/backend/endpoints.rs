//! Who stands behind a cluster: the endpoints of all EndpointSlices of its Service, both IP families.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use fairway_api::core::{Endpoint, EndpointSlice, Service};
use fairway_model::cluster::{self, BackendProtocol, EndpointState, Endpoints};

use crate::object::Name;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// Gives the endpoints of a cluster. Where the Service has no EndpointSlice at all, those count that
/// were given with `--backend`.
pub(crate) fn endpoints(
    cluster: &fairway_model::Cluster,
    snapshot: &Snapshot,
    settings: &Settings,
) -> Endpoints {
    let name = Name { namespace: cluster.namespace.clone(), name: cluster.service.clone() };
    let Some(slices) = snapshot.slices_of.get(&name) else {
        let given = settings.service_backends.get(&(name, cluster.port));
        let ready = |address: &SocketAddr| (*address, EndpointState::Ready);
        return listed(given.into_iter().flatten().map(ready).collect());
    };
    let service = snapshot.services.get(&name);
    let transport = if cluster.protocol == BackendProtocol::Udp { "UDP" } else { "TCP" };
    let port_name = service.map(|service| port_name(service, cluster.port, transport));
    let mut found = BTreeMap::new();
    for slice in slices {
        let Some(port) = target_port(slice, port_name.unwrap_or_default(), transport) else {
            continue;
        };
        for (address, state) in slice.endpoints.iter().filter_map(usable) {
            let address = SocketAddr::new(address, port);
            let known = found.entry(address).or_insert(state);
            // The same endpoint may stand in two slices for a moment; it is ready if either says so.
            *known = state.min(*known);
        }
    }
    listed(found)
}

fn listed(found: BTreeMap<SocketAddr, EndpointState>) -> Endpoints {
    let endpoint = |(address, state)| cluster::Endpoint { address, state };
    Endpoints(found.into_iter().map(endpoint).collect())
}

fn port_name<'a>(service: &'a Service, number: u16, transport: &str) -> &'a str {
    let mut ports = service.spec.ports.iter();
    let port = ports.find(|port| {
        port.port == i32::from(number) && port.protocol.as_deref().unwrap_or("TCP") == transport
    });
    port.and_then(|port| port.name.as_deref()).unwrap_or_default()
}

/// Finds the number under which the endpoints of a slice answer for the Service's port: the one of the
/// same name, as kube-proxy does.
fn target_port(slice: &EndpointSlice, name: &str, transport: &str) -> Option<u16> {
    let port = slice.ports.iter().find(|port| {
        port.name.as_deref().unwrap_or_default() == name
            && port.protocol.as_deref().unwrap_or("TCP") == transport
    })?;
    u16::try_from(port.port?).ok()
}

/// Gives the address of an endpoint that may get traffic. Names (`addressType: FQDN`) are not followed.
fn usable(endpoint: &Endpoint) -> Option<(IpAddr, EndpointState)> {
    let address = endpoint.addresses.first()?.parse().ok()?;
    let conditions = endpoint.conditions;
    let terminating = conditions.terminating.unwrap_or(false);
    if conditions.ready.unwrap_or(true) && !terminating {
        return Some((address, EndpointState::Ready));
    }
    let serving = conditions.serving.unwrap_or(conditions.ready.unwrap_or(true));
    (terminating && serving).then_some((address, EndpointState::Draining))
}
