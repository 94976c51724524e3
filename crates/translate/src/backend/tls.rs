//! BackendTLSPolicies: which one holds for a port of a Service, and what it comes to (GEP-1897).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::policy::{
    BackendTlsPolicy, BackendTlsValidation, SubjectAltNameType, WellKnownCaCertificates,
};
use fairway_model::cluster::{Authorities, BackendTls, SubjectAltName};
use fairway_model::host::HostPattern;
use fairway_model::{Secret, SecretId};

use crate::hostname;
use crate::listener::certificate::{Key, Keyring, Trouble};
use crate::object::{Kind, Name, ObjectKey};
use crate::policy::attach::{Target, winners};
use crate::refs::Asker;
use crate::snapshot::Snapshot;
use crate::verdict::{Conditions, ObjectVerdicts, Reason};

/// A policy that holds for some backend.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TlsPolicy {
    /// What it comes to, or why it cannot be carried out.
    pub(crate) tls: Result<BackendTls, Arc<str>>,
}

/// All policies, by target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TlsStage {
    /// By Service, and name of the port; an empty name for the whole Service.
    by_target: BTreeMap<(Name, Arc<str>), TlsPolicy>,
    /// Policies by the Service that they are about, whether they hold or not: the Gateways whose routes
    /// use the Service are the policy's ancestors.
    about: BTreeMap<Name, BTreeSet<Name>>,
    /// Bundles of authorities by Id, for those that are used.
    pub(crate) secrets: BTreeMap<SecretId, Arc<Secret>>,
    /// What is said about each policy, for whatever ancestor.
    pub(crate) said: BTreeMap<Name, Arc<ObjectVerdicts>>,
}

impl TlsStage {
    /// Gives the policies that are about a Service.
    pub(crate) fn about(&self, service: &Name) -> impl Iterator<Item = &Name> {
        self.about.get(service).into_iter().flatten()
    }

    /// Finds the policy for a port: one for the port itself before one for the whole Service.
    pub(crate) fn find(&self, service: &Name, port: Option<&str>) -> Option<&TlsPolicy> {
        if self.by_target.is_empty() {
            return None;
        }
        let target = |section: &str| (service.clone(), Arc::from(section));
        let own = port.filter(|port| !port.is_empty());
        own.and_then(|port| self.by_target.get(&target(port)))
            .or_else(|| self.by_target.get(&target("")))
    }
}

/// Looks at all policies.
pub(crate) fn stage(snapshot: &Snapshot, keyring: &mut Keyring<'_>) -> TlsStage {
    let mut stage = TlsStage::default();
    let targets = snapshot.backend_tls_policies.iter().flat_map(|(name, policy)| {
        policy.spec.target_refs.iter().map(move |reference| Target {
            policy: name,
            created: policy.metadata.created(),
            group: &reference.group,
            kind: &reference.kind,
            name: Name::new(Arc::clone(&name.namespace), reference.name.as_str()),
            section: reference.section_name.as_deref().unwrap_or_default(),
        })
    });
    let targets: Vec<Target<'_>> = targets.collect();
    let winners = winners(&targets);
    for (name, policy) in &*snapshot.backend_tls_policies {
        let mut conditions = Conditions::default();
        let tls = one(name, policy, keyring, &mut conditions, &mut stage.secrets);
        let own = targets.iter().filter(|target| target.policy == name);
        for target in own {
            say_target(target, &winners, snapshot, &mut conditions);
            let is_service =
                (target.group, target.kind) == (Kind::Service.group(), Kind::Service.name());
            if is_service {
                stage.about.entry(target.name.clone()).or_default().insert(name.clone());
            }
            if is_service && winners.get(&target.place()) == Some(&name) {
                let place = (target.name.clone(), Arc::from(target.section));
                let held = TlsPolicy { tls: tls.clone() };
                stage.by_target.insert(place, held);
            }
        }
        conditions.say(Reason::Accepted, "");
        conditions.say(Reason::ResolvedRefs, "");
        let said = ObjectVerdicts {
            generation: policy.metadata.generation,
            conditions,
            ..ObjectVerdicts::default()
        };
        stage.said.insert(name.clone(), Arc::new(said));
    }
    stage
}

