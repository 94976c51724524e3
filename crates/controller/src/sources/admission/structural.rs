//! A kind's structural schema, compiled once: what defaulting, checking and CEL walk along.
//!
//! Own rather than a general JSON Schema library: an API server means Go's regular expressions,
//! `nullable`, int-or-string, list types and unknown-field pruning, and one walk over one tree
//! gives exact fields and messages for all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use foldhash::{HashMap, HashMapExt};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::cel::Rules;

/// One node of a schema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) shape: Shape,
    pub(crate) nullable: bool,
    /// Ordered, so that defaults are filled in and suggestions made in one order.
    pub(crate) properties: BTreeMap<Box<str>, Self>,
    pub(crate) required: Vec<String>,
    pub(crate) additional: Option<Box<Self>>,
    pub(crate) items: Option<Box<Self>>,
    /// Fields that the schema does not name are meant to be there.
    pub(crate) open: bool,
    /// A whole object with `apiVersion`, `kind` and `metadata` of its own.
    pub(crate) embedded: bool,
    pub(crate) default: Option<Value>,
    /// Whether this node or one below it has a default.
    pub(crate) has_defaults: bool,
    pub(crate) allowed: Vec<Value>,
    pub(crate) pattern: Option<Arc<Pattern>>,
    pub(crate) format: Option<Box<str>>,
    pub(crate) bounds: Bounds,
    pub(crate) list: ListType,
    pub(crate) logic: Option<Box<Logic>>,
    pub(crate) rules: Rules,
    /// Whether this node or one below it has rules.
    pub(crate) has_rules: bool,
}

/// What JSON type a node takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Shape {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// Least and most, each of what its name says; lengths count characters.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) length: (Option<u64>, Option<u64>),
    pub(crate) items: (Option<u64>, Option<u64>),
    pub(crate) properties: (Option<u64>, Option<u64>),
    pub(crate) value: (Option<f64>, Option<f64>),
}

/// How the entries of a list relate.
#[derive(Debug, Default)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    /// No two entries agree in all of these fields.
    Map(Vec<String>),
}

/// Value checks joined by `allOf`, `anyOf`, `oneOf`, `not`.
#[derive(Debug, Default)]
pub(crate) struct Logic {
    pub(crate) all: Vec<Node>,
    pub(crate) any: Vec<Node>,
    pub(crate) one: Vec<Node>,
    pub(crate) not: Option<Node>,
}

/// A regular expression, compiled when first met: most of a schema's are never needed.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Whether the text matches; one that does not compile here refuses nothing.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| {
            // Go's classes are ASCII. Those that could match half a character only compile with
            // Unicode on, and mean the same in both for the patterns in use.
            let mut builder = RegexBuilder::new(&self.source);
            builder.unicode(false).build().or_else(|_| builder.unicode(true).build()).ok()
        });
        compiled.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// Compiles schemas; equal patterns are shared.
#[derive(Default)]
pub(crate) struct Compiler {
    patterns: HashMap<String, Arc<Pattern>>,
}

impl Compiler {
    pub(crate) fn new() -> Self {
        Self { patterns: HashMap::new() }
    }

    /// Compiles an `openAPIV3Schema`. What is no schema is a node that takes anything.
    pub(crate) fn compile(&mut self, schema: &Value) -> Node {
        let Some(schema) = schema.as_object() else {
            return Node { open: true, ..Node::default() };
        };
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or_default();
        let mut node = Node {
            shape: shape(schema),
            nullable: flag("nullable"),
            required: strings(schema.get("required")),
            open: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            default: schema.get("default").cloned(),
            allowed: schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            pattern: schema.get("pattern").and_then(Value::as_str).map(|p| self.pattern(p)),
            format: schema.get("format").and_then(Value::as_str).map(Into::into),
            bounds: bounds(schema),
            list: list_type(schema),
            logic: self.logic(schema),
            rules: Rules::of(schema),
            ..Node::default()
        };
        for (name, child) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            node.properties.insert(name.as_str().into(), self.compile(child));
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => node.open = true,
            Some(child @ Value::Object(_)) => node.additional = Some(Box::new(self.compile(child))),
            _ => {}
        }
        node.items = schema.get("items").map(|child| Box::new(self.compile(child)));
        node.has_defaults = node.default.is_some() || node.children().any(|c| c.has_defaults);
        node.has_rules = !node.rules.is_empty() || node.children().any(|c| c.has_rules);
        node
    }

    fn pattern(&mut self, source: &str) -> Arc<Pattern> {
        let entry = self.patterns.entry(source.to_owned());
        Arc::clone(entry.or_insert_with(|| {
            Arc::new(Pattern { source: source.to_owned(), compiled: OnceLock::new() })
        }))
    }

    fn logic(&mut self, schema: &Map<String, Value>) -> Option<Box<Logic>> {
        let branches = |compiler: &mut Self, name: &str| -> Vec<Node> {
            let branches = schema.get(name).and_then(Value::as_array).into_iter().flatten();
            branches.map(|branch| compiler.compile(branch)).collect()
        };
        let logic = Logic {
            all: branches(self, "allOf"),
            any: branches(self, "anyOf"),
            one: branches(self, "oneOf"),
            not: schema.get("not").map(|branch| self.compile(branch)),
        };
        let present = !logic.all.is_empty()
            || !logic.any.is_empty()
            || !logic.one.is_empty()
            || logic.not.is_some();
        // The schemas' usual `anyOf: [integer, string]` says nothing that the shape does not.
        let redundant = shape(schema) == Shape::IntOrString && logic.all.is_empty();
        (present && !redundant).then(|| Box::new(logic))
    }
}

impl Node {
    pub(super) fn children(&self) -> impl Iterator<Item = &Self> {
        let boxed = self.additional.iter().chain(&self.items).map(AsRef::as_ref);
        self.properties.values().chain(boxed)
    }

    /// The node of a field, whether named or one of many.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}

fn shape(schema: &Map<String, Value>) -> Shape {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return Shape::IntOrString;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => Shape::Object,
        Some("array") => Shape::Array,
        Some("string") => Shape::String,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        _ => Shape::Any,
    }
}

fn bounds(schema: &Map<String, Value>) -> Bounds {
    let whole = |name: &str| {
        let value = schema.get(name)?;
        // Generators write `5.0` for 5.
        value.as_u64().or_else(|| format!("{:.0}", value.as_f64()?).parse().ok())
    };
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    Bounds {
        length: (whole("minLength"), whole("maxLength")),
        items: (whole("minItems"), whole("maxItems")),
        properties: (whole("minProperties"), whole("maxProperties")),
        value: (number("minimum"), number("maximum")),
    }
}

fn list_type(schema: &Map<String, Value>) -> ListType {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(schema.get("x-kubernetes-list-map-keys"))),
        _ => ListType::Atomic,
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
