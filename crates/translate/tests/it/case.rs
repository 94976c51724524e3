//! A golden case as data: the objects and settings above its `# expect` line, and what they give.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fairway_api::AnyObject;
use fairway_api::kind::decode;
use fairway_model::GatewayId;
use fairway_translate::address::Claiming;
use fairway_translate::status::Outcomes;
use fairway_translate::{Held, Name, ObjectKey, Plan, Settings, Snapshot, translate};
use serde_json::Value;

use super::statuses;

/// What separates objects from expectation.
pub(crate) const MARK: &str = "---\n# expect\n";

/// Objects and settings of a case.
pub(crate) struct Case {
    pub(crate) objects: Vec<AnyObject>,
    pub(crate) settings: Settings,
    pub(crate) held: Held,
    /// What data planes answered, where a case is about statuses.
    pub(crate) outcomes: Option<Outcomes>,
}

impl Case {
    /// Reads the documents of a case, those of its folder's `_defaults.yaml` first.
    pub(crate) fn read(path: &Path, input: &str) -> Self {
        let defaults = path.with_file_name("_defaults.yaml");
        let defaults = fs::read_to_string(defaults).unwrap_or_default();
        let mut case = Self {
            objects: Vec::new(),
            settings: Settings::for_files(),
            held: Held::new(),
            outcomes: None,
        };
        for text in documents(&defaults).chain(documents(input)) {
            let value: Value = serde_saphyr::from_str(&filled(text))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if value.is_null() {
                continue;
            }
            if value.get("kind").is_some_and(|kind| kind == "Settings") {
                case.set(&value);
                continue;
            }
            if value.get("kind").is_some_and(|kind| kind == "Outcomes") {
                case.outcomes = Some(statuses::outcomes(&value));
                continue;
            }
            let object =
                decode(value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            // An object of the case stands in for the default one of its name.
            case.objects.retain(|known| key(known) != key(&object));
            case.objects.push(object);
        }
        case
    }

    /// `kind: Settings`, with the fields that a case may set.
    fn set(&mut self, value: &Value) {
        let settings = &mut self.settings;
        for (field, value) in value.as_object().unwrap() {
            let text = || value.as_str().unwrap();
            let list = |value: &Value| -> Vec<String> {
                value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
            };
            match field.as_str() {
                "kind" => {}
                "alone" => settings.alone = value.as_bool().unwrap(),
                "claims" => {
                    let impossible = || Claiming::Impossible(text().into());
                    settings.claims = value.as_bool().map_or_else(impossible, |claims| {
                        if claims { Claiming::On } else { Claiming::Off }
                    });
                }
                "open" => settings.pool.open = value.as_bool().unwrap(),
                "pool" => {
                    settings.pool.ranges = list(value).iter().map(|r| r.parse().unwrap()).collect();
                }
                "fault" => settings.planted_fault = Some(statuses::key(text())),
                "bundleVersion" => settings.bundle_version = Some(text().into()),
                "backends" => {
                    for (place, addresses) in value.as_object().unwrap() {
                        let (name, port) = place.rsplit_once(':').unwrap();
                        let (namespace, name) = name.split_once('/').unwrap();
                        let addresses =
                            list(addresses).iter().map(|a| a.parse().unwrap()).collect();
                        let key = (Name::new(namespace, name), port.parse().unwrap());
                        settings.service_backends.insert(key, addresses);
                    }
                }
                "held" => {
                    let held = value.as_object().unwrap().iter().map(|(gateway, addresses)| {
                        let addresses =
                            list(addresses).iter().map(|a| a.parse().unwrap()).collect();
                        (GatewayId::new(gateway.as_str()), addresses)
                    });
                    self.held = held.collect();
                }
                other => panic!("Settings has no field {other}"),
            }
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let snapshot = Snapshot::new(self.objects.iter().cloned());
        translate(&snapshot, &self.settings, &self.held, None)
    }
}

/// All cases: path, and name such as `http_route/redirect`.
pub(crate) fn all() -> BTreeMap<String, PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases = BTreeMap::new();
    for folder in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            let name = name.to_str().unwrap().to_owned();
            if !name.ends_with("/_defaults") && path.extension().is_some_and(|e| e == "yaml") {
                cases.insert(name, path);
            }
        }
    }
    cases
}

/// Names an object.
pub(crate) fn key(object: &AnyObject) -> ObjectKey {
    ObjectKey { kind: object.kind(), name: Name::of(object.metadata()) }
}

fn documents(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n---\n").map(|document| document.strip_prefix("---\n").unwrap_or(document))
}

/// Key material is made anew in each run and put where `$…` stands; expectations never show it.
static KEYS: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let pair = || {
        let made = rcgen::generate_simple_self_signed(["a.example.com".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let ((certificate, key), (authority, other)) = (pair(), pair());
    // A block scalar would depend on indentation; a quoted one does not.
    let bundle = Value::String(authority).to_string();
    BTreeMap::from([
        ("$CERTIFICATE", STANDARD.encode(certificate)),
        ("$KEY", STANDARD.encode(key)),
        ("$OTHER_KEY", STANDARD.encode(other)),
        ("$BUNDLE", bundle),
    ])
});

/// Puts key material in.
pub(crate) fn filled(text: &str) -> String {
    let fill = |text: String, (mark, value): (&&str, &String)| text.replace(mark, value);
    KEYS.iter().fold(text.to_owned(), fill)
}