fn say_target(
    target: &Target<'_>,
    winners: &BTreeMap<(&str, &str, Name, &str), &Name>,
    snapshot: &Snapshot,
    conditions: &mut Conditions,
) {
    if (target.group, target.kind) != (Kind::Service.group(), Kind::Service.name()) {
        let (group, kind) = (target.group, target.kind);
        let message =
            format!("targetRefs: {kind} of group {group:?} is not supported: name a Service");
        conditions.say(Reason::PolicyInvalid, message);
        return;
    }
    let service = snapshot.services.get(&target.name);
    let Some(service) = service else {
        let message = format!("targetRefs: Service {} does not exist", target.name);
        conditions.say(Reason::TargetNotFound, message);
        return;
    };
    let has_port = service.spec.ports.iter().any(|p| p.name.as_deref() == Some(target.section));
    if !target.section.is_empty() && !has_port {
        let message =
            format!("targetRefs: Service {} has no port named {}", target.name, target.section);
        conditions.say(Reason::TargetNotFound, message);
    }
    if let Some(winner) = winners.get(&target.place()).filter(|winner| **winner != target.policy) {
        let message = format!("BackendTLSPolicy {winner} came first for Service {}", target.name);
        conditions.say(Reason::PolicyConflicted, message);
    }
}

fn one(
    name: &Name,
    policy: &BackendTlsPolicy,
    keyring: &mut Keyring<'_>,
    conditions: &mut Conditions,
    secrets: &mut BTreeMap<SecretId, Arc<Secret>>,
) -> Result<BackendTls, Arc<str>> {
    let validation = &policy.spec.validation;
    let broken = |why: &str| Arc::<str>::from(format!("BackendTLSPolicy {name}: {why}"));
    let Some(HostPattern::Exact(hostname)) = hostname::parse(Some(&validation.hostname)) else {
        let why = format!("validation.hostname: {:?} is no hostname", validation.hostname);
        conditions.say(Reason::PolicyInvalid, why.as_str());
        return Err(broken(&why));
    };
    let subject_alt_names = subject_alt_names(validation).map_err(|why| {
        conditions.say(Reason::PolicyInvalid, why.as_str());
        broken(&why)
    })?;
    let authorities = match &validation.well_known_ca_certificates {
        Some(WellKnownCaCertificates::System) => Authorities::System,
        Some(WellKnownCaCertificates::Other(word)) => {
            let why =
                format!("validation.wellKnownCACertificates: {word} is not known: use System");
            conditions.say(Reason::PolicyInvalid, why.as_str());
            return Err(broken(&why));
        }
        None => {
            let asker = Asker { kind: Kind::BackendTlsPolicy, namespace: &name.namespace };
            let keys = bundles(validation, asker, keyring, conditions);
            if keys.is_empty() {
                let why = "validation.caCertificateRefs: none of them can be used";
                conditions.say(Reason::NoValidCaCertificate, why);
                return Err(broken(why));
            }
            let ids = keys.iter().map(|(id, _)| id.clone()).collect();
            secrets.extend(keys);
            Authorities::Bundles(ids)
        }
    };
    Ok(BackendTls { hostname, authorities, subject_alt_names })
}

fn subject_alt_names(validation: &BackendTlsValidation) -> Result<Vec<SubjectAltName>, String> {
    let one = |name: &fairway_api::policy::SubjectAltName| match (
        &name.kind,
        &name.hostname,
        &name.uri,
    ) {
        (SubjectAltNameType::Hostname, Some(text), _) => hostname::parse(Some(text))
            .filter(|pattern| *pattern != HostPattern::Any)
            .map(|pattern| SubjectAltName::Dns(pattern.to_string().into()))
            .ok_or_else(|| format!("validation.subjectAltNames: {text:?} is no hostname")),
        (SubjectAltNameType::Uri, _, Some(uri)) if !uri.is_empty() => {
            Ok(SubjectAltName::Uri(uri.as_str().into()))
        }
        (SubjectAltNameType::Other(word), _, _) => {
            Err(format!("validation.subjectAltNames: type {word} is not known"))
        }
        (kind @ (SubjectAltNameType::Hostname | SubjectAltNameType::Uri), _, _) => {
            Err(format!("validation.subjectAltNames: type {kind} without its value"))
        }
    };
    validation.subject_alt_names.iter().map(one).collect()
}

fn bundles(
    validation: &BackendTlsValidation,
    asker: Asker<'_>,
    keyring: &mut Keyring<'_>,
    conditions: &mut Conditions,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for reference in &validation.ca_certificate_refs {
        let kind = (reference.group.as_str(), reference.kind.as_str());
        match keyring.authorities(asker, kind, (None, &reference.name)) {
            Ok(key) => keys.push(key),
            Err(trouble) => {
                let reason = match trouble {
                    Trouble::Kind(_) => Reason::InvalidKind,
                    Trouble::NotPermitted(_) => Reason::RefNotPermitted,
                    Trouble::Broken(_) => Reason::InvalidCaCertificateRef,
                };
                let message = format!("validation.caCertificateRefs: {}", trouble.message());
                conditions.say(reason, message);
            }
        }
    }
    keys
}

/// Gives the key under which a policy's verdicts stand.
pub(crate) fn key(name: &Name) -> ObjectKey {
    ObjectKey { kind: Kind::BackendTlsPolicy, name: name.clone() }
}
