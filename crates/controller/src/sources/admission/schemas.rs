//! The kinds that are read, with their schemas: from CRDs, and from our own words for built-in ones.

use std::collections::BTreeMap;

use fairway_api::vendor::{Channel, Version as Release, gateway_api};
use serde_json::{Map, Value, json};

use super::structural::{Compiler, Node};
use crate::sources::yaml;

/// Schemas of the kinds that Kubernetes has without CRDs, in the form of CRDs.
const BUILT_IN: &str = include_str!("built_in.yaml");

/// All kinds that are read.
#[derive(Debug)]
pub struct Schemas {
    kinds: BTreeMap<(String, String), KindSchema>,
}

/// One kind.
#[derive(Debug)]
pub(crate) struct KindSchema {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    pub(crate) origin: Origin,
    /// The most mature first; that one is what objects of all versions become.
    pub(crate) versions: Vec<Version>,
}

/// Who defines a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    BuiltIn,
    Custom,
}

#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) served: bool,
    /// Whether `status` is written by controllers only.
    pub(crate) has_status: bool,
    pub(crate) root: Node,
    /// The same version in a newer release of its API.
    pub(crate) newer: Option<Box<Node>>,
}

/// A text among the CRDs that is none.
#[derive(Debug, thiserror::Error)]
#[error("reading CRDs, line {line}: {message}")]
pub struct SchemaError {
    line: usize,
    message: String,
}

impl Schemas {
    /// Reads CRDs, one or several to a text; what is no CRD is skipped. The built-in kinds are
    /// always there. Of a kind that comes twice the later one counts.
    ///
    /// # Errors
    ///
    /// When a text is no YAML.
    pub fn from_crds<'a, I>(crds: I) -> Result<Self, SchemaError>
    where
        I: IntoIterator<Item = &'a str>,
    {
        let mut schemas = Self { kinds: BTreeMap::new() };
        schemas.read(BUILT_IN, Origin::BuiltIn)?;
        for text in crds {
            schemas.read(text, Origin::Custom)?;
        }
        Ok(schemas)
    }

    /// The kinds of Gateway API v1.6.3, of v1.7.0 as the newer release, and our own.
    ///
    /// # Panics
    ///
    /// Never, as a test shows: the CRDs are part of the program.
    pub fn bundled() -> Self {
        let texts = |version| gateway_api(version, Channel::Experimental).iter().map(|(_, t)| *t);
        let mut schemas = Self::from_crds(texts(Release::V1_6_3))
            .and_then(|schemas| schemas.with_newer(texts(Release::V1_7_0)))
            .expect("the CRDs are part of the program, and are YAML");
        let mut compiler = Compiler::new();
        for (_, crd) in fairway_api::crd::all() {
            schemas.insert(&mut compiler, crd, Origin::Custom);
        }
        schemas
    }

    /// Adds a newer release of CRDs: objects that use what only it knows are held to it, and kinds
    /// that only it has are read.
    ///
    /// # Errors
    ///
    /// When a text is no YAML.
    pub fn with_newer<'a, I>(mut self, crds: I) -> Result<Self, SchemaError>
    where
        I: IntoIterator<Item = &'a str>,
    {
        for (id, newer) in Self::from_crds(crds)?.kinds {
            if newer.origin == Origin::BuiltIn {
                continue;
            }
            match self.kinds.get_mut(&id) {
                Some(known) => known.add_newer(newer),
                None => drop(self.kinds.insert(id, newer)),
            }
        }
        Ok(self)
    }

    fn read(&mut self, text: &str, origin: Origin) -> Result<(), SchemaError> {
        let documents = yaml::parse(text)
            .map_err(|error| SchemaError { line: error.position.line, message: error.message })?;
        let mut compiler = Compiler::new();
        for document in documents {
            self.insert(&mut compiler, document.value, origin);
        }
        Ok(())
    }

    fn insert(&mut self, compiler: &mut Compiler, crd: Value, origin: Origin) {
        if let Some(kind) = KindSchema::of(compiler, crd, origin) {
            self.kinds.insert((kind.group.clone(), kind.kind.clone()), kind);
        }
    }

    pub(crate) fn find(&self, group: &str, kind: &str) -> Option<&KindSchema> {
        // The key owns its texts; looking up by borrowed ones would need a wrapper of its own.
        self.kinds.get(&(group.to_owned(), kind.to_owned()))
    }

    /// The kinds of a group.
    pub(crate) fn of_group(&self, group: &str) -> impl Iterator<Item = &KindSchema> {
        self.kinds.values().filter(move |kind| kind.group == group)
    }

    /// The kinds of that name, whatever their group.
    pub(crate) fn named(&self, kind: &str) -> impl Iterator<Item = &KindSchema> {
        self.kinds.values().filter(move |schema| schema.kind == kind)
    }

    /// The schemas of all kinds, versions and releases.
    #[cfg(test)]
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Node> {
        let versions = self.kinds.values().flat_map(|kind| &kind.versions);
        versions.flat_map(|v| std::iter::once(&v.root).chain(v.newer.as_deref()))
    }

    /// Groups and kinds that are read.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kinds.keys().map(|(group, kind)| (group.as_str(), kind.as_str()))
    }
}

