//! What Gateways' proxies run as, and how they are reached: the blocks that Fairway's Gateway and
//! GatewayProfile share. Only what is served stands here.
//!
//! The doc comments are the help text of the CRD.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which proxy serves a Gateway, and how it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!(has(self.replicas) && has(self.autoscaling))",
        "message": "write replicas or autoscaling, not both",
    },
]))]
pub struct ProxySpec {
    /// The proxy. Fairway's own data plane when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProxyEngine")]
    pub engine: Option<ProxyEngine>,
    /// Its image; the one that goes with the controller when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub image: Option<String>,
    /// How many of it run; what the controller was told when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// How many of it run, by load.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Autoscaling")]
    pub autoscaling: Option<Autoscaling>,
    /// What each of them may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Resources")]
    pub resources: Option<Resources>,
    /// On which nodes they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Placement")]
    pub placement: Option<Placement>,
    /// Labels and annotations of their pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Marks")]
    pub pod: Option<Marks>,
    /// How a change reaches them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Rollout")]
    pub rollout: Option<Rollout>,
}

open_enum! {
    /// The proxies that can serve a Gateway.
    ProxyEngine {
        /// Fairway's own data plane.
        Fairway = "Fairway",
    }
}

/// How many proxies run, by load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = ["maxReplicas"], "x-kubernetes-validations" = [
    {
        "rule": "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
        "message": "minReplicas must not be greater than maxReplicas",
    },
]))]
pub struct Autoscaling {
    /// The fewest; 2 when absent, or `maxReplicas` if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub min_replicas: Option<i32>,
    /// The most.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// The share of their requested processor time, in percent, that more of them are started at; 70 when
    /// absent.
    #[serde(rename = "targetCPUUtilizationPercentage", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub target_cpu_utilization_percentage: Option<i32>,
}

/// What a proxy may use, as a container's `resources`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    /// What is set aside for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub requests: BTreeMap<String, Quantity>,
    /// What it cannot exceed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub limits: BTreeMap<String, Quantity>,
}

/// An amount as Kubernetes writes it: `500m`, `64Mi`, 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A whole number.
    Number(i64),
    /// With a suffix.
    Text(String),
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        // As controller-gen writes it for a `resource.Quantity`.
        json_schema!({
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
            "x-kubernetes-int-or-string": true,
        })
    }
}

/// On which nodes proxies run. Each field is the pod's field of that name; the cluster checks it, and what
/// it refuses is said in the Gateway's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    /// Labels that the node has.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of the node that do not matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Open>,
    /// How they are spread; over nodes, as far as possible, when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub topology_spread_constraints: Vec<Open>,
    /// Near what, and far from what.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Open")]
    pub affinity: Option<Open>,
    /// Their priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
}

/// A block of a pod's spec that is passed on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Open(pub Map<String, Value>);

impl JsonSchema for Open {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Open".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.labels) || self.labels.all(key, !key.startsWith('fairway.dev/'))",
        "message": "labels of fairway.dev are Fairway's own",
    },
]))]
pub struct Marks {
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub annotations: BTreeMap<String, String>,
}

/// How a change reaches the proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    /// How many new ones start at once; 1 when absent. An old one ends only when a new one is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub max_surge: Option<i32>,
    /// How many seconds a proxy has to bring its open requests to an end; 30 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
}

/// How a Gateway's proxies are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancerSpec {
    /// Who gives the address; `OnPremise` when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LoadBalancerType")]
    pub kind: Option<LoadBalancerType>,
    /// Whether a node may pass a connection on to a proxy of another node, which hides the client's address
    /// from it: `Cluster` lets it, `Local` does not. `Cluster` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TrafficPolicy")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Labels of the Service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub annotations: BTreeMap<String, String>,
}

open_enum! {
    /// Who gives a Gateway its address.
    LoadBalancerType {
        /// Fairway itself, out of its pools.
        OnPremise = "OnPremise",
    }
}

open_enum! {
    /// Whether nodes pass connections on to proxies of other nodes.
    TrafficPolicy {
        /// They do.
        Cluster = "Cluster",
        /// They do not.
        Local = "Local",
    }
}
