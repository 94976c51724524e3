//! What an API server does on write: defaults, checks, refuses. Pure: a value in, a review out.
//!
//! Not here: where the object stands (`files`), and what an API server stamps on it (`stamp`).
//!
//! Kinds that we do not read (Deployment, …) are left alone. Unknown fields are kept, as newer
//! versions of an API bring some, but warned of.

use std::sync::Arc;

use fairway_api::kind::{self, AnyObject};
use serde_json::Value;

mod built_in;
mod cel;
mod check;
mod default;
mod finding;
mod metadata;
mod nearest;
mod schemas;
mod structural;
mod unknown;

pub use finding::Finding;
pub use schemas::{SchemaError, Schemas};

use super::field::{FieldPath, Trail};
use super::key::{ObjectKey, split_api_version};
use super::problem::Severity;
use nearest::nearest;
use schemas::{KindSchema, Origin, Version};

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// What is admitted, by which schemas. One per thread: rules are evaluated with state of their own.
pub struct Admission {
    schemas: Arc<Schemas>,
    evaluator: cel::Evaluator,
}

/// Whether a document is an object of ours.
pub(crate) enum Identity<'a> {
    Known(ObjectKey, &'a KindSchema),
    /// Of a kind that is not read, with a warning where it looks like a slip.
    Ignored(Option<Finding>),
    /// It does not say what it is.
    Unclear(Finding),
}

/// What became of one object.
#[derive(Debug)]
pub struct Review {
    /// With defaults, in the kind's most mature version; `None` when refused.
    pub admitted: Option<AnyObject>,
    /// Errors, if refused; and warnings.
    pub findings: Vec<Finding>,
}

impl Admission {
    pub fn new(schemas: &Arc<Schemas>) -> Self {
        Self { schemas: Arc::clone(schemas), evaluator: cel::Evaluator::new() }
    }

