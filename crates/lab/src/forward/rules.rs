//! Which address leads to which endpoints: a pure function of Services and EndpointSlices.

use std::{collections::BTreeMap, fmt, net::Ipv4Addr, sync::Arc};

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::EndpointSlice,
};

/// The label that ties an EndpointSlice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is forwarded. SCTP is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl Protocol {
    fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Where a client connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frontend {
    /// A Service's address.
    pub address: Ipv4Addr,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its port.
    pub port: u16,
}

/// Where the connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// A pod's address.
    pub address: Ipv4Addr,
    /// The target port.
    pub port: u16,
}

/// All endpoints of one Service's port; none at all means that connections are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backends {
    /// In order, each once.
    pub endpoints: Vec<Endpoint>,
    /// `sessionAffinity: ClientIP`: one client's connections go to one endpoint.
    pub sticky: bool,
}

/// All that is forwarded.
pub type Rules = BTreeMap<Frontend, Backends>;

/// What Services and their EndpointSlices ask for. Of two Services that claim the same external
/// address and port, the first by namespace and name has it.
pub fn rules(services: &[Arc<Service>], slices: &[Arc<EndpointSlice>]) -> Rules {
    let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices.iter().filter(|slice| slice.address_type == "IPv4") {
        let labels = slice.metadata.labels.as_ref();
        if let Some(name) = labels.and_then(|labels| labels.get(SERVICE_NAME)) {
            let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
            by_service.entry((namespace, name)).or_default().push(slice);
        }
    }
    let key = |service: &Service| {
        (
            service.metadata.namespace.clone().unwrap_or_default(),
            service.metadata.name.clone().unwrap_or_default(),
        )
    };
    let mut services: Vec<&Arc<Service>> = services.iter().collect();
    services.sort_by_cached_key(|service| key(service));
    let mut rules = Rules::new();
    for service in services {
        let (namespace, name) = key(service);
        let slices =
            by_service.get(&(namespace.as_str(), name.as_str())).map_or(&[][..], Vec::as_slice);
        add(&mut rules, service, slices);
    }
    rules
}

fn add(rules: &mut Rules, service: &Service, slices: &[&EndpointSlice]) {
    let Some(spec) = &service.spec else { return };
    if spec.type_.as_deref() == Some("ExternalName") {
        return;
    }
    let addresses = addresses(service);
    let sticky = spec.session_affinity.as_deref() == Some("ClientIP");
    for port in spec.ports.iter().flatten() {
        let (Some(protocol), Ok(number)) =
            (Protocol::parse(port.protocol.as_deref()), u16::try_from(port.port))
        else {
            continue;
        };
        let backends = Backends { endpoints: endpoints(slices, port, protocol), sticky };
        for &address in &addresses {
            rules
                .entry(Frontend { address, protocol, port: number })
                .or_insert_with(|| backends.clone());
        }
    }
}

fn addresses(service: &Service) -> Vec<Ipv4Addr> {
    let spec = service.spec.iter();
    let cluster = spec.clone().filter_map(|spec| spec.cluster_ip.as_deref());
    let external = spec.flat_map(|spec| spec.external_ips.iter().flatten()).map(String::as_str);
    let balancer = service.status.iter().filter_map(|status| status.load_balancer.as_ref());
    let balancer = balancer.flat_map(|status| status.ingress.iter().flatten());
    // `ipMode: Proxy` means that the load balancer wants to see the traffic itself.
    let balancer = balancer.filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"));
    let balancer = balancer.filter_map(|ingress| ingress.ip.as_deref());
    // "None", host names and IPv6 addresses are no IPv4 addresses.
    cluster.chain(balancer).chain(external).filter_map(|text| text.parse().ok()).collect()
}

