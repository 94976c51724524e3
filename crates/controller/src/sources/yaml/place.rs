//! Where in the text each field of a document stands.

use crate::sources::field::{FieldPath, Step};
use crate::sources::problem::Position;

/// The places of a node and of all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub(super) at: Position,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// With the source text, where YAML made something else than text of it.
    Leaf(Option<Box<str>>),
    List(Vec<Places>),
    /// Name, place of the name, value.
    Map(Vec<(String, Position, Places)>),
}

impl Places {
    /// For a text of which only the value is known.
    pub fn unknown() -> Self {
        Self { at: Position::START, shape: Shape::Leaf(None) }
    }

    /// Where the node itself begins.
    pub fn start(&self) -> Position {
        self.at
    }

    /// The place of a field's name, or of the deepest field on the way that exists: a missing
    /// field is shown where it would have to be written.
    pub fn locate(&self, path: &FieldPath) -> Position {
        self.follow(path).0
    }

    /// The plain text that YAML read as a number, a boolean or nothing at all.
    pub fn source(&self, path: &FieldPath) -> Option<&str> {
        match self.follow(path) {
            (_, Some(Self { shape: Shape::Leaf(source), .. })) => source.as_deref(),
            _ => None,
        }
    }

    /// The node that a path leads to.
    pub fn below(&self, path: &FieldPath) -> Option<&Self> {
        self.follow(path).1
    }

    fn follow(&self, path: &FieldPath) -> (Position, Option<&Self>) {
        let mut at = self.at;
        let mut node = self;
        for step in &path.0 {
            let next = match (&node.shape, step) {
                (Shape::Map(fields), Step::Key(key)) => fields
                    .iter()
                    .find(|(name, ..)| name == key)
                    .map(|(_, place, below)| (*place, below)),
                (Shape::List(items), Step::Index(index)) => {
                    items.get(*index).map(|below| (below.at, below))
                }
                _ => None,
            };
            let Some((place, below)) = next else { return (at, None) };
            at = place;
            node = below;
        }
        (at, Some(node))
    }
}