    /// Says which object a document is; the cheap part.
    pub(crate) fn identify(&self, value: &Value) -> Identity<'_> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
        let path = FieldPath::root();
        if !value.is_object() {
            let finding = Finding::error(path, "is no Kubernetes object");
            return Identity::Unclear(finding.with_remedy("write a map with apiVersion and kind"));
        }
        let Some(kind) = text("kind") else {
            let finding = Finding::error(path.key("kind"), "is required");
            return Identity::Unclear(finding.with_remedy("add \"kind\", such as HTTPRoute"));
        };
        let Some(api_version) = text("apiVersion") else {
            let finding = Finding::error(path.key("apiVersion"), "is required");
            let schema = self.schemas.named(kind).next();
            let version = schema.and_then(|schema| Some(schema.api_version(schema.preferred()?)));
            let remedy = version.map(|version| format!("add \"apiVersion: {version}\""));
            return Identity::Unclear(finding.with_remedy_if(remedy));
        };
        let (group, _) = split_api_version(api_version);
        let Some(schema) = self.schemas.find(group, kind) else {
            return self.unknown_kind(group, kind);
        };
        let metadata = |name: &str| value.get("metadata")?.get(name)?.as_str();
        let Some(name) = metadata("name").filter(|name| !name.is_empty()) else {
            let finding = Finding::error(path.key("metadata").key("name"), "is required");
            return Identity::Unclear(finding.with_remedy("add \"name\", as text"));
        };
        let namespace = match metadata("namespace").filter(|namespace| !namespace.is_empty()) {
            _ if !schema.namespaced => "",
            Some(namespace) => namespace,
            None => DEFAULT_NAMESPACE,
        };
        Identity::Known(ObjectKey::new(group, kind, namespace, name), schema)
    }

    fn unknown_kind(&self, group: &str, kind: &str) -> Identity<'_> {
        let known: Vec<_> = self.schemas.of_group(group).collect();
        let names = known.iter().map(|schema| schema.kind.as_str());
        let near = nearest(kind, names).map(|near| format!("write \"kind: {near}\""));
        let remedy = near.or_else(|| {
            let schema = self.schemas.named(kind).find(|schema| schema.origin == Origin::Custom)?;
            Some(format!("write \"apiVersion: {}\"", schema.api_version(schema.preferred()?)))
        });
        let path = FieldPath::root().key("kind");
        let group = if group.is_empty() { "the core group" } else { group };
        let message = format!("there is no kind {kind} in {group}");
        if known.iter().any(|schema| schema.origin == Origin::Custom) {
            // In a group that we know wholly, a kind that we do not know is a mistake.
            return Identity::Unclear(Finding::error(path, message).with_remedy_if(remedy));
        }
        // Of others, only those whose name is all but one of ours in a group of ours.
        let slip = remedy.filter(|_| !known.is_empty());
        Identity::Ignored(slip.map(|remedy| Finding::warning(path, message).with_remedy(remedy)))
    }

    /// Defaults and checks an object that [`Self::identify`] knows.
    pub(crate) fn review(&self, key: &ObjectKey, schema: &KindSchema, raw: &Value) -> Review {
        let mut findings = Vec::new();
        let mut value = raw.clone();
        let version = match version_of(schema, raw) {
            Ok(version) => version,
            Err(finding) => return Review { admitted: None, findings: vec![finding] },
        };
        if let Some(fields) = value.as_object_mut() {
            if version.has_status {
                fields.remove("status");
            }
            if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                if !schema.namespaced && metadata.contains_key("namespace") {
                    let path = FieldPath::root().key("metadata").key("namespace");
                    let message = format!("a {} is in no namespace", schema.kind);
                    findings.push(Finding::warning(path, message).with_remedy("remove it"));
                }
                metadata::clean(metadata, &key.namespace);
            }
        }
        let root = unknown::check(version, &value, &mut findings);
        default::apply(root, &mut value);
        check::check(root, &value, Trail::Root, &mut findings);
        metadata::check(key, &value, &mut findings);
        // Rules and cross-field checks rely on the types being right.
        if !refused(&findings) {
            match schema.origin {
                Origin::BuiltIn => built_in::finish(&schema.kind, &mut value, &mut findings),
                Origin::Custom => self.evaluator.check(root, &value, &mut findings),
            }
        }
        if refused(&findings) {
            return Review { admitted: None, findings };
        }
        convert(schema, version, &mut value);
        match kind::decode(value) {
            Ok(object) => Review { admitted: Some(object), findings },
            // The schema is met, and still our types refuse it: better said than lost.
            Err(error) => {
                findings.push(Finding::error(FieldPath::root(), error.to_string()));
                Review { admitted: None, findings }
            }
        }
    }
}

fn refused(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

fn version_of<'a>(schema: &'a KindSchema, value: &Value) -> Result<&'a Version, Finding> {
    let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let (_, name) = split_api_version(api_version);
    schema.version(name).ok_or_else(|| {
        let served: Vec<_> = schema.versions.iter().filter(|version| version.served).collect();
        let path = FieldPath::root().key("apiVersion");
        let names: Vec<_> = served.iter().map(|version| version.name.as_str()).collect();
        let message = format!("{} has no version {name:?}, only {}", schema.kind, names.join(", "));
        let write = schema.preferred().map(|version| schema.api_version(version));
        let remedy = write.map(|version| format!("write \"apiVersion: {version}\""));
        Finding::error(path, message).with_remedy_if(remedy)
    })
}

/// Versions of one kind share their fields (conversion strategy `None`): only `apiVersion` changes,
/// and what the other version's defaults add.
fn convert(schema: &KindSchema, from: &Version, value: &mut Value) {
    let Some(to) = schema.preferred().filter(|to| to.name != from.name) else { return };
    if let Some(fields) = value.as_object_mut() {
        fields.insert("apiVersion".to_owned(), Value::String(schema.api_version(to)));
    }
    default::apply(&to.root, value);
}

#[cfg(test)]
mod tests;
