//! Gateways, listeners and Secrets as messages.

use fairway_model::gateway::{
    ClientValidation, ClientValidationMode, ListenerProtocol, TlsTermination,
};
use fairway_model::host::HostPattern;
use fairway_model::secret::PrivateKey;
use fairway_model::{Gateway, GatewayId, Listener, Secret, SecretId};

use super::{
    Enumeration, Result, Unreadable, decode_some, enumeration, missing, number, parse_all, text,
    write_all,
};
use crate::proto;

enumeration!(ClientValidationMode as "the client validation mode": Required, InsecureFallback);

pub(super) fn secret_ids(ids: Vec<String>) -> Vec<SecretId> {
    ids.into_iter().map(SecretId::new).collect()
}

pub(super) fn host(text: &str) -> Result<HostPattern> {
    HostPattern::parse(text).ok_or_else(|| Unreadable(format!("{text:?} is not a hostname")))
}

impl From<&Gateway> for proto::Gateway {
    fn from(gateway: &Gateway) -> Self {
        let Gateway { namespace, name, addresses, client_certificate } = gateway;
        Self {
            namespace: text(namespace),
            name: text(name),
            addresses: write_all(addresses),
            client_certificate: client_certificate.as_ref().map(ToString::to_string),
        }
    }
}

impl TryFrom<proto::Gateway> for Gateway {
    type Error = Unreadable;

    fn try_from(message: proto::Gateway) -> Result<Self> {
        Ok(Self {
            namespace: message.namespace.into(),
            name: message.name.into(),
            addresses: parse_all(&message.addresses, "an address")?,
            client_certificate: message.client_certificate.map(SecretId::new),
        })
    }
}

impl From<&Listener> for proto::Listener {
    fn from(listener: &Listener) -> Self {
        let Listener { gateway, name, port, hostname, protocol } = listener;
        let (protocol, tls) = match protocol {
            ListenerProtocol::Http => (proto::ListenerProtocol::Http, None),
            ListenerProtocol::Https(tls) => (proto::ListenerProtocol::Https, Some(tls)),
            ListenerProtocol::TlsTerminate(tls) => {
                (proto::ListenerProtocol::TlsTerminate, Some(tls))
            }
            ListenerProtocol::TlsPassthrough => (proto::ListenerProtocol::TlsPassthrough, None),
            ListenerProtocol::Tcp => (proto::ListenerProtocol::Tcp, None),
            ListenerProtocol::Udp => (proto::ListenerProtocol::Udp, None),
        };
        Self {
            gateway: gateway.to_string(),
            name: text(name),
            port: u32::from(*port),
            hostname: hostname.to_string(),
            protocol: i32::from(protocol),
            tls: tls.map(proto::TlsTermination::from),
        }
    }
}

impl TryFrom<proto::Listener> for Listener {
    type Error = Unreadable;

    fn try_from(message: proto::Listener) -> Result<Self> {
        let tls: Option<TlsTermination> = decode_some(message.tls)?;
        let tls = || tls.ok_or_else(|| missing("TLS block"));
        let protocol = match proto::ListenerProtocol::try_from(message.protocol) {
            Ok(proto::ListenerProtocol::Http) => ListenerProtocol::Http,
            Ok(proto::ListenerProtocol::Https) => ListenerProtocol::Https(tls()?),
            Ok(proto::ListenerProtocol::TlsTerminate) => ListenerProtocol::TlsTerminate(tls()?),
            Ok(proto::ListenerProtocol::TlsPassthrough) => ListenerProtocol::TlsPassthrough,
            Ok(proto::ListenerProtocol::Tcp) => ListenerProtocol::Tcp,
            Ok(proto::ListenerProtocol::Udp) => ListenerProtocol::Udp,
            Ok(proto::ListenerProtocol::Unspecified) | Err(_) => return Err(missing("protocol")),
        };
        Ok(Self {
            gateway: GatewayId::new(message.gateway),
            name: message.name.into(),
            port: number(message.port, "port")?,
            hostname: host(&message.hostname)?,
            protocol,
        })
    }
}

impl From<&TlsTermination> for proto::TlsTermination {
    fn from(tls: &TlsTermination) -> Self {
        let TlsTermination { certificates, client_validation } = tls;
        let validation = |ClientValidation { authorities, mode }: &ClientValidation| {
            proto::ClientValidation { authorities: write_all(authorities), mode: mode.encode() }
        };
        Self {
            certificates: write_all(certificates),
            client_validation: client_validation.as_ref().map(validation),
        }
    }
}

impl TryFrom<proto::TlsTermination> for TlsTermination {
    type Error = Unreadable;

    fn try_from(message: proto::TlsTermination) -> Result<Self> {
        let validation = |message: proto::ClientValidation| {
            let mode = ClientValidationMode::decode(message.mode)?;
            Ok(ClientValidation { authorities: secret_ids(message.authorities), mode })
        };
        Ok(Self {
            certificates: secret_ids(message.certificates),
            client_validation: message.client_validation.map(validation).transpose()?,
        })
    }
}

impl From<&Secret> for proto::Secret {
    fn from(secret: &Secret) -> Self {
        let content = match secret {
            Secret::Certificate { chain, key } => {
                let (chain, key) = (text(chain), key.expose().to_owned());
                proto::secret::Content::Certificate(proto::Certificate { chain, key })
            }
            Secret::Authorities { bundle } => proto::secret::Content::Authorities(text(bundle)),
        };
        Self { content: Some(content) }
    }
}

impl TryFrom<proto::Secret> for Secret {
    type Error = Unreadable;

    fn try_from(message: proto::Secret) -> Result<Self> {
        match message.content.ok_or_else(|| missing("content"))? {
            proto::secret::Content::Certificate(proto::Certificate { chain, key }) => {
                Ok(Self::Certificate { chain: chain.into(), key: PrivateKey::new(key) })
            }
            proto::secret::Content::Authorities(bundle) => {
                Ok(Self::Authorities { bundle: bundle.into() })
            }
        }
    }
}
