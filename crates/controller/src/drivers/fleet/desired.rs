//! The objects that run one Gateway's proxies: pure, and the same for the same input.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::meta::ObjectMeta;
use fairway_api::own::proxy::TrafficPolicy;
use fairway_model::GatewayId;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::listener::container_port;
use fairway_translate::profile::{FleetSpec, fleet_spec};
use fairway_translate::{Kind, Name, ObjectKey, Plan, Snapshot};
use serde_json::{Map, Value, json};

use super::Settings;
use super::name::{label, name};

/// Selects a fleet's pods. Never changed: a Deployment's selector cannot be.
pub(in crate::drivers) const FLEET: &str = "fairway.dev/fleet";
/// By this the objects that we have made are found again.
pub(in crate::drivers) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// GEP-1762.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// What a fleet is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// The Gateway.
    pub key: ObjectKey,
    /// Its entry in the model.
    pub gateway: GatewayId,
    uid: String,
    /// What its Gateway asks for.
    pub(super) spec: FleetSpec,
    /// Ports of its listeners, and whether they are UDP's.
    pub(super) ports: BTreeSet<(u16, bool)>,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Finds the fleets that a plan asks for.
#[must_use]
pub fn fleets(snapshot: &Snapshot, plan: &Plan) -> Vec<Fleet> {
    let mut ports: BTreeMap<&GatewayId, BTreeSet<(u16, bool)>> = BTreeMap::new();
    for listener in plan.model.listeners.values() {
        let udp = listener.protocol == ListenerProtocol::Udp;
        ports.entry(&listener.gateway).or_default().insert((listener.port, udp));
    }
    let one = |(id, gateway): (&GatewayId, &Arc<fairway_model::Gateway>)| {
        let key = key(id, gateway)?;
        let metadata: &ObjectMeta = snapshot.metadata(&key)?;
        // What is made for one that is being deleted would keep it.
        if metadata.deletion_timestamp.is_some() {
            return None;
        }
        Some(Fleet {
            gateway: id.clone(),
            uid: metadata.uid.clone()?,
            spec: fleet_spec(snapshot, &key)?,
            ports: ports.remove(id).unwrap_or_default(),
            addresses: gateway.addresses.clone(),
            key,
        })
    };
    plan.model.gateways.iter().filter_map(one).collect()
}

/// Finds Gateways that have gone over to a class of another controller, by their uid. One whose class is
/// gone altogether stays ours: that may well be a mistake.
#[must_use]
pub fn left(snapshot: &Snapshot, settings: &fairway_translate::Settings) -> BTreeSet<String> {
    let others = snapshot.gateways.iter().filter(|(_, gateway)| {
        let class = Name::new("", gateway.spec.gateway_class_name.as_str());
        let class = snapshot.gateway_classes.get(&class);
        class.is_some_and(|class| *class.spec.controller_name != *settings.controller_name)
    });
    others.filter_map(|(_, gateway)| gateway.metadata.uid.clone()).collect()
}

/// An Id begins with the word for the kind.
fn key(id: &GatewayId, gateway: &fairway_model::Gateway) -> Option<ObjectKey> {
    let (slug, _) = id.as_str().split_once('/')?;
    let kinds = [Kind::Gateway, Kind::FairwayGateway];
    let kind = kinds.into_iter().find(|kind| fairway_translate::object::slug(*kind) == slug)?;
    let name = Name::new(
        Arc::<str>::from(gateway.namespace.as_ref()),
        Arc::<str>::from(gateway.name.as_ref()),
    );
    Some(ObjectKey { kind, name })
}

