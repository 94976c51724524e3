//! Gateways and their listeners: where clients arrive.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::host::HostPattern;
use crate::id::{GatewayId, SecretId};

/// An entry point with addresses of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// Namespace of the object it came from.
    pub namespace: Arc<str>,
    /// Name of the object it came from.
    pub name: Arc<str>,
    /// Where its listeners are reachable. Empty while no address is claimed: then nothing listens.
    pub addresses: Vec<IpAddr>,
    /// The certificate shown to backends that ask for one (`Gateway.spec.tls.backend`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<SecretId>,
}

/// One port of a gateway under one hostname. Several listeners may share a port; then the TLS
/// server name or the `Host` decides between them, the most specific hostname first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Whose port it is.
    pub gateway: GatewayId,
    /// The name that the user gave it; unique in its Gateway or ListenerSet.
    pub name: Arc<str>,
    /// The port that the user declared. Where it is really bound is the data plane's matter
    /// (`--port-offset`), matching always means this one.
    pub port: u16,
    /// Which hosts it answers for.
    pub hostname: HostPattern,
    /// What is spoken on it.
    pub protocol: ListenerProtocol,
}

/// What is spoken on a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ListenerProtocol {
    /// HTTP/1.1 and, by prior knowledge, HTTP/2 in clear text.
    Http,
    /// HTTP/1.1 and HTTP/2 inside TLS that ends here.
    Https(TlsTermination),
    /// Bytes inside TLS that ends here.
    TlsTerminate(TlsTermination),
    /// Bytes inside TLS that the backend ends; only the server name is read.
    TlsPassthrough,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

/// How a listener ends TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsTermination {
    /// Certificates to choose from by server name; the first one when none fits. Never empty.
    pub certificates: Vec<SecretId>,
    /// Whether and how the client must prove who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_validation: Option<ClientValidation>,
}

/// How a client's certificate is checked (`Gateway.spec.tls.frontend`, GEP-91).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientValidation {
    /// Bundles of authorities, any of which may have signed. Never empty.
    pub authorities: Vec<SecretId>,
    /// What happens to a client without a valid certificate.
    pub mode: ClientValidationMode,
}

/// What happens to a client without a valid certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientValidationMode {
    /// The handshake fails (`AllowValidOnly`).
    Required,
    /// It is let in (`AllowInsecureFallback`).
    InsecureFallback,
}
