//! What a Gateway's proxies shall be like: its own words, or those of the GatewayProfiles that it and its
//! class name. Where both speak, the Gateway's count, field by field.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_api::gateway::{GatewayClass, Infrastructure};
use fairway_api::own::GatewayProfile;
use fairway_api::own::gateway::GatewayProfileSpec;
use fairway_api::own::proxy::{
    LoadBalancerSpec, LoadBalancerType, Marks, ProxyEngine, ProxySpec, TrafficPolicy,
};

use crate::object::{Kind, Name, ObjectKey};
use crate::snapshot::Snapshot;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetSpec {
    /// The proxies.
    pub proxy: ProxySpec,
    /// How they are reached.
    pub load_balancer: LoadBalancerSpec,
    /// What everything made for the Gateway carries.
    pub marks: Marks,
    /// Whether it is left as it is.
    pub paused: bool,
    /// Whether it stays when the Gateway goes.
    pub retain_on_delete: bool,
}

/// Reads what the proxies of a Gateway of either group shall be like. While that cannot be told, for a profile that
/// is missing or asks for what is not served, they are left as they are.
#[must_use]
pub fn fleet_spec(snapshot: &Snapshot, gateway: &ObjectKey) -> Option<FleetSpec> {
    if gateway.kind == Kind::FairwayGateway {
        let spec = &snapshot.fairway_gateways.get(&gateway.name)?.spec;
        return Some(FleetSpec {
            proxy: spec.proxy.clone().unwrap_or_default(),
            load_balancer: spec.load_balancer.clone().unwrap_or_default(),
            marks: spec.infrastructure.clone().unwrap_or_default(),
            paused: spec.paused.unwrap_or_default()
                || unserved(spec.proxy.as_ref(), spec.load_balancer.as_ref()).is_some(),
            retain_on_delete: spec.retain_on_delete.unwrap_or_default(),
        });
    }
    let spec = &snapshot.gateways.get(&gateway.name)?.spec;
    let infrastructure = spec.infrastructure.as_ref();
    let class = snapshot.gateway_classes.get(&Name::new("", spec.gateway_class_name.as_str()));
    let unclear = class.is_some_and(|class| class_fault(class, snapshot).is_some())
        || gateway_fault(infrastructure, &gateway.name, snapshot).is_some();
    let of_class = class.and_then(|class| of_class(class, snapshot).ok().flatten());
    let own = of_gateway(infrastructure, &gateway.name, snapshot).ok().flatten();
    let over = own.map(|profile| profile.spec.clone()).unwrap_or_default();
    let under = of_class.map(|profile| profile.spec.clone()).unwrap_or_default();
    Some(FleetSpec {
        paused: unclear || over.paused.or(under.paused).unwrap_or_default(),
        retain_on_delete: over.retain_on_delete.or(under.retain_on_delete).unwrap_or_default(),
        proxy: proxy(over.proxy.unwrap_or_default(), under.proxy.unwrap_or_default()),
        load_balancer: load_balancer(
            over.load_balancer.unwrap_or_default(),
            under.load_balancer.unwrap_or_default(),
        ),
        marks: Marks {
            labels: infrastructure.map(|i| i.labels.clone()).unwrap_or_default(),
            annotations: infrastructure.map(|i| i.annotations.clone()).unwrap_or_default(),
        },
    })
}

/// Says why the proxies of a class cannot be what its `parametersRef` asks for.
pub(crate) fn class_fault(class: &GatewayClass, snapshot: &Snapshot) -> Option<String> {
    match of_class(class, snapshot) {
        Ok(profile) => profile.and_then(profile_fault),
        Err(why) => Some(why),
    }
}

/// Says why a Gateway's proxies cannot be what its `infrastructure.parametersRef` asks for.
pub(crate) fn gateway_fault(
    infrastructure: Option<&Infrastructure>,
    gateway: &Name,
    snapshot: &Snapshot,
) -> Option<String> {
    match of_gateway(infrastructure, gateway, snapshot) {
        Ok(profile) => profile.and_then(profile_fault),
        Err(why) => Some(why),
    }
}

/// Says which words of these blocks are not served: those that a newer CRD allows.
pub(crate) fn unserved(
    proxy: Option<&ProxySpec>,
    load_balancer: Option<&LoadBalancerSpec>,
) -> Option<String> {
    let engine = proxy.and_then(|proxy| proxy.engine.as_ref());
    if let Some(ProxyEngine::Other(word)) = engine {
        return Some(unknown("proxy.engine", word, ProxyEngine::WORDS));
    }
    if let Some(LoadBalancerType::Other(word)) = load_balancer.and_then(|l| l.kind.as_ref()) {
        return Some(unknown("loadBalancer.type", word, LoadBalancerType::WORDS));
    }
    let policy = load_balancer.and_then(|l| l.external_traffic_policy.as_ref());
    if let Some(TrafficPolicy::Other(word)) = policy {
        return Some(unknown("loadBalancer.externalTrafficPolicy", word, TrafficPolicy::WORDS));
    }
    None
}

fn unknown(field: &str, word: &str, words: &[&str]) -> String {
    format!("{field}: {word:?} is not supported: use {}", words.join(" or "))
}

fn profile_fault(profile: &Arc<GatewayProfile>) -> Option<String> {
    let GatewayProfileSpec { proxy, load_balancer, paused: _, retain_on_delete: _ } = &profile.spec;
    let why = unserved(proxy.as_ref(), load_balancer.as_ref())?;
    Some(format!("GatewayProfile {}: {why}", Name::of(&profile.metadata)))
}

