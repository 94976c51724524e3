//! Which class an Ingress is of: the field, the annotation from before it, or the default class.

use std::sync::Arc;

use fairway_api::ingress::{CLASS_ANNOTATION, DEFAULT_CLASS_ANNOTATION, Ingress};

use crate::snapshot::Snapshot;

/// Gives the name of the class; `None` when there is none.
pub(crate) fn of(ingress: &Ingress, snapshot: &Snapshot) -> Option<Arc<str>> {
    let annotation = ingress.metadata.annotations.get(CLASS_ANNOTATION);
    let named = ingress.spec.ingress_class_name.as_ref().or(annotation);
    named.map(|name| name.as_str().into()).or_else(|| default(snapshot))
}

/// Of several default classes the newest counts, then the first by name, as in the API server.
fn default(snapshot: &Snapshot) -> Option<Arc<str>> {
    let is_default = |annotations: &std::collections::BTreeMap<String, String>| {
        annotations.get(DEFAULT_CLASS_ANNOTATION).is_some_and(|value| value == "true")
    };
    let defaults = snapshot.ingress_classes.iter();
    let defaults = defaults.filter(|(_, class)| is_default(&class.metadata.annotations));
    defaults
        .min_by_key(|(name, class)| (-class.metadata.created(), Arc::clone(&name.name)))
        .map(|(name, _)| Arc::clone(&name.name))
}
