//! Clusters and endpoints as messages.

use fairway_model::cluster::{
    Authorities, BackendProtocol, BackendTls, Endpoint, EndpointState, SubjectAltName,
};
use fairway_model::{Cluster, Endpoints};

use super::gateway::secret_ids;
use super::{
    Enumeration, Result, Unreadable, decode_all, decode_some, encode_all, enumeration, missing,
    number, parse, text, write_all,
};
use crate::proto;

enumeration!(BackendProtocol as "the backend protocol": Http, H2c, Tcp, Udp);
enumeration!(EndpointState as "the endpoint state": Ready, Draining);

impl From<&Cluster> for proto::Cluster {
    fn from(cluster: &Cluster) -> Self {
        let Cluster { namespace, service, port, protocol, tls } = cluster;
        Self {
            namespace: text(namespace),
            service: text(service),
            port: u32::from(*port),
            protocol: protocol.encode(),
            tls: tls.as_ref().map(proto::BackendTls::from),
        }
    }
}

impl TryFrom<proto::Cluster> for Cluster {
    type Error = Unreadable;

    fn try_from(message: proto::Cluster) -> Result<Self> {
        Ok(Self {
            namespace: message.namespace.into(),
            service: message.service.into(),
            port: number(message.port, "port")?,
            protocol: BackendProtocol::decode(message.protocol)?,
            tls: decode_some(message.tls)?,
        })
    }
}

impl From<&BackendTls> for proto::BackendTls {
    fn from(tls: &BackendTls) -> Self {
        let BackendTls { hostname, authorities, subject_alt_names } = tls;
        let authorities = match authorities {
            Authorities::System => proto::backend_tls::Authorities::System(proto::Nothing {}),
            Authorities::Bundles(ids) => {
                proto::backend_tls::Authorities::Bundles(proto::Bundles { ids: write_all(ids) })
            }
        };
        Self {
            hostname: text(hostname),
            authorities: Some(authorities),
            subject_alt_names: encode_all(subject_alt_names),
        }
    }
}

impl TryFrom<proto::BackendTls> for BackendTls {
    type Error = Unreadable;

    fn try_from(message: proto::BackendTls) -> Result<Self> {
        let authorities = match message.authorities.ok_or_else(|| missing("authorities"))? {
            proto::backend_tls::Authorities::System(proto::Nothing {}) => Authorities::System,
            proto::backend_tls::Authorities::Bundles(bundles) => {
                Authorities::Bundles(secret_ids(bundles.ids))
            }
        };
        Ok(Self {
            hostname: message.hostname.into(),
            authorities,
            subject_alt_names: decode_all(message.subject_alt_names)?,
        })
    }
}

impl From<&SubjectAltName> for proto::SubjectAltName {
    fn from(name: &SubjectAltName) -> Self {
        let name = match name {
            SubjectAltName::Dns(name) => proto::subject_alt_name::Name::Dns(text(name)),
            SubjectAltName::Uri(name) => proto::subject_alt_name::Name::Uri(text(name)),
        };
        Self { name: Some(name) }
    }
}

impl TryFrom<proto::SubjectAltName> for SubjectAltName {
    type Error = Unreadable;

    fn try_from(message: proto::SubjectAltName) -> Result<Self> {
        match message.name.ok_or_else(|| missing("subject alternative name"))? {
            proto::subject_alt_name::Name::Dns(name) => Ok(Self::Dns(name.into())),
            proto::subject_alt_name::Name::Uri(name) => Ok(Self::Uri(name.into())),
        }
    }
}

impl From<&Endpoints> for proto::Endpoints {
    fn from(endpoints: &Endpoints) -> Self {
        Self { endpoints: encode_all(&endpoints.0) }
    }
}

impl TryFrom<proto::Endpoints> for Endpoints {
    type Error = Unreadable;

    fn try_from(message: proto::Endpoints) -> Result<Self> {
        decode_all(message.endpoints).map(Self)
    }
}

impl From<&Endpoint> for proto::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint { address, state } = endpoint;
        Self { address: address.to_string(), state: state.encode() }
    }
}

impl TryFrom<proto::Endpoint> for Endpoint {
    type Error = Unreadable;

    fn try_from(message: proto::Endpoint) -> Result<Self> {
        Ok(Self {
            address: parse(&message.address, "an address with a port")?,
            state: EndpointState::decode(message.state)?,
        })
    }
}