impl KindSchema {
    fn of(compiler: &mut Compiler, mut crd: Value, origin: Origin) -> Option<Self> {
        if crd.get("kind")? != "CustomResourceDefinition" {
            return None;
        }
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let group = text("/spec/group")?;
        let kind = text("/spec/names/kind")?;
        let namespaced = text("/spec/scope")? == "Namespaced";
        let mut versions: Vec<Version> = crd
            .pointer_mut("/spec/versions")?
            .as_array_mut()?
            .iter_mut()
            .filter_map(|version| Version::of(compiler, version))
            .collect();
        versions
            .sort_by_key(|version| std::cmp::Reverse((version.served, maturity(&version.name))));
        Some(Self { group, kind, namespaced, origin, versions })
    }

    fn add_newer(&mut self, newer: Self) {
        for version in newer.versions {
            if let Some(known) = self.versions.iter_mut().find(|known| known.name == version.name) {
                known.newer = Some(Box::new(version.root));
            }
        }
    }

    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.served && version.name == name)
    }

    /// The version that objects are handed on in.
    pub(crate) fn preferred(&self) -> Option<&Version> {
        self.versions.first().filter(|version| version.served)
    }

    /// `apiVersion` of a version of this kind.
    pub(crate) fn api_version(&self, version: &Version) -> String {
        if self.group.is_empty() {
            return version.name.clone();
        }
        format!("{}/{}", self.group, version.name)
    }
}

impl Version {
    fn of(compiler: &mut Compiler, version: &mut Value) -> Option<Self> {
        let name = version.get("name")?.as_str()?.to_owned();
        let served = version.get("served")?.as_bool()?;
        let has_status = version.pointer("/subresources/status").is_some();
        let schema = version.pointer_mut("/schema/openAPIV3Schema")?;
        let fields = schema.as_object_mut()?.entry("properties").or_insert_with(|| json!({}));
        add_root_fields(fields.as_object_mut()?);
        Some(Self { name, served, has_status, root: compiler.compile(schema), newer: None })
    }
}

/// What every object has at its root; CRDs say nothing of it.
fn add_root_fields(fields: &mut Map<String, Value>) {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let open = json!({"x-kubernetes-preserve-unknown-fields": true});
    let metadata = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "namespace": {"type": "string"},
            "labels": texts,
            "annotations": texts,
            "creationTimestamp": {"type": "string", "format": "date-time"},
            "finalizers": open, "ownerReferences": open, "managedFields": open,
            "uid": open, "resourceVersion": open, "generation": open, "selfLink": open,
            "deletionTimestamp": open, "deletionGracePeriodSeconds": open,
        },
    });
    fields.insert("metadata".to_owned(), metadata);
    fields.insert("apiVersion".to_owned(), json!({"type": "string"}));
    fields.insert("kind".to_owned(), json!({"type": "string"}));
}

/// Orders versions as Kubernetes does: stable over beta over alpha, later over earlier, and what is
/// no such version last.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority>
fn maturity(name: &str) -> (u8, u32, u32) {
    let Some(rest) = name.strip_prefix('v') else { return (0, 0, 0) };
    let (stage, parts) = match (rest.split_once("beta"), rest.split_once("alpha")) {
        (Some(parts), _) => (2, parts),
        (None, Some(parts)) => (1, parts),
        (None, None) => (3, (rest, "0")),
    };
    match (parts.0.parse(), parts.1.parse()) {
        (Ok(major), Ok(minor)) => (stage, major, minor),
        _ => (0, 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::Kind;

    #[test]
    fn stable_versions_come_first() {
        let mut names = ["v1alpha2", "foo", "v1", "v2beta1", "v2", "v1beta3", "v1beta1"];
        names.sort_by_key(|name| std::cmp::Reverse(maturity(name)));
        assert_eq!(names, ["v2", "v1", "v2beta1", "v1beta3", "v1beta1", "v1alpha2", "foo"]);
    }

    #[test]
    fn the_built_in_kinds_are_known() {
        let schemas = Schemas::from_crds([]).unwrap();
        for (group, kind, namespaced) in [
            ("", "Service", true),
            ("", "Secret", true),
            ("", "ConfigMap", true),
            ("", "Namespace", false),
            ("discovery.k8s.io", "EndpointSlice", true),
            ("networking.k8s.io", "Ingress", true),
            ("networking.k8s.io", "IngressClass", false),
        ] {
            assert_eq!(schemas.find(group, kind).map(|k| k.namespaced), Some(namespaced), "{kind}");
        }
        assert!(schemas.find("apps", "Deployment").is_none());
    }

    #[test]
    fn every_kind_can_be_decoded_in_its_preferred_version() {
        let schemas = Schemas::bundled();
        for schema in schemas.kinds.values() {
            let version = schema.api_version(schema.preferred().unwrap());
            let found = Kind::find(&version, &schema.kind);
            assert!(found.is_some(), "{} {version}", schema.kind);
            assert_eq!(found.map(Kind::is_namespaced), Some(schema.namespaced));
        }
    }

    #[test]
    fn what_is_no_yaml_is_an_error() {
        assert_eq!(
            Schemas::from_crds(["a: b\n  c: d"]).map(|_| ()).unwrap_err().to_string(),
            "reading CRDs, line 2: not valid YAML: mapping values are not allowed in this context"
        );
    }
}
