//! The node's own object: made, kept alive, and removed.

use std::{net::Ipv4Addr, time::Duration};

use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::{Namespace, Node},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

const MANAGER: &str = "fairway-lab-node";

/// Where the kubelets' leases are.
const LEASES: &str = "kube-node-lease";

/// kubelet's own rhythm: the lease every ten seconds, the node's status every five minutes.
const HEARTBEAT: Duration = Duration::from_secs(10);
const STATUS: u32 = 30;

/// Makes the node's object, or takes over the one that is there.
pub(super) async fn register(
    client: &Client,
    name: &str,
    address: Ipv4Addr,
    port: u16,
) -> Result<(), kube::Error> {
    let nodes = Api::<Node>::all(client.clone());
    let parameters = PatchParams::apply(MANAGER).force();
    let labels = json!({"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"});
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
    nodes.patch(name, &parameters, &Patch::Apply(node)).await?;
    write_status(client, name, address, port).await?;
    let namespaces = Api::<Namespace>::all(client.clone());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LEASES}});
    namespaces.patch(LEASES, &parameters, &Patch::Apply(namespace)).await?;
    renew(client, name).await
}

async fn write_status(
    client: &Client,
    name: &str,
    address: Ipv4Addr,
    port: u16,
) -> Result<(), kube::Error> {
    let now = Time(Timestamp::now());
    let conditions: Vec<serde_json::Value> = [
        ("Ready", "True", "KubeletReady"),
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ]
    .iter()
    .map(|(kind, status, reason)| {
        json!({"type": kind, "status": status, "reason": reason, "message": "", "lastHeartbeatTime": now,
            "lastTransitionTime": now})
    })
    .collect();
    let room = json!({"cpu": "64", "memory": "64Gi", "pods": "1000", "ephemeral-storage": "64Gi"});
    let status = json!({"status": {
        "conditions": conditions,
        "addresses": [{"type": "InternalIP", "address": address.to_string()}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "capacity": room,
        "allocatable": room,
    }});
    let nodes = Api::<Node>::all(client.clone());
    nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(status)).await.map(drop)
}

async fn renew(client: &Client, name: &str) -> Result<(), kube::Error> {
    let leases = Api::<Lease>::namespaced(client.clone(), LEASES);
    let lease = Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.to_owned()),
            lease_duration_seconds: Some(40),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }),
    };
    leases.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(lease)).await.map(drop)
}

/// Keeps the node alive for as long as it is polled.
pub(super) async fn keep(client: Client, name: String, address: Ipv4Addr, port: u16) {
    let mut beats = 0_u32;
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        beats = beats.wrapping_add(1);
        let mut result = renew(&client, &name).await;
        if result.is_ok() && beats.is_multiple_of(STATUS) {
            result = write_status(&client, &name, address, port).await;
        }
        if let Err(error) = result {
            tracing::warn!("heartbeat of node {name}: {error}");
        }
    }
}

/// Takes the node's object away.
pub(super) async fn remove(client: &Client, name: &str) {
    if let Err(error) =
        Api::<Node>::all(client.clone()).delete(name, &DeleteParams::default()).await
    {
        tracing::debug!("delete node {name}: {error}");
    }
}
