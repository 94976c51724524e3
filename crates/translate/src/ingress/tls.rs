//! Certificates that Ingresses bring: each is shown on the HTTPS listeners of the Gateways that serve the
//! Ingress, beside those listeners' own, wherever its hosts and the listener's have something in common.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::ingress::Ingress;
use fairway_model::host::HostPattern;

use super::class;
use crate::hostname;
use crate::listener::certificate::{Key, Keyring};
use crate::object::{Kind, Name};
use crate::refs::Asker;
use crate::snapshot::Snapshot;

/// A certificate of an Ingress, with the hosts it is for.
pub(crate) struct Brought {
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) key: Key,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Certificates {
    /// By class of their Ingress, the older Ingress's first.
    pub(crate) by_class: BTreeMap<Arc<str>, Vec<Brought>>,
    /// Ingresses that name Secrets which are missing or broken.
    pub(crate) troubles: BTreeMap<Name, Arc<str>>,
}

/// Finds the certificates for each class that a Gateway of ours serves.
pub(crate) fn certificates(
    snapshot: &Snapshot,
    classes: &BTreeSet<Arc<str>>,
    keyring: &mut Keyring<'_>,
) -> Certificates {
    let mut all = Certificates::default();
    if classes.is_empty() {
        return all;
    }
    let with_tls = snapshot.ingresses.iter().filter(|(_, ingress)| !ingress.spec.tls.is_empty());
    let mut ingresses: Vec<(&Name, &Arc<Ingress>)> = with_tls.collect();
    ingresses.sort_by_key(|(_, ingress)| ingress.metadata.created());
    for (name, ingress) in ingresses {
        let Some(class) = class::of(ingress, snapshot).filter(|class| classes.contains(class))
        else {
            continue;
        };
        for tls in &ingress.spec.tls {
            // Without a Secret the listener's own certificate is meant.
            let Some(secret) = tls.secret_name.as_deref() else { continue };
            let asker = Asker { kind: Kind::Ingress, namespace: &name.namespace };
            match keyring.certificate(asker, ("", Kind::Secret.name()), (None, secret)) {
                Ok(key) => {
                    let hosts = hosts(&tls.hosts);
                    all.by_class
                        .entry(Arc::clone(&class))
                        .or_default()
                        .push(Brought { hosts, key });
                }
                Err(trouble) => {
                    let message = format!("tls.secretName: {}", trouble.message());
                    all.troubles.entry(name.clone()).or_insert_with(|| message.into());
                }
            }
        }
    }
    all
}

fn hosts(written: &[String]) -> Vec<HostPattern> {
    if written.is_empty() {
        return vec![HostPattern::Any];
    }
    written.iter().filter_map(|host| hostname::parse_single_label(Some(host))).collect()
}

/// Gives the certificates for a listener's hostname.
pub(crate) fn for_hostname<'a>(
    brought: &'a [Brought],
    hostname: &HostPattern,
) -> impl Iterator<Item = &'a Key> {
    let fits = |brought: &&Brought| {
        brought.hosts.iter().any(|host| hostname::intersect(host, hostname).is_some())
    };
    brought.iter().filter(fits).map(|brought| &brought.key)
}
