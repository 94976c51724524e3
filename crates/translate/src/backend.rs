//! From a backendRef to a cluster: which Service and port, what it speaks, whether TLS is spoken to it.

use std::sync::Arc;

use fairway_api::core::{Service, ServicePort};
use fairway_api::reference::BackendObjectReference;
use fairway_model::cluster::{BackendProtocol, BackendTls};
use fairway_model::route::{BackendTarget, Failure};
use fairway_model::{Cluster, ClusterId};

use crate::object::{Kind, Name, slug};
use crate::refs::{Unresolved, grant};
use crate::route::ledger::Ledger;
use crate::verdict::Reason;

pub(crate) mod endpoints;
pub(crate) mod tls;

/// What a rule wants to speak to its backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Grpc,
    Tcp,
    Udp,
}

/// Where a reference stands: which rule, and which field of it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) rule: usize,
    pub(crate) field: &'a str,
}

/// Finds who a backend is; a reference that leads nowhere is noted and becomes a target that fails.
pub(crate) fn target(
    ledger: &mut Ledger<'_>,
    place: Place<'_>,
    reference: &BackendObjectReference,
    speaks: Speaks,
) -> BackendTarget {
    match cluster(ledger, place, reference, speaks) {
        Ok(id) => BackendTarget::Cluster(id),
        Err(why) => BackendTarget::Fail(Failure { status: 500, reason: why.into() }),
    }
}

/// The same for who can do without: `None` when the reference leads nowhere.
pub(crate) fn cluster(
    ledger: &mut Ledger<'_>,
    place: Place<'_>,
    reference: &BackendObjectReference,
    speaks: Speaks,
) -> Result<ClusterId, String> {
    match find(ledger, reference, speaks) {
        Ok(found) => found.into_cluster(ledger),
        Err((reason, why)) => {
            ledger.unresolved(place.rule, reason, &format!("{}: {why}", place.field));
            Err(why)
        }
    }
}

/// A port of a Service.
struct Found {
    service: Name,
    port: u16,
    port_name: Option<String>,
    protocol: BackendProtocol,
}

impl Found {
    /// Notes the cluster. A BackendTLSPolicy that cannot be carried out makes the backend fail: speaking
    /// in clear where TLS was asked for is worse.
    fn into_cluster(self, ledger: &mut Ledger<'_>) -> Result<ClusterId, String> {
        let tls = match self.protocol {
            // What passes a TLS listener unopened is TLS already; the data plane adds none to that.
            BackendProtocol::Http | BackendProtocol::H2c | BackendProtocol::Tcp => {
                self.tls(ledger).transpose().map_err(|why| why.to_string())?
            }
            BackendProtocol::Udp => None,
        };
        let Name { namespace, name } = &self.service;
        let suffix = match self.protocol {
            BackendProtocol::Http => "",
            BackendProtocol::H2c => "/h2c",
            BackendProtocol::Tcp => "/tcp",
            BackendProtocol::Udp => "/udp",
        };
        let kind = slug(Kind::Service);
        let id = ClusterId::new(format!("{kind}/{namespace}/{name}/{}{suffix}", self.port));
        let cluster = Cluster {
            namespace: Arc::clone(namespace),
            service: Arc::clone(name),
            port: self.port,
            protocol: self.protocol,
            tls,
        };
        ledger.clusters.entry(id.clone()).or_insert_with(|| Arc::new(cluster));
        Ok(id)
    }

    fn tls(&self, ledger: &mut Ledger<'_>) -> Option<Result<BackendTls, Arc<str>>> {
        let stage = Arc::clone(&ledger.ground.tls);
        ledger.policies.extend(stage.about(&self.service).cloned());
        stage.find(&self.service, self.port_name.as_deref()).map(|policy| policy.tls.clone())
    }
}

fn find(
    ledger: &mut Ledger<'_>,
    reference: &BackendObjectReference,
    speaks: Speaks,
) -> Result<Found, (Reason, String)> {
    let (group, kind) = (reference.group(), reference.kind());
    if (group, kind) != (Kind::Service.group(), Kind::Service.name()) {
        let group = if group.is_empty() { "the core group" } else { group };
        let why = format!("{kind} of {group} is no backend: name a Service");
        return Err((Reason::InvalidKind, why));
    }
    let asker = ledger.head.asker();
    let namespace = reference.namespace.as_deref().unwrap_or(asker.namespace);
    let name = Name::new(namespace, reference.name.as_str());
    if namespace != asker.namespace {
        grant(ledger.ground.snapshot, asker, Kind::Service, &name).map_err(
            |unresolved: Unresolved| (Reason::RefNotPermitted, unresolved.into_message()),
        )?;
    }
    let service = ledger.ground.snapshot.services.get(&name).cloned();
    ledger.services.insert(name.clone(), service.clone());
    let not_found = |why: String| (Reason::BackendNotFound, why);
    let service = service.ok_or_else(|| not_found(format!("Service {name} does not exist")))?;
    if service.spec.kind.as_deref() == Some("ExternalName") {
        let why = format!("Service {name} is of type ExternalName, which is not followed");
        return Err((Reason::InvalidKind, why));
    }
    let number = reference.port.ok_or_else(|| {
        not_found(format!("port is missing: name one of the ports of Service {name}"))
    })?;
    let port = port(&service, number, speaks)
        .ok_or_else(|| not_found(format!("Service {name} has no port {number}")))?;
    let has_tls = ledger.ground.tls.find(&name, port.name.as_deref()).is_some();
    let protocol = protocol(port, speaks, has_tls)
        .map_err(|why| (Reason::UnsupportedBackendProtocol, format!("Service {name} {why}")))?;
    let number = u16::try_from(number)
        .map_err(|_too_large| not_found(format!("{number} is no port of Service {name}")))?;
    Ok(Found { port: number, port_name: port.name.clone(), protocol, service: name })
}

fn port(service: &Service, number: i32, speaks: Speaks) -> Option<&ServicePort> {
    let wanted = if speaks == Speaks::Udp { "UDP" } else { "TCP" };
    let transport = |port: &&ServicePort| port.protocol.as_deref().unwrap_or("TCP") == wanted;
    service.spec.ports.iter().filter(transport).find(|port| port.port == number)
}

/// What is spoken to a port, by its `appProtocol` (GEP-1911) and by who asks.
fn protocol(port: &ServicePort, speaks: Speaks, has_tls: bool) -> Result<BackendProtocol, String> {
    match speaks {
        Speaks::Tcp => return Ok(BackendProtocol::Tcp),
        Speaks::Udp => return Ok(BackendProtocol::Udp),
        Speaks::Http | Speaks::Grpc => {}
    }
    if has_tls {
        // Inside TLS, ALPN agrees on the version.
        return Ok(BackendProtocol::Http);
    }
    let declared = port.app_protocol.as_deref().unwrap_or_default();
    let number = port.port;
    match declared.to_ascii_lowercase().as_str() {
        "kubernetes.io/h2c" | "grpc" => Ok(BackendProtocol::H2c),
        "" if speaks == Speaks::Grpc => Ok(BackendProtocol::H2c),
        "" | "http" | "kubernetes.io/ws" if speaks == Speaks::Http => Ok(BackendProtocol::Http),
        "http" => Ok(BackendProtocol::H2c),
        "https" | "kubernetes.io/wss" => Err(format!(
            "says appProtocol {declared} for port {number}, but no BackendTLSPolicy says how to trust it"
        )),
        _ => Err(format!(
            "says appProtocol {declared} for port {number}, which cannot be served here"
        )),
    }
}
