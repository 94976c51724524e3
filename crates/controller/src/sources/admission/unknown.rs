//! Fields that a schema does not know: kept, as newer versions have them, but told.

use serde_json::Value;

use super::check::MAX_FINDINGS;
use super::finding::Finding;
use super::nearest::nearest;
use super::schemas::Version;
use super::structural::{Node, Shape};
use crate::sources::field::Trail;

/// The fields that stand at the root of any object.
const ROOT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Warns of each field that the schema does not name, and says which schema that is: the newer one,
/// where the object uses what only that one knows.
pub(crate) fn check<'a>(
    version: &'a Version,
    value: &Value,
    findings: &mut Vec<Finding>,
) -> &'a Node {
    let mut unknown = Vec::new();
    let mut root = &version.root;
    find(root, value, Trail::Root, &mut unknown);
    if let (false, Some(newer)) = (unknown.is_empty(), &version.newer) {
        let mut fewer = Vec::new();
        find(newer, value, Trail::Root, &mut fewer);
        if fewer.len() < unknown.len() {
            (root, unknown) = (newer, fewer);
        }
    }
    findings.append(&mut unknown);
    root
}

fn find(node: &Node, value: &Value, trail: Trail<'_>, findings: &mut Vec<Finding>) {
    if findings.len() >= MAX_FINDINGS {
        return;
    }
    match value {
        // Where a list is wanted, that is the mistake, not its fields.
        Value::Object(_) if !matches!(node.shape, Shape::Object | Shape::Any) => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let trail = Trail::Key(&trail, name);
                match node.child(name) {
                    Some(child) => find(child, value, trail, findings),
                    None if node.open || is_root_field(node, &trail, name) => {}
                    None if findings.len() >= MAX_FINDINGS => return,
                    None => findings.push(unknown(node, name, trail)),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(child) = &node.items {
                    find(child, item, Trail::Index(&trail, index), findings);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_root_field(node: &Node, trail: &Trail<'_>, name: &str) -> bool {
    let root = node.embedded || matches!(trail, Trail::Key(Trail::Root, _));
    root && ROOT.contains(&name)
}

fn unknown(node: &Node, name: &str, trail: Trail<'_>) -> Finding {
    let finding = Finding::warning(trail.to_path(), "is not a known field, and does nothing");
    let near = nearest(name, node.properties.keys().map(AsRef::as_ref));
    finding.with_remedy_if(near.map(|near| format!("did you mean {near:?}?")))
}