fn of_class<'a>(
    class: &GatewayClass,
    snapshot: &'a Snapshot,
) -> Result<Option<&'a Arc<GatewayProfile>>, String> {
    let Some(reference) = &class.spec.parameters_ref else { return Ok(None) };
    known_kind("parametersRef", &reference.group, &reference.kind)?;
    let Some(namespace) = reference.namespace.as_deref() else {
        return Err("parametersRef: namespace is missing".to_owned());
    };
    find("parametersRef", &Name::new(namespace, reference.name.as_str()), snapshot)
}

fn of_gateway<'a>(
    infrastructure: Option<&Infrastructure>,
    gateway: &Name,
    snapshot: &'a Snapshot,
) -> Result<Option<&'a Arc<GatewayProfile>>, String> {
    let reference =
        infrastructure.and_then(|infrastructure| infrastructure.parameters_ref.as_ref());
    let Some(reference) = reference else { return Ok(None) };
    let field = "infrastructure.parametersRef";
    known_kind(field, &reference.group, &reference.kind)?;
    let name = Name::new(Arc::clone(&gateway.namespace), reference.name.as_str());
    find(field, &name, snapshot)
}

fn known_kind(field: &str, group: &str, kind: &str) -> Result<(), String> {
    let profile = Kind::GatewayProfile;
    if (group, kind) == (profile.group(), profile.name()) {
        return Ok(());
    }
    Err(format!(
        "{field}: {kind} of group {group:?} is not supported: name a GatewayProfile of group fairway.dev"
    ))
}

fn find<'a>(
    field: &str,
    name: &Name,
    snapshot: &'a Snapshot,
) -> Result<Option<&'a Arc<GatewayProfile>>, String> {
    let found = snapshot.gateway_profiles.get(name);
    found.map(Some).ok_or_else(|| format!("{field}: GatewayProfile {name} does not exist"))
}

fn proxy(over: ProxySpec, under: ProxySpec) -> ProxySpec {
    // A number and a range are two answers to one question.
    let counted = over.replicas.is_some() || over.autoscaling.is_some();
    let (replicas, autoscaling) = if counted {
        (over.replicas, over.autoscaling)
    } else {
        (under.replicas, under.autoscaling)
    };
    ProxySpec {
        engine: over.engine.or(under.engine),
        image: over.image.or(under.image),
        replicas,
        autoscaling,
        resources: over.resources.or(under.resources),
        placement: over.placement.or(under.placement),
        pod: match (over.pod, under.pod) {
            (Some(over), Some(under)) => Some(marks(over, under)),
            (over, under) => over.or(under),
        },
        rollout: over.rollout.or(under.rollout),
    }
}

fn load_balancer(over: LoadBalancerSpec, under: LoadBalancerSpec) -> LoadBalancerSpec {
    LoadBalancerSpec {
        kind: over.kind.or(under.kind),
        external_traffic_policy: over.external_traffic_policy.or(under.external_traffic_policy),
        labels: entries(over.labels, under.labels),
        annotations: entries(over.annotations, under.annotations),
    }
}

fn marks(over: Marks, under: Marks) -> Marks {
    Marks {
        labels: entries(over.labels, under.labels),
        annotations: entries(over.annotations, under.annotations),
    }
}

fn entries(
    over: BTreeMap<String, String>,
    mut under: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    under.extend(over);
    under
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::kind::decode;
    use serde_json::{Value, json};

    fn snapshot(class: &Value, own: &Value) -> Snapshot {
        let objects = [
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
                "metadata": {"name": "mine"},
                "spec": {
                    "controllerName": "fairway.dev/controller",
                    "parametersRef": {
                        "group": "fairway.dev", "kind": "GatewayProfile",
                        "name": "all", "namespace": "infra",
                    },
                },
            }),
            json!({
                "apiVersion": "fairway.dev/v1alpha1", "kind": "GatewayProfile",
                "metadata": {"name": "all", "namespace": "infra"}, "spec": class,
            }),
            json!({
                "apiVersion": "fairway.dev/v1alpha1", "kind": "GatewayProfile",
                "metadata": {"name": "big", "namespace": "shop"}, "spec": own,
            }),
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {
                    "gatewayClassName": "mine",
                    "infrastructure": {
                        "labels": {"team": "blue"},
                        "parametersRef": {
                            "group": "fairway.dev", "kind": "GatewayProfile", "name": "big",
                        },
                    },
                    "listeners": [],
                },
            }),
        ];
        Snapshot::new(objects.map(|object| decode(object).expect("an object that is known")))
    }

    #[test]
    fn the_gateways_profile_counts_field_by_field() {
        let class = json!({
            "paused": true, "retainOnDelete": true,
            "proxy": {
                "image": "a", "autoscaling": {"maxReplicas": 9},
                "pod": {"labels": {"a": "1", "b": "1"}},
            },
            "loadBalancer": {"annotations": {"x": "1"}},
        });
        let own = json!({
            "paused": false,
            "proxy": {"replicas": 3, "pod": {"labels": {"b": "2"}}},
            "loadBalancer": {"externalTrafficPolicy": "Local"},
        });
        let key = ObjectKey { kind: Kind::Gateway, name: Name::new("shop", "web") };
        let spec = fleet_spec(&snapshot(&class, &own), &key).expect("the Gateway is there");
        assert!(!spec.paused && spec.retain_on_delete);
        assert_eq!(spec.proxy.image.as_deref(), Some("a"));
        assert_eq!(spec.proxy.replicas, Some(3));
        assert_eq!(spec.proxy.autoscaling, None);
        let labels = spec.proxy.pod.expect("both have it").labels;
        assert_eq!(
            labels.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned()),]
        );
        assert_eq!(spec.load_balancer.annotations["x"], "1");
        assert_eq!(spec.load_balancer.external_traffic_policy, Some(TrafficPolicy::Local));
        assert_eq!(spec.marks.labels["team"], "blue");
    }
}
