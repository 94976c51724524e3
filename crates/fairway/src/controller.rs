//! `fairway controller`: the loop on a cluster.

use std::collections::BTreeSet;

use anyhow::Context;
use fairway_controller::cluster::{Options, run};
use fairway_controller::drivers::fleet;
use fairway_controller::leader::{self, election::Terms};
use fairway_controller::sources::cluster as source;
use fairway_translate::address::{Claiming, Pool};
#[cfg(debug_assertions)]
use fairway_translate::{Kind, Name};
use fairway_translate::{ObjectKey, Settings};

use crate::cli::ControllerArgs;
use crate::run::signals::Signals;

/// Name of the Lease.
const LEASE: &str = "fairway-controller";

/// Runs until a signal asks to end; a second one does not wait.
///
/// # Errors
/// It could not begin: there is no cluster to ask, or an address is taken.
pub(crate) async fn controller(args: ControllerArgs) -> anyhow::Result<()> {
    let signals = Signals::listen().context("listening for signals")?;
    let client = kube::Client::try_default()
        .await
        .context("finding the cluster: there is neither a ServiceAccount nor a kubeconfig")?;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, name = args.name, stream = %args.stream, "watching the cluster");
    let running = run(options(client, args), signals.at_least(1));
    tokio::select! {
        ended = running => Ok(ended?),
        () = signals.at_least(2) => Ok(()),
    }
}

fn options(client: kube::Client, args: ControllerArgs) -> Options {
    let planted_fault = planted_fault(&args);
    let secret_namespaces: BTreeSet<String> = args.secret_namespaces.into_iter().collect();
    Options {
        client,
        translate: Settings {
            // In a cluster a class is ours by its object alone, and others may be there too.
            default_classes: BTreeSet::new(),
            alone: false,
            planted_fault,
            pool: Pool { ranges: args.address_pools, open: false },
            claims: Claiming::On,
            ..Settings::for_files()
        },
        source: source::Settings {
            secret_namespaces: Some(secret_namespaces).filter(|namespaces| !namespaces.is_empty()),
            accept_deletions: args.accept_deletions,
            service_account: format!("{}/fairway-controller", args.namespace),
            ..source::Settings::default()
        },
        leader: leader::Settings {
            namespace: args.namespace,
            name: LEASE.to_owned(),
            identity: args.name,
            terms: Terms::default(),
        },
        fleet: fleet::Settings {
            image: args.image,
            replicas: args.replicas,
            controller: args.advertise,
        },
        stream: args.stream,
        admin: args.admin.0,
        health: args.health,
    }
}

#[cfg(debug_assertions)]
fn planted_fault(args: &ControllerArgs) -> Option<ObjectKey> {
    let planted = args.planted_fault.as_ref()?;
    let name = Name::new(planted.namespace.as_str(), planted.name.as_str());
    Some(ObjectKey { kind: Kind::HttpRoute, name })
}

/// What is released fails by itself or not at all.
#[cfg(not(debug_assertions))]
const fn planted_fault(_args: &ControllerArgs) -> Option<ObjectKey> {
    None
}
