//! From a reference to the object: one resolver for everybody. It is told who asks, since a reference
//! into another namespace needs a ReferenceGrant there that names the asker.

use std::sync::Arc;

use crate::object::{Kind, Name, ObjectKey};
use crate::snapshot::{Snapshot, Table};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) kind: Kind,
    pub(crate) namespace: &'a str,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) name: Name,
    pub(crate) object: Arc<T>,
}

/// Why nothing was found. The text says what and where, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// No ReferenceGrant allows it. Nothing is said about whether the object exists.
    NotPermitted(String),
    /// There is no such object, or it cannot be read.
    NotFound(String),
}

impl Unresolved {
    pub(crate) fn into_message(self) -> String {
        match self {
            Self::NotPermitted(message) | Self::NotFound(message) => message,
        }
    }
}

/// Looks an object of `kind` up in its table.
pub(crate) fn resolve<T>(
    snapshot: &Snapshot,
    asker: Asker<'_>,
    kind: Kind,
    table: &Table<T>,
    (namespace, name): (Option<&str>, &str),
) -> Result<Found<T>, Unresolved> {
    let name = Name::new(namespace.unwrap_or(asker.namespace), name);
    if *name.namespace != *asker.namespace {
        grant(snapshot, asker, kind, &name)?;
    }
    match table.get(&name) {
        Some(object) => Ok(Found { object: Arc::clone(object), name }),
        None => Err(Unresolved::NotFound(missing(snapshot, &ObjectKey { kind, name }))),
    }
}

/// What cannot be read is not said to be missing.
fn missing(snapshot: &Snapshot, key: &ObjectKey) -> String {
    match snapshot.unreadable.get(key) {
        Some(why) => format!("{key} {why}"),
        None => format!("{key} does not exist"),
    }
}

/// Finds the ReferenceGrant that lets the asker name this object.
pub(crate) fn grant(
    snapshot: &Snapshot,
    asker: Asker<'_>,
    kind: Kind,
    name: &Name,
) -> Result<Name, Unresolved> {
    let allows = |grant: &fairway_api::grant::ReferenceGrant| {
        let from = grant.spec.from.iter().any(|from| {
            from.group == asker.kind.group()
                && from.kind == asker.kind.name()
                && from.namespace == asker.namespace
        });
        from && grant.spec.to.iter().any(|to| {
            to.group == kind.group()
                && to.kind == kind.name()
                && to.name.as_deref().is_none_or(|only| *only == *name.name)
        })
    };
    let there = Snapshot::in_namespace(&snapshot.reference_grants, &name.namespace);
    there.filter(|(_, grant)| allows(grant)).map(|(grant, _)| grant.clone()).next().ok_or_else(
        || {
            Unresolved::NotPermitted(format!(
                "no ReferenceGrant in namespace {} allows {} in namespace {} to refer to {} {}",
                name.namespace,
                shown(asker.kind),
                asker.namespace,
                kind.name(),
                name.name,
            ))
        },
    )
}

/// Our kind of Gateway is told from Gateway API's by its group, which a grant has to name.
fn shown(kind: Kind) -> String {
    let group = if kind == Kind::FairwayGateway { ".fairway.dev" } else { "" };
    format!("{}{group}", kind.name())
}
