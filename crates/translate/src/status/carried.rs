//! The statuses that objects carry.

use std::sync::Arc;

use super::account::differences;
use super::{Status, Statuses};
use crate::object::{Kind, ObjectKey};
use crate::snapshot::Snapshot;

macro_rules! with_tables {
    ($use:ident $($arguments:tt)*) => {
        $use! {
            $($arguments)*
            gateway_classes GatewayClass Class,
            gateways Gateway Gateway,
            fairway_gateways FairwayGateway Gateway,
            listener_sets ListenerSet ListenerSet,
            http_routes HttpRoute Route,
            grpc_routes GrpcRoute Route,
            tls_routes TlsRoute Route,
            tcp_routes TcpRoute Route,
            udp_routes UdpRoute Route,
            traffic_routes TrafficRoute Route,
            backend_tls_policies BackendTlsPolicy Policy,
            telemetry_policies XTelemetryPolicy Policy,
            ingresses Ingress Ingress,
            address_pools AddressPool Pool,
        }
    };
}

/// Gives the statuses that the objects of a snapshot carry.
#[must_use]
pub fn current(snapshot: &Snapshot) -> Statuses {
    macro_rules! collect {
        ($all:ident: $($table:ident $kind:ident $variant:ident,)+) => {$(
            $all.extend(snapshot.$table.iter().filter_map(|(name, object)| {
                let key = ObjectKey { kind: Kind::$kind, name: name.clone() };
                Some((key, Arc::new(Status::$variant(object.status.clone()?))))
            }));
        )+};
    }
    let mut all = Statuses::new();
    with_tables!(collect all:);
    all
}

/// Tells of each object that is another one than before, or gone, with the status that it carries.
pub(super) fn carried(
    before: &Snapshot,
    after: &Snapshot,
    mut tell: impl FnMut(ObjectKey, Option<Status>),
) {
    macro_rules! compare {
        ($($table:ident $kind:ident $variant:ident,)+) => {$(
            if !Arc::ptr_eq(&before.$table, &after.$table) {
                differences(&before.$table, &after.$table, |name, object| {
                    let key = ObjectKey { kind: Kind::$kind, name: name.clone() };
                    let status = object.and_then(|object| object.status.clone());
                    tell(key, status.map(Status::$variant));
                });
            }
        )+};
    }
    with_tables!(compare);
}

/// Gives the status that one object carries.
pub(super) fn of(snapshot: &Snapshot, key: &ObjectKey) -> Option<Arc<Status>> {
    macro_rules! find {
        ($($table:ident $kind:ident $variant:ident,)+) => {
            match key.kind {
                $(Kind::$kind => {
                    let status = snapshot.$table.get(&key.name)?.status.clone()?;
                    Some(Arc::new(Status::$variant(status)))
                })+
                Kind::ReferenceGrant
                | Kind::XBackend
                | Kind::XBackendTrafficPolicy
                | Kind::XMesh
                | Kind::GatewayProfile
                | Kind::AddressClaim
                | Kind::IngressClass
                | Kind::Service
                | Kind::EndpointSlice
                | Kind::Secret
                | Kind::ConfigMap
                | Kind::Namespace
                | Kind::Node => None,
            }
        };
    }
    with_tables!(find)
}
