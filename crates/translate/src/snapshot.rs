//! All objects at one moment, immutable and indexed. A snapshot is cheap to make from the one before:
//! tables without a change are shared, and `translate` sees by a pointer that nothing happened in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::AnyObject;
use fairway_api::meta::ObjectMeta;
use fairway_api::{core, gateway, grant, ingress, own, policy, route};

use crate::object::{Kind, Name, ObjectKey};

/// All objects of one kind.
pub type Table<T> = Arc<BTreeMap<Name, Arc<T>>>;

macro_rules! snapshot {
    ($($field:ident: $variant:ident $object:ty;)+) => {
        /// See the module.
        #[derive(Clone, Debug, Default)]
        pub struct Snapshot {
            $(
                #[doc = concat!("All objects of kind [`", stringify!($variant), "`](Kind::", stringify!($variant), ").")]
                pub $field: Table<$object>,
            )+
            /// Objects that are asked for and cannot be read, with the second half of a sentence that begins
            /// with the object and says why, and what would help.
            pub unreadable: Arc<BTreeMap<ObjectKey, Arc<str>>>,
            /// EndpointSlices by the Service they belong to, each list in order of their names.
            pub slices_of: Arc<BTreeMap<Name, Vec<Arc<core::EndpointSlice>>>>,
        }

        impl Snapshot {
            /// Puts an object in, in place of the one of its name. Objects of kinds that mean nothing here
            /// are passed over.
            fn put_one(&mut self, object: AnyObject) {
                let name = Name::of(object.metadata());
                match object {
                    $(AnyObject::$variant(object) => {
                        Arc::make_mut(&mut self.$field).insert(name, object);
                    })+
                    AnyObject::XBackend(_)
                    | AnyObject::XBackendTrafficPolicy(_)
                    | AnyObject::XMesh(_)
                    | AnyObject::Node(_) => {}
                }
            }

            fn remove_one(&mut self, key: &ObjectKey) {
                match key.kind {
                    $(Kind::$variant => {
                        if self.$field.contains_key(&key.name) {
                            Arc::make_mut(&mut self.$field).remove(&key.name);
                        }
                    })+
                    Kind::XBackend
                    | Kind::XBackendTrafficPolicy
                    | Kind::XMesh
                    | Kind::Node => {}
                }
            }

            /// Every kind that a snapshot holds.
            pub const KINDS: &'static [Kind] = &[$(Kind::$variant,)+];

            /// Gives the metadata of an object, if it is there.
            #[must_use]
            pub fn metadata(&self, key: &ObjectKey) -> Option<&ObjectMeta> {
                match key.kind {
                    $(Kind::$variant => self.$field.get(&key.name).map(|object| &object.metadata),)+
                    Kind::XBackend
                    | Kind::XBackendTrafficPolicy
                    | Kind::XMesh
                    | Kind::Node => None,
                }
            }

            /// Gives the names of all objects of a kind.
            #[must_use]
            pub fn names(&self, kind: Kind) -> BTreeSet<Name> {
                match kind {
                    $(Kind::$variant => self.$field.keys().cloned().collect(),)+
                    Kind::XBackend
                    | Kind::XBackendTrafficPolicy
                    | Kind::XMesh
                    | Kind::Node => BTreeSet::new(),
                }
            }

            /// Gives how many objects there are, of all kinds.
            #[must_use]
            pub fn count(&self) -> usize {
                [$(self.$field.len(),)+].iter().sum()
            }

            /// Says whether an object is there.
            #[must_use]
            pub fn contains(&self, key: &ObjectKey) -> bool {
                match key.kind {
                    $(Kind::$variant => self.$field.contains_key(&key.name),)+
                    Kind::XBackend
                    | Kind::XBackendTrafficPolicy
                    | Kind::XMesh
                    | Kind::Node => false,
                }
            }
        }
    };
}

snapshot! {
    gateway_classes: GatewayClass gateway::GatewayClass;
    gateways: Gateway gateway::Gateway;
    listener_sets: ListenerSet gateway::ListenerSet;
    http_routes: HttpRoute route::HttpRoute;
    grpc_routes: GrpcRoute route::GrpcRoute;
    tls_routes: TlsRoute route::TlsRoute;
    tcp_routes: TcpRoute route::TcpRoute;
    udp_routes: UdpRoute route::UdpRoute;
    reference_grants: ReferenceGrant grant::ReferenceGrant;
    backend_tls_policies: BackendTlsPolicy policy::BackendTlsPolicy;
    telemetry_policies: XTelemetryPolicy policy::XTelemetryPolicy;
    fairway_gateways: FairwayGateway own::FairwayGateway;
    gateway_profiles: GatewayProfile own::GatewayProfile;
    traffic_routes: TrafficRoute own::TrafficRoute;
    address_pools: AddressPool own::AddressPool;
    address_claims: AddressClaim own::AddressClaim;
    ingresses: Ingress ingress::Ingress;
    ingress_classes: IngressClass ingress::IngressClass;
    services: Service core::Service;
    endpoint_slices: EndpointSlice core::EndpointSlice;
    secrets: Secret core::Secret;
    config_maps: ConfigMap core::ConfigMap;
    namespaces: Namespace core::Namespace;
}

impl Snapshot {
    /// Makes a snapshot of these objects; of two with the same name the later one counts.
    #[must_use]
    pub fn new(objects: impl IntoIterator<Item = AnyObject>) -> Self {
        let mut snapshot = Self::default();
        for object in objects {
            snapshot.put_one(object);
        }
        snapshot.index();
        snapshot
    }

    /// Makes the snapshot that follows: first `removed` go, then `put` come.
    #[must_use]
    pub fn next(
        &self,
        put: impl IntoIterator<Item = AnyObject>,
        removed: impl IntoIterator<Item = ObjectKey>,
    ) -> Self {
        let mut snapshot = self.clone();
        for key in removed {
            snapshot.remove_one(&key);
        }
        for object in put {
            snapshot.put_one(object);
        }
        if !Arc::ptr_eq(&snapshot.endpoint_slices, &self.endpoint_slices) {
            snapshot.index();
        }
        snapshot
    }

    /// Walks over the objects of a table that are in one namespace.
    pub(crate) fn in_namespace<'a, T>(
        table: &'a Table<T>,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Name, &'a Arc<T>)> {
        let first = Name::new(namespace, "");
        table.range(first..).take_while(move |(name, _)| *name.namespace == *namespace)
    }

    fn index(&mut self) {
        let mut slices: BTreeMap<Name, Vec<Arc<core::EndpointSlice>>> = BTreeMap::new();
        for (name, slice) in &*self.endpoint_slices {
            if let Some(service) = slice.service() {
                let service = Name::new(Arc::clone(&name.namespace), service);
                slices.entry(service).or_default().push(Arc::clone(slice));
            }
        }
        self.slices_of = Arc::new(slices);
    }
}
