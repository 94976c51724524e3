//! What other controllers write into statuses stays as it is when ours are written anew: entries of routes and
//! policies, conditions of Gateways and of their listeners. Not a test of its own: it wants a cluster that serves.

use serde_json::Value;

use super::Cluster;

const CONDITION: &str = r#"{"type": "example.com/Seen", "status": "True", "reason": "Seen", "message": "theirs",
    "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}"#;

/// Where another controller writes, and what has ours write anew.
struct Place {
    object: &'static str,
    /// The list that it adds an entry to.
    list: &'static str,
    /// Ours of the same object, by generation.
    generations: &'static str,
    /// A change of the spec.
    change: &'static str,
}

const ENTRIES: [Place; 2] = [
    Place {
        object: "httproute/retries",
        list: "parents",
        generations: "{.status.parents[?(@.controllerName=='fairway.dev/controller')].conditions[*].observedGeneration}",
        change: r#"[{"op": "add", "path": "/spec/hostnames/-", "value": "retry-too.example"}]"#,
    },
    Place {
        object: "backendtlspolicy/sealed",
        list: "ancestors",
        generations: "{.status.ancestors[?(@.controllerName=='fairway.dev/controller')].conditions[*].observedGeneration}",
        change: r#"[{"op": "replace", "path": "/spec/validation/hostname", "value": "other.example"}]"#,
    },
];

fn patch(cluster: &Cluster, object: &str, more: &[&str], patch: &str) {
    let patch = format!("--patch={patch}");
    let arguments = ["--namespace=shop", "patch", object, "--type=json", &patch];
    cluster.kubectl(&[&arguments[..], more].concat());
}

/// Adds an entry to a list of the status.
fn write(cluster: &Cluster, object: &str, list: &str, entry: &Value) {
    let text = format!(r#"[{{"op": "add", "path": "/status/{list}/-", "value": {entry}}}]"#);
    patch(cluster, object, &["--subresource=status"], &text);
}

fn status(cluster: &Cluster, object: &str) -> Value {
    serde_json::from_str(&cluster.get(object, "{.status}")).expect("a status")
}

fn holds(list: &Value, entry: &Value) -> bool {
    list.as_array().is_some_and(|entries| entries.contains(entry))
}

/// Needs the HTTPRoute `retries`, the BackendTLSPolicy `sealed` and a Gateway, all of them in the namespace
/// `shop` and in their first generation.
pub(super) fn entries_of_others_stay(cluster: &Cluster, gateway: &str) {
    let condition: Value = serde_json::from_str(CONDITION).expect("a condition");
    for Place { object, list, generations, change } in ENTRIES {
        cluster.until(object, |cluster| !cluster.get(object, generations).is_empty());
        let parent = if list == "parents" { "parentRef" } else { "ancestorRef" };
        let entry = serde_json::json!({
            "controllerName": "example.com/other",
            parent: {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "theirs"},
            "conditions": [condition],
        });
        write(cluster, object, list, &entry);
        patch(cluster, object, &[], change);
        cluster.until(object, |cluster| {
            let seen = cluster.get(object, generations);
            !seen.is_empty() && seen.split(' ').all(|generation| generation == "2")
        });
        let status = status(cluster, object);
        assert!(holds(&status[list], &entry), "{object}: {status}");
    }
    write(cluster, gateway, "conditions", &condition);
    write(cluster, gateway, "listeners/0/conditions", &condition);
    let more = r#"[{"op": "add", "path": "/spec/listeners/-",
        "value": {"name": "more", "port": 81, "protocol": "HTTP"}}]"#;
    patch(cluster, gateway, &[], more);
    cluster.until("our own words about the change", |cluster| {
        cluster.get(gateway, "{.status.listeners[*].name}").contains("more")
    });
    let status = status(cluster, gateway);
    assert!(holds(&status["conditions"], &condition), "{status}");
    assert!(holds(&status["listeners"][0]["conditions"], &condition), "{status}");
}
