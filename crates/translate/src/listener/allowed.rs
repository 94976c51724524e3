//! Which namespaces may hang routes on a listener, or ListenerSets on a Gateway.

use std::collections::BTreeMap;

use fairway_api::gateway::{FromNamespaces, NamespacesFrom};
use fairway_api::meta::LabelSelector;

use crate::object::Name;
use crate::snapshot::Snapshot;

/// The label that every namespace carries, with its own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Namespaces that are let in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AllowedNamespaces {
    /// None at all.
    None,
    /// The object's own.
    Same,
    /// All of them.
    All,
    /// Those with these labels.
    Selected(LabelSelector),
    /// Something that we cannot read lets nobody in.
    Unknown,
}

impl AllowedNamespaces {
    /// Reads what the user wrote; absent means `default`.
    pub(crate) fn read(written: Option<&FromNamespaces>, default: Self) -> Self {
        let Some(written) = written else { return default };
        match &written.from {
            None => default,
            Some(NamespacesFrom::Same) => Self::Same,
            Some(NamespacesFrom::All) => Self::All,
            Some(NamespacesFrom::None) => Self::None,
            Some(NamespacesFrom::Selector) => {
                written.selector.clone().map_or(Self::Unknown, Self::Selected)
            }
            Some(NamespacesFrom::Other(_)) => Self::Unknown,
        }
    }

    /// Says whether `namespace` is let in by an object in `own`.
    pub(crate) fn hold(&self, namespace: &str, own: &str, snapshot: &Snapshot) -> bool {
        match self {
            Self::None | Self::Unknown => false,
            Self::Same => namespace == own,
            Self::All => true,
            Self::Selected(selector) => selects(selector, namespace, snapshot),
        }
    }
}

/// Says whether a selector means a namespace, by the labels of its object.
pub(crate) fn selects(selector: &LabelSelector, namespace: &str, snapshot: &Snapshot) -> bool {
    let object = snapshot.namespaces.get(&Name::new("", namespace));
    match object {
        Some(object) if object.metadata.labels.contains_key(NAME_LABEL) => {
            selector.matches(&object.metadata.labels)
        }
        // The API server puts the label on every namespace; a directory of files need not.
        object => {
            let mut labels = object.map_or_else(BTreeMap::new, |o| o.metadata.labels.clone());
            labels.insert(NAME_LABEL.to_owned(), namespace.to_owned());
            selector.matches(&labels)
        }
    }
}