impl Fleet {
    /// Gives the name of each of its objects.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.key)
    }

    /// Gives the name of the Secret with the proxies' identity.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}-id", self.name())
    }

    /// Gives labels, annotations and owner, which all its objects share. One that is to stay when its Gateway
    /// goes has no owner.
    #[must_use]
    pub fn metadata(&self) -> Value {
        self.marked(&BTreeMap::new(), &BTreeMap::new())
    }

    fn marked(
        &self,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Value {
        let mut metadata =
            json!({"labels": self.labels(labels), "annotations": self.annotations(annotations)});
        if !self.spec.retain_on_delete {
            metadata["ownerReferences"] = json!([{
                "apiVersion": self.key.kind.api_version(),
                "kind": self.key.kind.name(),
                "name": self.key.name.name,
                "uid": self.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }]);
        }
        metadata
    }

    /// Gives the Gateway's labels, these besides, and ours, which nobody else's stands for.
    pub(super) fn labels(&self, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = self.spec.marks.labels.clone();
        labels.extend(more.clone());
        labels.insert(MANAGED_BY.to_owned(), "fairway".to_owned());
        labels.insert("app.kubernetes.io/name".to_owned(), "fairway-proxy".to_owned());
        labels.insert(FLEET.to_owned(), self.name());
        if self.key.kind == Kind::Gateway {
            labels.insert(GATEWAY_NAME.to_owned(), label(&self.key));
        }
        labels
    }

    /// Gives the Gateway's annotations, and these besides.
    pub(super) fn annotations(&self, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut annotations = self.spec.marks.annotations.clone();
        annotations.extend(more.clone());
        annotations
    }

    fn object(&self, api_version: &str, kind: &str, rest: Value) -> Value {
        self.object_with(api_version, kind, self.metadata(), rest)
    }

    fn object_with(&self, api_version: &str, kind: &str, metadata: Value, rest: Value) -> Value {
        let mut metadata = metadata;
        metadata["name"] = json!(self.name());
        metadata["namespace"] = json!(self.key.name.namespace);
        let mut object = Map::new();
        object.insert("apiVersion".to_owned(), json!(api_version));
        object.insert("kind".to_owned(), json!(kind));
        object.insert("metadata".to_owned(), metadata);
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        Value::Object(object)
    }

    /// Gives its objects, each as it is to be applied.
    #[must_use]
    pub fn desired(&self, settings: &Settings) -> Vec<Value> {
        let mut all = vec![
            self.object("v1", "ServiceAccount", json!({"automountServiceAccountToken": false})),
            self.object("apps/v1", "Deployment", json!({"spec": self.deployment(settings)})),
            self.object(
                "policy/v1",
                "PodDisruptionBudget",
                json!({"spec": {"maxUnavailable": 1, "selector": self.selector()}}),
            ),
        ];
        // A Service without ports is refused; without listeners there is nothing to reach.
        if !self.ports.is_empty() {
            let asked = &self.spec.load_balancer;
            let metadata = self.marked(&asked.labels, &asked.annotations);
            let spec = json!({"spec": self.service()});
            all.push(self.object_with("v1", "Service", metadata, spec));
        }
        if let Some(scaling) = self.scaling() {
            let spec = json!({"spec": scaling});
            all.push(self.object("autoscaling/v2", "HorizontalPodAutoscaler", spec));
        }
        all
    }

    pub(super) fn selector(&self) -> Value {
        json!({"matchLabels": {FLEET: self.name()}})
    }

    fn service(&self) -> Value {
        let port = |&(port, udp): &(u16, bool)| {
            let (word, protocol) = if udp { ("udp", "UDP") } else { ("tcp", "TCP") };
            json!({
                "name": format!("{word}-{port}"),
                "port": port,
                "protocol": protocol,
                "targetPort": container_port(port),
            })
        };
        let policy = self.spec.load_balancer.external_traffic_policy.as_ref();
        json!({
            "type": "LoadBalancer",
            "loadBalancerClass": super::LOAD_BALANCER_CLASS,
            "allocateLoadBalancerNodePorts": false,
            "externalTrafficPolicy": policy.map_or("Cluster", TrafficPolicy::as_str),
            "selector": {FLEET: self.name()},
            "ports": self.ports.iter().map(port).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::kind::decode;
    use fairway_translate::{Held, translate};

    fn fleet(labels: &Value) -> Fleet {
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"namespace": "shop", "name": "web", "uid": "1"},
            "spec": {
                "gatewayClassName": "fairway",
                "infrastructure": {"labels": labels},
                "listeners": [
                    {"name": "http", "port": 80, "protocol": "HTTP"},
                    {"name": "other", "port": 80, "protocol": "HTTP", "hostname": "a.example"},
                    {"name": "dns", "port": 5353, "protocol": "UDP"},
                ],
            },
        });
        let snapshot = Snapshot::new([decode(gateway).expect("a Gateway")]);
        let settings = fairway_translate::Settings::for_files();
        let plan = translate(&snapshot, &settings, &Held::new(), None);
        fleets(&snapshot, &plan).pop().expect("a fleet")
    }

    fn settings() -> Settings {
        Settings {
            image: "fairway:1".to_owned(),
            replicas: 2,
            controller: "fairway-controller.fairway-system.svc:7443".to_owned(),
        }
    }

    #[test]
    fn a_fleet_is_reached_by_the_ports_of_its_listeners() {
        let all = fleet(&json!({})).desired(&settings());
        let service = all.iter().find(|object| object["kind"] == "Service").expect("a Service");
        assert_eq!(
            service["spec"]["ports"],
            json!([
                {"name": "tcp-80", "port": 80, "protocol": "TCP", "targetPort": 10080},
                {"name": "udp-5353", "port": 5353, "protocol": "UDP", "targetPort": 5353},
            ])
        );
    }

    #[test]
    fn labels_of_the_gateway_are_on_everything_and_in_no_selector() {
        // A user's label does not get into the way of ours either.
        let labels = json!({"team": "blue", "fairway.dev/fleet": "another"});
        for object in fleet(&labels).desired(&settings()) {
            let kind = &object["kind"];
            assert_eq!(object["metadata"]["labels"]["team"], "blue", "{kind}");
            assert_eq!(object["metadata"]["labels"][GATEWAY_NAME], "web", "{kind}");
            assert_eq!(object["metadata"]["labels"][FLEET], "fairway-web", "{kind}");
            assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "1", "{kind}");
            assert!(!object["spec"]["selector"].to_string().contains("team"), "{kind}");
        }
    }
}
