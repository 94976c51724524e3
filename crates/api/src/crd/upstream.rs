//! The upstream schemas that Fairway's CRDs start from: experimental channel, version v1.

use serde_json::{Map, Value};

use crate::vendor::{self, Channel, Version};

/// Gives the schema of a kind by its plural.
///
/// # Panics
/// The kind is not vendored. The tests build every CRD, so they would see it.
pub(super) fn schema(release: Version, plural: &str) -> Map<String, Value> {
    let name = format!("gateway.networking.k8s.io_{plural}");
    let crds = vendor::gateway_api(release, Channel::Experimental);
    let (_, yaml) =
        crds.iter().find(|(file, _)| *file == name).expect("the kind is among the vendored ones");
    let mut definition: Value = serde_saphyr::from_str(yaml).expect("upstream's YAML is valid");
    let versions = definition["spec"]["versions"].as_array_mut().expect("a CRD has versions");
    let version =
        versions.iter_mut().find(|version| version["name"] == "v1").expect("v1 is served");
    match version["schema"]["openAPIV3Schema"].take() {
        Value::Object(schema) => schema,
        other => unreachable!("a schema is an object, not {other}"),
    }
}
