//! An object as the cluster's API gives it, on its way to one of ours. What cannot be read is said, and is
//! nobody else's trouble.

use fairway_api::AnyObject;
use fairway_api::kind::decode;
use fairway_translate::{Kind, Name};
use serde_json::Value;

use super::kinds;

/// Where kubectl keeps a copy of the whole object, for nobody but itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// See the module.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: Name,
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
    /// The object, or why it makes no sense.
    pub(super) object: Result<AnyObject, String>,
}

/// Reads an object of a kind that was asked for in this version; `None` when it has no name.
///
/// Lists of built-in kinds leave `apiVersion` and `kind` out of their items.
pub(super) fn read(kind: Kind, version: &str, mut value: Value) -> Option<Item> {
    let metadata = value.get("metadata")?;
    let text = |field: &str| metadata.get(field).and_then(Value::as_str);
    let name = Name::new(text("namespace").unwrap_or_default(), text("name")?);
    let uid = text("uid").map(ToOwned::to_owned);
    let resource_version = text("resourceVersion").map(ToOwned::to_owned);
    if let Value::Object(fields) = &mut value {
        let api_version = kinds::api_version(kind, version);
        fields.insert("apiVersion".to_owned(), Value::String(api_version));
        fields.insert("kind".to_owned(), Value::String(kind.name().to_owned()));
        let annotations = fields.get_mut("metadata").and_then(|all| all.get_mut("annotations"));
        if let Some(Value::Object(annotations)) = annotations {
            annotations.remove(LAST_APPLIED);
        }
    }
    let object = decode(value).map_err(|error| error.to_string());
    Some(Item { name, uid, version: resource_version, object })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_item_of_a_list_is_read_without_its_type() {
        let value = json!({"metadata": {"name": "cart", "namespace": "shop", "resourceVersion": "7",
            "annotations": {LAST_APPLIED: "{}", "a": "b"}}, "spec": {"ports": [{"port": 80}]}});
        let item = read(Kind::Service, "v1", value).expect("it has a name");
        assert_eq!(
            (item.name.to_string().as_str(), item.version.as_deref()),
            ("shop/cart", Some("7"))
        );
        let object = item.object.expect("a Service");
        assert_eq!(object.kind(), Kind::Service);
        let annotations: Vec<&str> =
            object.metadata().annotations.keys().map(String::as_str).collect();
        assert_eq!(annotations, ["a"], "nobody reads kubectl's copy of the object");
    }

    #[test]
    fn what_makes_no_sense_keeps_its_name() {
        let value = json!({"metadata": {"name": "a", "namespace": "b"}, "spec": {"rules": 7}});
        let item = read(Kind::HttpRoute, "v1", value).expect("it has a name");
        assert!(item.object.expect_err("rules is no list").contains("HTTPRoute"));
        assert!(read(Kind::HttpRoute, "v1", json!({"spec": {}})).is_none());
    }
}
