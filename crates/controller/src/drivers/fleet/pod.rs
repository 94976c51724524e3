//! The Deployment of a fleet, and the pods that it makes.

use fairway_api::own::proxy::{Autoscaling, Open, Resources};
use serde_json::{Value, json};

use super::Settings;
use super::desired::{FLEET, Fleet};

/// The user and group that proxies run as: nobody's in distroless images.
const USER: u32 = 65532;
/// Grace and drain of the proxy, and a rest.
const GRACE_SECONDS: i64 = 30;
/// What is set aside for a proxy of which nobody says how much; a share of it is what is scaled by.
const CPU: &str = "100m";
const MEMORY: &str = "128Mi";
/// The share of it that more proxies are started at.
const CPU_PERCENT: i32 = 70;
/// The fewest proxies of a fleet that is scaled by load: one may end without the other.
const FEWEST: i32 = 2;

impl Fleet {
    /// Gives how many proxies there shall be, unless load decides.
    pub(super) fn replicas(&self, settings: &Settings) -> Option<u32> {
        if self.spec.proxy.autoscaling.is_some() {
            return None;
        }
        let wanted = self.spec.proxy.replicas.and_then(|replicas| u32::try_from(replicas).ok());
        Some(wanted.unwrap_or(settings.replicas))
    }

    /// Gives the fewest and the most proxies, if load decides.
    pub(super) fn range(&self) -> Option<(i32, i32)> {
        let scaling = self.spec.proxy.autoscaling.as_ref()?;
        let most = scaling.max_replicas.max(1);
        Some((scaling.min_replicas.unwrap_or(FEWEST).clamp(1, most), most))
    }

    pub(super) fn deployment(&self, settings: &Settings) -> Value {
        let pod = self.spec.proxy.pod.clone().unwrap_or_default();
        let surge = self.spec.proxy.rollout.as_ref().and_then(|rollout| rollout.max_surge);
        let mut spec = json!({
            "selector": self.selector(),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": surge.unwrap_or(1)},
            },
            "template": {
                "metadata": {
                    "labels": self.labels(&pod.labels),
                    "annotations": self.annotations(&pod.annotations),
                },
                "spec": self.pod(settings),
            },
        });
        if let Some(replicas) = self.replicas(settings) {
            spec["replicas"] = json!(replicas);
        }
        spec
    }

    fn pod(&self, settings: &Settings) -> Value {
        let rollout = self.spec.proxy.rollout.as_ref();
        let grace = rollout.and_then(|rollout| rollout.termination_grace_period_seconds);
        let mut pod = json!({
            "serviceAccountName": self.name(),
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": grace.unwrap_or(GRACE_SECONDS),
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [self.container(settings)],
            "volumes": [
                {"name": "identity", "secret": {"secretName": self.identity()}},
                {"name": "state", "emptyDir": {}},
            ],
        });
        self.place(&mut pod);
        pod
    }

    fn container(&self, settings: &Settings) -> Value {
        let probe = |path: &str, period: u32| json!({"httpGet": {"path": path, "port": "health"}, "periodSeconds": period});
        let image = self.spec.proxy.image.as_ref().unwrap_or(&settings.image);
        json!({
            "name": "proxy",
            "image": image,
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
            "resources": resources(self.spec.proxy.resources.as_ref()),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "identity", "mountPath": "/etc/fairway/identity", "readOnly": true},
                {"name": "state", "mountPath": "/var/lib/fairway"},
            ],
        })
    }

    fn place(&self, pod: &mut Value) {
        let placement = self.spec.proxy.placement.clone().unwrap_or_default();
        if !placement.node_selector.is_empty() {
            pod["nodeSelector"] = json!(placement.node_selector);
        }
        if !placement.tolerations.is_empty() {
            pod["tolerations"] = json!(placement.tolerations);
        }
        if let Some(Open(affinity)) = placement.affinity {
            pod["affinity"] = Value::Object(affinity);
        }
        if let Some(class) = placement.priority_class_name {
            pod["priorityClassName"] = json!(class);
        }
        pod["topologySpreadConstraints"] = if placement.topology_spread_constraints.is_empty() {
            json!([{
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {FLEET: self.name()}},
            }])
        } else {
            json!(placement.topology_spread_constraints)
        };
    }

    /// Gives what scales it by load.
    pub(super) fn scaling(&self) -> Option<Value> {
        let Autoscaling { target_cpu_utilization_percentage: percent, .. } =
            self.spec.proxy.autoscaling.as_ref()?;
        let (fewest, most) = self.range()?;
        Some(json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name()},
            "minReplicas": fewest,
            "maxReplicas": most,
            "metrics": [{
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {
                        "type": "Utilization",
                        "averageUtilization": percent.unwrap_or(CPU_PERCENT),
                    },
                },
            }],
        }))
    }
}

fn resources(wanted: Option<&Resources>) -> Value {
    let wanted = wanted.cloned().unwrap_or_default();
    let mut requests = json!(wanted.requests);
    for (name, amount) in [("cpu", CPU), ("memory", MEMORY)] {
        // With a limit alone the cluster takes that for the request.
        if requests.get(name).is_none() && !wanted.limits.contains_key(name) {
            requests[name] = json!(amount);
        }
    }
    let mut resources = json!({"requests": requests});
    if !wanted.limits.is_empty() {
        resources["limits"] = json!(wanted.limits);
    }
    resources
}
