//! Declared ports, and the sockets that they want.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::gateway::ListenerProtocol;
use fairway_model::{GatewayId, ListenerId, Model};

use super::Map;

/// Where a socket is bound, as the model wants it (before `--port-offset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SocketKey {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
}

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

/// One declared port of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) gateway: GatewayId,
    pub(crate) number: u16,
    pub(crate) kind: PortKind,
    /// Its listeners, sorted; never empty.
    pub(crate) listeners: Vec<ListenerId>,
}

/// What is spoken first on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PortKind {
    /// HTTP in clear text.
    Http,
    /// TLS; its server name says which listener is meant.
    Tls,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Gives the sockets that a model wants, and the listeners that cannot have theirs, with the reason.
/// `translate` has settled all conflicts within a gateway; gateways may still be given one address.
///
/// `addresses`, if given, stand for those of all gateways.
pub(super) fn wanted(
    model: &Model,
    addresses: Option<&[IpAddr]>,
) -> (Map<SocketKey, Arc<Port>>, BTreeMap<ListenerId, String>) {
    let mut ports: BTreeMap<(&GatewayId, u16, Transport), Port> = BTreeMap::new();
    let mut refused = BTreeMap::new();
    for (id, listener) in &model.listeners {
        let kind = kind(&listener.protocol);
        let key = (&listener.gateway, listener.port, kind.transport());
        let fresh = || Port {
            gateway: listener.gateway.clone(),
            number: listener.port,
            kind,
            listeners: Vec::new(),
        };
        let port = ports.entry(key).or_insert_with(fresh);
        if port.kind == kind {
            port.listeners.push(id.clone());
        } else {
            let why =
                format!("port {} of its gateway already speaks another protocol", port.number);
            refused.insert(id.clone(), why);
        }
    }
    let mut sockets: Map<SocketKey, Arc<Port>> = Map::default();
    for ((gateway, number, transport), port) in ports {
        let port = Arc::new(port);
        let own = || model.gateways.get(gateway).map(|gateway| gateway.addresses.as_slice());
        for &address in addresses.or_else(own).unwrap_or_default() {
            let key = SocketKey { address, port: number, transport };
            let owner = sockets.entry(key).or_insert_with(|| Arc::clone(&port));
            if owner.gateway != *gateway {
                let why = format!("{address} port {number} belongs to {}", owner.gateway);
                refused.extend(port.listeners.iter().map(|id| (id.clone(), why.clone())));
            }
        }
    }
    (sockets, refused)
}

fn kind(protocol: &ListenerProtocol) -> PortKind {
    match protocol {
        ListenerProtocol::Http => PortKind::Http,
        ListenerProtocol::Https(_)
        | ListenerProtocol::TlsTerminate(_)
        | ListenerProtocol::TlsPassthrough => PortKind::Tls,
        ListenerProtocol::Tcp => PortKind::Tcp,
        ListenerProtocol::Udp => PortKind::Udp,
    }
}

impl PortKind {
    fn transport(self) -> Transport {
        match self {
            Self::Http | Self::Tls | Self::Tcp => Transport::Tcp,
            Self::Udp => Transport::Udp,
        }
    }
}
