//! Backends: a Service's port, how to talk to it, and who stands behind it now.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::SecretId;

/// One port of one Service as a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Namespace of the Service.
    pub namespace: Arc<str>,
    /// Name of the Service.
    pub service: Arc<str>,
    /// Port of the Service.
    pub port: u16,
    /// What its endpoints speak.
    pub protocol: BackendProtocol,
    /// Whether, and how, TLS is spoken to its endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
}

/// What a backend speaks (`appProtocol`, and the kind of route that names it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BackendProtocol {
    /// HTTP/1.1, WebSocket included; inside TLS whatever ALPN agrees on.
    Http,
    /// HTTP/2 by prior knowledge in clear text.
    H2c,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

/// How a backend proves who it is (BackendTLSPolicy, GEP-1897).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackendTls {
    /// Sent as server name; its certificate must name it unless `subject_alt_names` is not empty.
    pub hostname: Arc<str>,
    /// Who may have signed.
    pub authorities: Authorities,
    /// Names, one of which the certificate must carry; then `hostname` is sent only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// Certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Authorities {
    /// Those that the data plane's system trusts.
    System,
    /// Those in any of these bundles. Never empty.
    Bundles(Vec<SecretId>),
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum SubjectAltName {
    /// A DNS name, perhaps with a leading `*.`.
    Dns(Arc<str>),
    /// A URI such as `spiffe://domain/workload`.
    Uri(Arc<str>),
}

/// Who stands behind a cluster. Sorted by address, no address twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Endpoints(pub Vec<Endpoint>);

/// One address that answers for a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it may get traffic.
    pub state: EndpointState,
}

/// Whether an endpoint may get traffic (EndpointSlice conditions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// Yes.
    Ready,
    /// It is going away but still serves: it keeps its sessions, and gets new requests only when
    /// no endpoint is ready.
    Draining,
}
