//! How fleets are, read from what the cluster has of them. Pure.

use fairway_translate::status::{FleetOutcome, PodOutcome};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

use super::Settings;
use super::desired::Fleet;
use super::seen::Seen;

/// Says how a fleet is; nothing before its Deployments and pods were listed.
pub(super) fn fact(
    fleet: &Fleet,
    settings: &Settings,
    seen: &Seen,
    refused: Option<&str>,
) -> Option<FleetOutcome> {
    if !["Deployment", "Pod"].iter().all(|kind| seen.listed.contains(kind)) {
        return None;
    }
    let (namespace, name) = (fleet.key.name.namespace.as_ref(), fleet.name());
    let deployment = seen.get("Deployment", namespace, &name).map(|deployment| &deployment.data);
    let live = |pointer: &str| deployment.and_then(|d| d.pointer(pointer)).and_then(Value::as_u64);
    let count = |pointer: &str| live(pointer).and_then(|count| u32::try_from(count).ok());
    let wanted = fleet.replicas(settings).or_else(|| {
        let (fewest, _) = fleet.range()?;
        u32::try_from(fewest).ok()
    });
    let mut pods: Vec<PodOutcome> = seen
        .pods(namespace, &name)
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .map(|pod| pod_fact(pod))
        .collect();
    pods.sort();
    let ready = pods.iter().filter(|pod| pod.ready).count();
    let trouble = refused.map(str::to_owned).or_else(|| trouble(deployment?));
    Some(FleetOutcome {
        desired: count("/spec/replicas").or(wanted).unwrap_or_default(),
        ready: u32::try_from(ready).unwrap_or(u32::MAX),
        updated: count("/status/updatedReplicas").unwrap_or_default(),
        paused: fleet.spec.paused,
        trouble: trouble.map(Into::into),
        pods,
    })
}

/// Reads from a Deployment's conditions why it does not come about.
fn trouble(deployment: &Value) -> Option<String> {
    let conditions = deployment.pointer("/status/conditions")?.as_array()?;
    let says = |kind: &str, status: &str| {
        let found = conditions.iter().find(|c| c["type"] == kind && c["status"] == status)?;
        Some(found["message"].as_str().unwrap_or_default().to_owned())
    };
    says("ReplicaFailure", "True").or_else(|| says("Progressing", "False"))
}

fn pod_fact(pod: &DynamicObject) -> PodOutcome {
    let containers = pod.data.pointer("/status/containerStatuses").and_then(Value::as_array);
    let container = containers.and_then(|all| all.iter().find(|one| one["name"] == "proxy"));
    let restarts = container.and_then(|one| one["restartCount"].as_u64()).unwrap_or_default();
    let restarts = u32::try_from(restarts).unwrap_or(u32::MAX);
    let ready = condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True");
    let name = pod.name_any();
    if ready {
        return PodOutcome { ready, name, restarts, ..PodOutcome::default() };
    }
    let (reason, message) = why(pod, container);
    PodOutcome { ready, name, reason, message, restarts }
}

/// Says why a pod is not ready: what is nearest to the cause.
fn why(pod: &DynamicObject, container: Option<&Value>) -> (String, String) {
    let said = |value: &Value| {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("message"))
    };
    let status = &pod.data["status"];
    // An eviction, say.
    if status["phase"] == "Failed" && status["reason"].is_string() {
        return said(status);
    }
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|c| c["status"] == "False") {
        return said(scheduled);
    }
    let state = container.map(|container| &container["state"]);
    if let Some(waiting) = state.and_then(|state| state.get("waiting")) {
        let (reason, message) = said(waiting);
        let last = container.and_then(|container| container.pointer("/lastState/terminated"));
        let ended = last.map(|last| format!("it ended with code {}", last["exitCode"]));
        return (reason, Some(message).filter(|m| !m.is_empty()).or(ended).unwrap_or_default());
    }
    if let Some(ended) = state.and_then(|state| state.get("terminated")) {
        let (reason, _) = said(ended);
        return (reason, format!("it ended with code {}", ended["exitCode"]));
    }
    match condition(pod, "Ready") {
        Some(ready) => said(ready),
        None => (status["phase"].as_str().unwrap_or("Pending").to_owned(), String::new()),
    }
}

fn condition<'a>(pod: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let all = pod.data.pointer("/status/conditions")?.as_array()?;
    all.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &Value) -> PodOutcome {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": status,
        });
        pod_fact(&serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn a_pod_says_what_is_nearest_to_the_cause() {
        let not_ready = json!({
            "type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "not yet",
        });
        let cases = [
            (json!({"phase": "Pending"}), "Pending", ""),
            (json!({"phase": "Failed", "reason": "Evicted", "message": "disk"}), "Evicted", "disk"),
            (json!({"conditions": [not_ready]}), "ContainersNotReady", "not yet"),
            (
                json!({"conditions": [not_ready, {
                    "type": "PodScheduled", "status": "False",
                    "reason": "Unschedulable", "message": "0/3 nodes are available",
                }]}),
                "Unschedulable",
                "0/3 nodes are available",
            ),
            (
                json!({"conditions": [not_ready], "containerStatuses": [{
                    "name": "proxy", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 2}},
                }]}),
                "CrashLoopBackOff",
                "it ended with code 2",
            ),
        ];
        for (status, reason, message) in cases {
            let fact = pod(&status);
            assert!(!fact.ready);
            assert_eq!((fact.reason.as_str(), fact.message.as_str()), (reason, message));
        }
        let fact = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!(fact, PodOutcome { ready: true, name: "p".to_owned(), ..PodOutcome::default() });
    }

    #[test]
    fn a_quota_is_told() {
        let deployment = json!({"status": {"conditions": [
            {"type": "Progressing", "status": "True", "message": "fine"},
            {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"},
        ]}});
        assert_eq!(trouble(&deployment).as_deref(), Some("exceeded quota: small"));
        assert_eq!(trouble(&json!({})), None);
    }
}
