//! Text to documents: JSON values together with the place of every field.
//!
//! Own, on top of the parser that serde-saphyr uses, since nothing else gives both at once: the
//! place of each field for messages, and the YAML 1.1 habits of kubectl (`scalar`). Bounded in
//! depth, alias expansion and scalar size; never panics. What it is not for: Kubernetes.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Value};

use super::problem::Position;

mod place;
mod scalar;

pub use place::Places;

use place::Shape;

/// Deeper documents are refused; no Kubernetes schema is nearly as deep.
const MAX_DEPTH: usize = 100;
/// Bytes of one scalar: what etcd takes for a whole object.
const MAX_SCALAR: usize = 3 << 19;
/// How much aliases may add to a file, in nodes (64 bytes of text count as one more).
const MAX_EXPANSION: usize = 100_000;

/// One document that is not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Counted from 0 over all documents of the file, empty ones included.
    pub index: usize,
    pub value: Value,
    pub places: Places,
}

/// Why a text is no YAML, or more than we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub position: Position,
    pub message: String,
    pub remedy: Option<String>,
}

/// Reads all documents of a text; one mistake spoils the whole text.
pub fn parse(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    let limits = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(text, limits) {
        let (event, span) = event.map_err(|error| from_scan(&error, text))?;
        builder.take(event, position(&span))?;
    }
    Ok(builder.documents)
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn from_scan(error: &ScanError, text: &str) -> SyntaxError {
    let mark = error.marker();
    let position = Position { line: mark.line().max(1), column: mark.col() + 1 };
    let line = text.lines().nth(position.line - 1).unwrap_or_default();
    let indent = line.chars().take_while(|c| c.is_whitespace());
    let remedy = if indent.into_iter().any(|c| c == '\t') {
        Some("indent with spaces, not with tabs".to_owned())
    } else {
        None
    };
    let message = match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(),
        _ => format!("not valid YAML: {}", error.info()),
    };
    SyntaxError { position, message, remedy }
}

/// A value with its places, as it grows.
#[derive(Debug, Clone)]
struct Node {
    value: Value,
    places: Places,
}

/// A collection that is still open.
struct Frame {
    anchor: usize,
    at: Position,
    content: Content,
}