/// The ready endpoints; when there is none, those that end but still serve, as kube-proxy does
/// (KEP-1669).
fn endpoints(slices: &[&EndpointSlice], port: &ServicePort, protocol: Protocol) -> Vec<Endpoint> {
    let (mut ready, mut ending) = (Vec::new(), Vec::new());
    for slice in slices {
        for number in target_ports(slice, port, protocol) {
            for endpoint in &slice.endpoints {
                let conditions = endpoint.conditions.clone().unwrap_or_default();
                let is_ready = conditions.ready.unwrap_or(true);
                let serves = conditions.serving.unwrap_or(is_ready)
                    && conditions.terminating.unwrap_or(false);
                let list = if is_ready { &mut ready } else { &mut ending };
                if is_ready || serves {
                    let addresses = endpoint.addresses.iter().filter_map(|text| text.parse().ok());
                    list.extend(addresses.map(|address| Endpoint { address, port: number }));
                }
            }
        }
    }
    let mut endpoints = if ready.is_empty() { ending } else { ready };
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints
}

/// A slice's port belongs to the Service's port of the same name; the only port has none.
fn target_ports(
    slice: &EndpointSlice,
    port: &ServicePort,
    protocol: Protocol,
) -> impl Iterator<Item = u16> {
    let name = port.name.as_deref().unwrap_or_default();
    let ports = slice.ports.iter().flatten();
    ports
        .filter(move |candidate| candidate.name.as_deref().unwrap_or_default() == name)
        .filter(move |candidate| Protocol::parse(candidate.protocol.as_deref()) == Some(protocol))
        .filter_map(|candidate| u16::try_from(candidate.port?).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service() -> Arc<Service> {
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"namespace": "shop", "name": "cart"},
                "spec": {"clusterIP": "10.96.0.7", "externalIPs": ["10.245.9.9", "fd00::1"], "ports": [
                    {"name": "web", "port": 80, "targetPort": 3000},
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "signal", "port": 9, "protocol": "SCTP"},
                ]},
                "status": {"loadBalancer": {"ingress": [{"ip": "10.245.0.1"}, {"hostname": "cart.example"}]}},
            }))
            .unwrap(),
        )
    }

    #[expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]
    fn slice(endpoints: serde_json::Value) -> Arc<EndpointSlice> {
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": "cart"}},
                "addressType": "IPv4",
                "ports": [{"name": "web", "port": 3000}, {"name": "dns", "port": 5353, "protocol": "UDP"}],
                "endpoints": endpoints,
            }))
            .unwrap(),
        )
    }

    fn web(rules: &Rules) -> Vec<String> {
        let front =
            Frontend { address: Ipv4Addr::new(10, 96, 0, 7), protocol: Protocol::Tcp, port: 80 };
        rules[&front]
            .endpoints
            .iter()
            .map(|endpoint| format!("{}:{}", endpoint.address, endpoint.port))
            .collect()
    }

    #[test]
    fn every_address_of_a_service_leads_to_its_ready_endpoints() {
        let slice = slice(json!([
            {"addresses": ["10.244.0.5"], "conditions": {"ready": true}},
            {"addresses": ["10.244.0.6"]},
            {"addresses": ["10.244.0.7"], "conditions": {"ready": false}},
            {"addresses": ["10.244.0.8"], "conditions": {"ready": false, "serving": true, "terminating": true}},
        ]));
        let rules = rules(&[service()], &[slice.clone(), slice]);
        assert_eq!(web(&rules), ["10.244.0.5:3000", "10.244.0.6:3000"]);
        let fronts: Vec<String> = rules
            .keys()
            .map(|front| format!("{}:{}/{}", front.address, front.port, front.protocol))
            .collect();
        assert_eq!(
            fronts,
            [
                "10.96.0.7:80/tcp",
                "10.96.0.7:53/udp",
                "10.245.0.1:80/tcp",
                "10.245.0.1:53/udp",
                "10.245.9.9:80/tcp",
                "10.245.9.9:53/udp",
            ]
        );
    }

    #[test]
    fn endpoints_that_end_serve_while_no_other_is_ready() {
        let slice = slice(json!([
            {"addresses": ["10.244.0.7"], "conditions": {"ready": false}},
            {"addresses": ["10.244.0.8"], "conditions": {"ready": false, "serving": true, "terminating": true}},
        ]));
        assert_eq!(web(&rules(&[service()], &[slice])), ["10.244.0.8:3000"]);
    }

    #[test]
    fn a_service_without_endpoints_is_refused_and_not_unknown() {
        assert!(web(&rules(&[service()], &[])).is_empty());
    }
}
