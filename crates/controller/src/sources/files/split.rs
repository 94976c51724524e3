//! `kind: List` is a way to write several objects as one.

use serde_json::Value;

use crate::sources::field::{FieldPath, Step};
use crate::sources::yaml::{Document, Places};

/// One object as written.
pub(super) struct Piece {
    pub(super) document: usize,
    pub(super) value: Value,
    pub(super) places: Places,
}

/// The objects of a document: itself, or the items of a list of any kind, as kubectl takes them.
pub(super) fn split(mut document: Document) -> Vec<Piece> {
    let kind = document.value.get("kind").and_then(Value::as_str).unwrap_or_default();
    let item_kind = kind.strip_suffix("List").map(str::to_owned);
    let items = document.value.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
    let (Some(item_kind), Some(items)) = (item_kind, items) else {
        return vec![Piece {
            document: document.index,
            value: document.value,
            places: document.places,
        }];
    };
    let api_version = document.value.get("apiVersion").cloned();
    let piece = |(index, mut value): (usize, Value)| {
        // Items of a typed list, as an API server returns it, do not repeat what they are.
        if let (false, Some(fields)) = (item_kind.is_empty(), value.as_object_mut()) {
            fields.entry("kind").or_insert_with(|| Value::String(item_kind.clone()));
            if let Some(api_version) = &api_version {
                fields.entry("apiVersion").or_insert_with(|| api_version.clone());
            }
        }
        let path = FieldPath(vec![Step::Key("items".to_owned()), Step::Index(index)]);
        let places = document.places.below(&path).cloned();
        let places = places.unwrap_or_else(|| document.places.clone());
        Piece { document: document.index, value, places }
    };
    items.into_iter().enumerate().map(piece).collect()
}
