//! What all kinds of route have in common, Ingress included: attachment, references and statuses see
//! only this.

use std::sync::Arc;

use fairway_api::meta::ObjectMeta;
use fairway_api::reference::ParentReference;
use fairway_model::host::HostPattern;

use crate::hostname;
use crate::object::{Kind, ObjectKey};
use crate::refs::Asker;

/// See the module.
#[derive(Debug)]
pub(crate) struct RouteHead<'a> {
    pub(crate) key: ObjectKey,
    /// The kind of Gateway API route that it means: a TrafficRoute's by its protocol.
    pub(crate) speaks: Kind,
    pub(crate) generation: i64,
    /// Seconds since 1970: the older route wins a conflict.
    pub(crate) created: i64,
    pub(crate) parents: &'a [ParentReference],
    pub(crate) hostnames: Vec<HostPattern>,
    /// Hostnames that are none, as written.
    pub(crate) bad_hostnames: Vec<&'a str>,
    /// `namespace/name`, for ranks.
    pub(crate) object: Arc<str>,
    /// Name of the kind, for origins.
    pub(crate) kind_name: Arc<str>,
}

impl<'a> RouteHead<'a> {
    /// Reads a head; `single_label` says that a wildcard in a hostname stands for one label.
    pub(crate) fn new(
        (key, speaks): (ObjectKey, Kind),
        metadata: &ObjectMeta,
        parents: &'a [ParentReference],
        hostnames: &'a [String],
        single_label: bool,
    ) -> Self {
        let mut read = Vec::with_capacity(hostnames.len());
        let mut bad_hostnames = Vec::new();
        for text in hostnames {
            match hostname::parse(Some(text)) {
                Some(pattern) if single_label => read.push(hostname::single_label(pattern)),
                Some(pattern) => read.push(pattern),
                None => bad_hostnames.push(text.as_str()),
            }
        }
        Self {
            speaks,
            generation: metadata.generation,
            created: metadata.created(),
            parents,
            hostnames: read,
            bad_hostnames,
            object: format!("{}/{}", key.name.namespace, key.name.name).into(),
            kind_name: key.kind.name().into(),
            key,
        }
    }

    /// Gives who asks when this route names other objects.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker { kind: self.key.kind, namespace: &self.key.name.namespace }
    }
}
