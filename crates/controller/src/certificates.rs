//! Self-signed certificates for TLS Secrets that listeners name and nobody has made: for trying things
//! out on a laptop (`--generate-certificates`, `fairway demo`), never in a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fairway_api::AnyObject;
use fairway_api::core::Secret;
use fairway_api::gateway::{Listener, TlsMode};
use fairway_api::meta::ObjectMeta;
use fairway_translate::object::Name;
use fairway_translate::snapshot::Snapshot;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// What a certificate answers for when its listener names no host.
const ANY_HOST: &str = "localhost";

/// Makes certificates and remembers them, so that each Secret gets the same one for as long as its
/// hosts are the same.
#[derive(Debug, Default)]
pub struct Certificates {
    made: BTreeMap<Name, Made>,
    fresh: Vec<(Name, String)>,
}

#[derive(Debug)]
struct Made {
    hosts: BTreeSet<String>,
    secret: Arc<Secret>,
}

impl Certificates {
    /// Gives a Secret for each one that a listener or an Ingress names and the snapshot lacks.
    ///
    /// # Errors
    /// No key could be made: the system gives no randomness.
    pub fn missing(&mut self, snapshot: &Snapshot) -> Result<Vec<AnyObject>, rcgen::Error> {
        let mut secrets = Vec::new();
        for (name, hosts) in wanted(snapshot) {
            if snapshot.secrets.contains_key(&name) {
                continue;
            }
            let known = self.made.get(&name).filter(|made| made.hosts == hosts);
            let secret = match known {
                Some(made) => Arc::clone(&made.secret),
                None => self.make(&name, hosts)?,
            };
            secrets.push(AnyObject::Secret(secret));
        }
        Ok(secrets)
    }

    /// Gives what was made since the last call: the Secret's name, and its certificate in PEM.
    pub fn take_fresh(&mut self) -> Vec<(Name, String)> {
        std::mem::take(&mut self.fresh)
    }

    fn make(&mut self, name: &Name, hosts: BTreeSet<String>) -> Result<Arc<Secret>, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts.iter().cloned().collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, format!("Fairway {name}"));
        // Its own authority, so that curl's --cacert takes it.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let pem = params.self_signed(&key)?.pem();
        let value = |text: &str| STANDARD.encode(text);
        let secret = Arc::new(Secret {
            metadata: ObjectMeta {
                name: name.name.as_ref().to_owned(),
                namespace: Some(name.namespace.as_ref().to_owned()),
                ..ObjectMeta::default()
            },
            kind: Some("kubernetes.io/tls".to_owned()),
            data: BTreeMap::from([
                ("tls.crt".to_owned(), value(&pem)),
                ("tls.key".to_owned(), value(&key.serialize_pem())),
            ]),
        });
        self.made.insert(name.clone(), Made { hosts, secret: Arc::clone(&secret) });
        self.fresh.push((name.clone(), pem));
        Ok(secret)
    }
}

/// Lists the Secrets that are named, with the hosts that each has to answer for.
fn wanted(snapshot: &Snapshot) -> BTreeMap<Name, BTreeSet<String>> {
    let mut wanted = BTreeMap::new();
    for (name, gateway) in snapshot.gateways.iter() {
        want(&mut wanted, &name.namespace, &gateway.spec.listeners);
    }
    for (name, gateway) in snapshot.fairway_gateways.iter() {
        want(&mut wanted, &name.namespace, &gateway.spec.listeners);
    }
    for (name, set) in snapshot.listener_sets.iter() {
        want(&mut wanted, &name.namespace, &set.spec.listeners);
    }
    for (name, ingress) in snapshot.ingresses.iter() {
        for tls in &ingress.spec.tls {
            if let Some(secret) = &tls.secret_name {
                let secret = Name::new(Arc::clone(&name.namespace), secret.as_str());
                wanted.entry(secret).or_default().extend(tls.hosts.iter().cloned());
            }
        }
    }
    for hosts in wanted.values_mut().filter(|hosts| hosts.is_empty()) {
        hosts.insert(ANY_HOST.to_owned());
    }
    wanted
}

fn want(wanted: &mut BTreeMap<Name, BTreeSet<String>>, namespace: &str, listeners: &[Listener]) {
    for listener in listeners {
        let Some(tls) = &listener.tls else { continue };
        if tls.mode == Some(TlsMode::Passthrough) {
            continue;
        }
        for reference in &tls.certificate_refs {
            if !reference.group().is_empty() || reference.kind() != "Secret" {
                continue;
            }
            let namespace = reference.namespace.as_deref().unwrap_or(namespace);
            let secret = Name::new(namespace, reference.name.as_str());
            wanted.entry(secret).or_default().extend(listener.hostname.clone());
        }
    }
}
