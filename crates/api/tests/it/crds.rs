//! Fairway's CRDs are what `charts/` holds, and structural. `FAIRWAY_CRDS=update` (`cargo xtask crds`)
//! writes them there.

use std::env;
use std::fs;
use std::path::Path;

use fairway_api::crd;
use serde_json::Value;

#[test]
fn the_chart_holds_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/fairway/crds");
    if env::var("FAIRWAY_CRDS").is_ok_and(|word| word == "update") {
        write(&folder);
    }
    for (name, yaml) in crd::files() {
        let written = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(written == yaml, "{name} is stale: run `cargo xtask crds`");
    }
    let count = fs::read_dir(&folder).unwrap().count();
    assert_eq!(count, crd::files().len(), "a file of no CRD is in {}", folder.display());
}

/// Makes the folder hold these files and no others.
fn write(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, yaml) in crd::files() {
        fs::write(folder.join(name), yaml).unwrap();
    }
}

#[test]
fn schemas_are_structural() {
    for (kind, definition) in crd::all() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        check(schema, &mut format!("{}/{kind}", kind.group()));
    }
}

/// Each place has a type, no reference and no union: what an API server asks of a structural schema.
fn check(schema: &Value, path: &mut String) {
    let fields = schema.as_object().unwrap_or_else(|| panic!("{path} is no schema"));
    for keyword in ["$ref", "$schema", "nullable", "const"] {
        assert!(!fields.contains_key(keyword), "{path} has {keyword}");
    }
    let typed = fields.get("type").is_some_and(Value::is_string);
    let either = fields.contains_key("x-kubernetes-int-or-string");
    assert!(typed || either, "{path} has no single type: {schema}");
    let length = path.len();
    if let Some(Value::Object(properties)) = fields.get("properties") {
        for (name, property) in properties {
            path.push('.');
            path.push_str(name);
            check(property, path);
            path.truncate(length);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get(keyword).filter(|inner| inner.is_object()) {
            path.push_str("[]");
            check(inner, path);
            path.truncate(length);
        }
    }
}
