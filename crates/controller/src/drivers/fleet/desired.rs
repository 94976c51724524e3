//! The objects that run one Gateway's proxies: pure, and the same for the same input.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::meta::ObjectMeta;
use fairway_model::GatewayId;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::listener::container_port;
use fairway_translate::{Kind, ObjectKey, Plan, Snapshot};
use serde_json::{Map, Value, json};

use super::Settings;
use super::name::{label, name};

/// Selects a fleet's pods. Never changed: a Deployment's selector cannot be.
const FLEET: &str = "fairway.dev/fleet";
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
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// Ports of its listeners, and whether they are UDP's.
    ports: BTreeSet<(u16, bool)>,
    pub(super) addresses: Vec<IpAddr>,
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
        let infrastructure = snapshot
            .gateways
            .get(&key.name)
            .filter(|_| key.kind == Kind::Gateway)
            .and_then(|gateway| gateway.spec.infrastructure.as_ref());
        Some(Fleet {
            gateway: id.clone(),
            uid: metadata.uid.clone()?,
            labels: infrastructure.map(|i| i.labels.clone()).unwrap_or_default(),
            annotations: infrastructure.map(|i| i.annotations.clone()).unwrap_or_default(),
            ports: ports.remove(id).unwrap_or_default(),
            addresses: gateway.addresses.clone(),
            key,
        })
    };
    plan.model.gateways.iter().filter_map(one).collect()
}

/// An Id begins with the word for the kind.
fn key(id: &GatewayId, gateway: &fairway_model::Gateway) -> Option<ObjectKey> {
    let (slug, _) = id.as_str().split_once('/')?;
    let kinds = [Kind::Gateway, Kind::FairwayGateway];
    let kind = kinds.into_iter().find(|kind| fairway_translate::object::slug(*kind) == slug)?;
    let name = fairway_translate::Name::new(
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

    /// Gives labels, annotations and owner, which all its objects share.
    #[must_use]
    pub fn metadata(&self) -> Value {
        json!({
            "labels": self.labels(),
            "annotations": self.annotations,
            "ownerReferences": [{
                "apiVersion": self.key.kind.api_version(),
                "kind": self.key.kind.name(),
                "name": self.key.name.name,
                "uid": self.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        })
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "fairway".to_owned());
        labels.insert("app.kubernetes.io/name".to_owned(), "fairway-proxy".to_owned());
        labels.insert(FLEET.to_owned(), self.name());
        if self.key.kind == Kind::Gateway {
            labels.insert(GATEWAY_NAME.to_owned(), label(&self.key));
        }
        labels
    }

    fn object(&self, api_version: &str, kind: &str, rest: Value) -> Value {
        let mut metadata = self.metadata();
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
            all.push(self.object("v1", "Service", json!({"spec": self.service()})));
        }
        all
    }

    fn selector(&self) -> Value {
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
        json!({
            "type": "LoadBalancer",
            "loadBalancerClass": super::LOAD_BALANCER_CLASS,
            "allocateLoadBalancerNodePorts": false,
            "selector": {FLEET: self.name()},
            "ports": self.ports.iter().map(port).collect::<Vec<_>>(),
        })
    }

    fn deployment(&self, settings: &Settings) -> Value {
        json!({
            "replicas": settings.replicas,
            "selector": self.selector(),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": {
                "metadata": {"labels": self.labels(), "annotations": self.annotations},
                "spec": self.pod(settings),
            },
        })
    }

    fn pod(&self, settings: &Settings) -> Value {
        let probe = |path: &str, period: u32| json!({"httpGet": {"path": path, "port": "health"}, "periodSeconds": period});
        let container = json!({
            "name": "proxy",
            "image": settings.image,
            "args": [
                "proxy",
                format!("--gateway={}", self.gateway),
                format!("--controller={}", settings.controller),
                "--identity=/etc/fairway/identity",
                "--state=/var/lib/fairway",
            ],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "ports": [{"name": "health", "containerPort": 8081}],
            "readinessProbe": probe("/readyz", 1),
            "livenessProbe": probe("/healthz", 10),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "identity", "mountPath": "/etc/fairway/identity", "readOnly": true},
                {"name": "state", "mountPath": "/var/lib/fairway"},
            ],
        });
        json!({
            "serviceAccountName": self.name(),
            "automountServiceAccountToken": false,
            // Grace and drain of the proxy, and a rest.
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "identity", "secret": {"secretName": self.identity()}},
                {"name": "state", "emptyDir": {}},
            ],
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
