//! How objects are named inside this crate: structs, never joined strings.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fairway_api::meta::ObjectMeta;
use fairway_api::reference::FAIRWAY;
use serde::{Serialize, Serializer};

pub use fairway_api::Kind;

/// Namespace and name. The namespace of a cluster-wide object is empty.
///
/// Names are compared by the pointer first: in a memo most of them are the same ones.
#[derive(Clone, Eq)]
pub struct Name {
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Name {
    /// Puts a name together.
    #[must_use]
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Reads the name of an object.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(metadata.namespace(), metadata.name.as_str())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        same(&self.name, &other.name) && same(&self.namespace, &other.namespace)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.namespace.hash(state);
        self.name.hash(state);
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        if same(&self.namespace, &other.namespace) {
            return if Arc::ptr_eq(&self.name, &other.name) {
                Ordering::Equal
            } else {
                self.name.cmp(&other.name)
            };
        }
        self.namespace.cmp(&other.namespace)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn same(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Gives the word that Ids of the model begin with.
#[must_use]
pub const fn slug(kind: Kind) -> &'static str {
    match kind {
        Kind::GatewayClass => "gateway-class",
        Kind::Gateway => "gateway",
        Kind::ListenerSet => "listener-set",
        Kind::HttpRoute => "http-route",
        Kind::GrpcRoute => "grpc-route",
        Kind::TlsRoute => "tls-route",
        Kind::TcpRoute => "tcp-route",
        Kind::UdpRoute => "udp-route",
        Kind::ReferenceGrant => "reference-grant",
        Kind::BackendTlsPolicy => "backend-tls-policy",
        Kind::XBackend => "x-backend",
        Kind::XBackendTrafficPolicy => "x-backend-traffic-policy",
        Kind::XMesh => "x-mesh",
        Kind::XTelemetryPolicy => "x-telemetry-policy",
        Kind::FairwayGateway => "fairway-gateway",
        Kind::GatewayProfile => "gateway-profile",
        Kind::TrafficRoute => "traffic-route",
        Kind::AddressPool => "address-pool",
        Kind::AddressClaim => "address-claim",
        Kind::Ingress => "ingress",
        Kind::IngressClass => "ingress-class",
        Kind::Service => "service",
        Kind::EndpointSlice => "endpoint-slice",
        Kind::Secret => "secret",
        Kind::ConfigMap => "config-map",
        Kind::Namespace => "namespace",
        Kind::Node => "node",
    }
}

/// Says whether nobody but us answers for this kind.
#[must_use]
pub fn is_ours(kind: Kind) -> bool {
    kind.group() == FAIRWAY
}

/// Which object: kind, namespace, name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub name: Name,
}

impl fmt::Display for ObjectKey {
    /// `HTTPRoute shop/cart`; our kind of Gateway is told from Gateway API's by its group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.kind == Kind::FairwayGateway {
            f.write_str(".fairway.dev")?;
        }
        write!(f, " {}", self.name)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
