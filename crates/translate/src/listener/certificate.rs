//! From references to key material: certificates in Secrets, authorities in ConfigMaps. Parsing is what
//! costs, so the result of each object is kept as long as the object is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::core::{ConfigMap, Secret};
use fairway_model::SecretId;

use crate::object::{Kind, Name, ObjectKey, slug};
use crate::refs::{Asker, Found, Unresolved, resolve};
use crate::secret;
use crate::snapshot::{Snapshot, Table};

/// Key material with its Id in the model.
pub(crate) type Key = (SecretId, Arc<fairway_model::Secret>);

/// Why a reference gives no key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The kind holds none.
    Kind(String),
    /// No ReferenceGrant allows it.
    NotPermitted(String),
    /// The object is missing or broken.
    Broken(String),
}

impl Trouble {
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Kind(message) | Self::NotPermitted(message) | Self::Broken(message) => message,
        }
    }
}

impl From<Unresolved> for Trouble {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::NotPermitted(message) => Self::NotPermitted(message),
            Unresolved::NotFound(message) => Self::Broken(message),
        }
    }
}

#[derive(Clone, Debug)]
struct Checked<T> {
    source: Arc<T>,
    result: Result<Arc<fairway_model::Secret>, Arc<str>>,
}

/// What is known of the objects that were looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyMemo {
    certificates: BTreeMap<Name, Checked<Secret>>,
    bundles: BTreeMap<Name, Checked<ConfigMap>>,
}

/// Looks key material up.
pub(crate) struct Keyring<'a> {
    snapshot: &'a Snapshot,
    before: Option<&'a KeyMemo>,
    known: KeyMemo,
    wanted: BTreeSet<ObjectKey>,
}

impl<'a> Keyring<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, before: Option<&'a KeyMemo>) -> Self {
        Self { snapshot, before, known: KeyMemo::default(), wanted: BTreeSet::new() }
    }

    /// Gives what the next plan may take over, and the objects that were asked for with permission, whether
    /// they are there or not.
    pub(crate) fn finish(self) -> (KeyMemo, BTreeSet<ObjectKey>) {
        (self.known, self.wanted)
    }

    fn resolve<T>(
        &mut self,
        asker: Asker<'_>,
        kind: Kind,
        table: &Table<T>,
        (namespace, name): (Option<&str>, &str),
    ) -> Result<Found<T>, Unresolved> {
        let result = resolve(self.snapshot, asker, kind, table, (namespace, name));
        if !matches!(result, Err(Unresolved::NotPermitted(_))) {
            let name = Name::new(namespace.unwrap_or(asker.namespace), name);
            self.wanted.insert(ObjectKey { kind, name });
        }
        result
    }

    /// Finds a certificate with its key, in a Secret.
    pub(crate) fn certificate(
        &mut self,
        asker: Asker<'_>,
        (group, kind): (&str, &str),
        (namespace, name): (Option<&str>, &str),
    ) -> Result<Key, Trouble> {
        if (group, kind) != (Kind::Secret.group(), Kind::Secret.name()) {
            return Err(wrong_kind(group, kind, "a certificate is a Secret"));
        }
        let table = &self.snapshot.secrets;
        let found = self.resolve(asker, Kind::Secret, table, (namespace, name))?;
        let before = self.before.map(|memo| &memo.certificates);
        let known = &mut self.known.certificates;
        let result = look_up(known, before, &found.name, &found.object, check_certificate);
        let secret =
            result.map_err(|flaw| Trouble::Broken(format!("Secret {} {flaw}", found.name)))?;
        Ok((id(Kind::Secret, &found.name), secret))
    }

    /// Finds a bundle of authorities, in a ConfigMap.
    pub(crate) fn authorities(
        &mut self,
        asker: Asker<'_>,
        (group, kind): (&str, &str),
        (namespace, name): (Option<&str>, &str),
    ) -> Result<Key, Trouble> {
        if (group, kind) != (Kind::ConfigMap.group(), Kind::ConfigMap.name()) {
            return Err(wrong_kind(group, kind, "authorities are a ConfigMap"));
        }
        let table = &self.snapshot.config_maps;
        let found = self.resolve(asker, Kind::ConfigMap, table, (namespace, name))?;
        let before = self.before.map(|memo| &memo.bundles);
        let known = &mut self.known.bundles;
        let result = look_up(known, before, &found.name, &found.object, check_bundle);
        let secret =
            result.map_err(|flaw| Trouble::Broken(format!("ConfigMap {} {flaw}", found.name)))?;
        Ok((id(Kind::ConfigMap, &found.name), secret))
    }
}

fn id(kind: Kind, name: &Name) -> SecretId {
    SecretId::new(format!("{}/{}/{}", slug(kind), name.namespace, name.name))
}

fn wrong_kind(group: &str, kind: &str, rule: &str) -> Trouble {
    let dot = if group.is_empty() { "" } else { "." };
    Trouble::Kind(format!("{kind}{dot}{group} is not supported here: {rule}"))
}

fn look_up<T>(
    known: &mut BTreeMap<Name, Checked<T>>,
    before: Option<&BTreeMap<Name, Checked<T>>>,
    name: &Name,
    source: &Arc<T>,
    check: impl FnOnce(&T) -> Result<fairway_model::Secret, String>,
) -> Result<Arc<fairway_model::Secret>, Arc<str>> {
    if let Some(checked) = known.get(name) {
        return checked.result.clone();
    }
    let kept = before.and_then(|memo| memo.get(name));
    let result = match kept.filter(|kept| Arc::ptr_eq(&kept.source, source)) {
        Some(kept) => kept.result.clone(),
        None => check(source).map(Arc::new).map_err(Arc::from),
    };
    let checked = Checked { source: Arc::clone(source), result: result.clone() };
    known.insert(name.clone(), checked);
    result
}

fn check_certificate(object: &Secret) -> Result<fairway_model::Secret, String> {
    let value = |key: &str| object.value(key).ok_or_else(|| format!("has no {key}"));
    secret::certificate(&value("tls.crt")?, &value("tls.key")?)
}

fn check_bundle(object: &ConfigMap) -> Result<fairway_model::Secret, String> {
    let bundle = object.data.get("ca.crt").ok_or("has no ca.crt")?;
    secret::authorities(bundle.as_bytes(), "ca.crt")
}