enum Content {
    List(Vec<Value>, Vec<Places>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    values: Map<String, Value>,
    fields: Vec<(String, Position, Places)>,
    /// What `<<` brings in; explicit keys win over it.
    merged: Vec<Node>,
    key: Option<Key>,
}

struct Key {
    name: String,
    at: Position,
    is_merge: bool,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Document>,
    seen: usize,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    expansion: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), SyntaxError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), at)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(anchor, at, Content::List(Vec::new(), Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor, at, Content::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            Event::DocumentEnd => {
                self.seen += 1;
                Ok(())
            }
            // Anchor and comment events are off; an unresolved alias is an error of the parser.
            _ => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, at: Position, content: Content) -> Result<(), SyntaxError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(refuse(at, too_deep(), None));
        }
        if self.expects_key() {
            let remedy = "write a plain name before the colon, and quote text that begins with \
                          \"{\" or \"[\"";
            return Err(refuse(at, "a field name may not be a list or a map", Some(remedy)));
        }
        self.stack.push(Frame { anchor, at, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        let Some(Frame { anchor, at, content }) = self.stack.pop() else { return Ok(()) };
        let node = match content {
            Content::List(values, items) => Node {
                value: Value::Array(values),
                places: Places { at, shape: Shape::List(items) },
            },
            Content::Map(map) => map.finish(at)?,
        };
        self.add(anchor, node, at)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), SyntaxError> {
        if text.len() > MAX_SCALAR {
            let remedy = "keep large data out of Kubernetes objects";
            return Err(refuse(at, "a value of more than 1.5 MiB", Some(remedy)));
        }
        let plain = style == ScalarStyle::Plain;
        let suffix = tag.and_then(Tag::core_suffix);
        let value = scalar::resolve(text, plain, suffix)
            .map_err(|message| refuse(at, message, Some("put the value in quotes")))?;
        if self.expects_key() {
            let is_merge = plain && text == "<<";
            let name = scalar::key_text(&value)
                .ok_or_else(|| refuse(at, "a field name is missing before the colon", None))?;
            return self.key(Key { name, at, is_merge });
        }
        // The source text helps to mend `0755` or `yes` where text was meant.
        let source = (plain && !value.is_string()).then(|| text.into());
        self.add(anchor, Node { value, places: Places { at, shape: Shape::Leaf(source) } }, at)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), SyntaxError> {
        let Some(mut node) = self.anchors.get(&anchor).cloned() else {
            return Err(refuse(at, "an alias inside of what it names", None));
        };
        self.charge(&node.value, at)?;
        if self.expects_key() {
            let name = scalar::key_text(&node.value)
                .ok_or_else(|| refuse(at, "a field name may not be a list or a map", None))?;
            return self.key(Key { name, at, is_merge: false });
        }
        node.places.at = at;
        self.add(0, node, at)
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Map(map), .. }) if map.key.is_none())
    }

    fn key(&mut self, key: Key) -> Result<(), SyntaxError> {
        if let Some(Frame { content: Content::Map(map), .. }) = self.stack.last_mut() {
            if map.values.contains_key(&key.name) {
                let first = map.fields.iter().find(|(name, ..)| *name == key.name);
                let line = first.map_or(0, |(_, at, _)| at.line);
                let message = format!("field {:?} is given twice, first in line {line}", key.name);
                return Err(refuse(key.at, message, Some("remove one of the two")));
            }
            map.key = Some(key);
        }
        Ok(())
    }

    fn add(&mut self, anchor: usize, node: Node, at: Position) -> Result<(), SyntaxError> {
        if anchor != 0 {
            // The copy that aliases are made from counts too, or nested anchors grow for free.
            self.charge(&node.value, at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None if node.value.is_null() => {}
            None => self.documents.push(Document {
                index: self.seen,
                value: node.value,
                places: node.places,
            }),
            Some(Content::List(values, items)) => {
                values.push(node.value);
                items.push(node.places);
            }
            Some(Content::Map(map)) => map.add(node),
        }
        Ok(())
    }

    fn charge(&mut self, value: &Value, at: Position) -> Result<(), SyntaxError> {
        self.expansion = self.expansion.saturating_add(weight(value));
        if self.expansion <= MAX_EXPANSION {
            return Ok(());
        }
        let message = "the file's anchors and aliases expand to far more than is written";
        Err(refuse(at, message, Some("write the values out")))
    }
}

impl OpenMap {
    fn add(&mut self, node: Node) {
        let Some(Key { name, at, is_merge }) = self.key.take() else { return };
        if is_merge {
            self.merged.push(node);
        } else {
            self.fields.push((name.clone(), at, node.places));
            self.values.insert(name, node.value);
        }
    }

    /// Applies merge keys as YAML 1.1 has them: <https://yaml.org/type/merge.html>.
    fn finish(mut self, at: Position) -> Result<Node, SyntaxError> {
        for node in std::mem::take(&mut self.merged) {
            match (node.value, node.places.shape) {
                (Value::Object(values), Shape::Map(fields)) => self.merge(values, fields),
                (Value::Array(values), Shape::List(items)) => {
                    for (value, places) in values.into_iter().zip(items) {
                        let (Value::Object(values), Shape::Map(fields)) = (value, places.shape)
                        else {
                            return Err(refuse(places.at, "\"<<\" takes maps only", None));
                        };
                        self.merge(values, fields);
                    }
                }
                _ => return Err(refuse(node.places.at, "\"<<\" takes maps only", None)),
            }
        }
        Ok(Node {
            value: Value::Object(self.values),
            places: Places { at, shape: Shape::Map(self.fields) },
        })
    }

    fn merge(&mut self, mut values: Map<String, Value>, fields: Vec<(String, Position, Places)>) {
        for (name, at, places) in fields {
            if let (false, Some(value)) = (self.values.contains_key(&name), values.remove(&name)) {
                self.values.insert(name.clone(), value);
                self.fields.push((name, at, places));
            }
        }
    }
}

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels")
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() / 64,
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => {
            1 + fields.iter().map(|(name, value)| name.len() / 64 + weight(value)).sum::<usize>()
        }
    }
}

fn refuse(at: Position, message: impl Into<String>, remedy: Option<&str>) -> SyntaxError {
    SyntaxError { position: at, message: message.into(), remedy: remedy.map(str::to_owned) }
}

#[cfg(test)]
mod tests;
