//! The way from an object's root to one of its fields, as people write it.

use std::fmt;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// A way down that borrows: validation builds one for every field it visits and turns only those of
/// findings into a [`FieldPath`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trail<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl Trail<'_> {
    pub(crate) fn to_path(self) -> FieldPath {
        let mut steps = Vec::new();
        let mut here = self;
        loop {
            match here {
                Trail::Root => break,
                Trail::Key(above, key) => {
                    steps.push(Step::Key(key.to_owned()));
                    here = *above;
                }
                Trail::Index(above, index) => {
                    steps.push(Step::Index(index));
                    here = *above;
                }
            }
        }
        steps.reverse();
        FieldPath(steps)
    }
}

/// A way down into an object. Displayed with dots and brackets, keys that hold either in brackets:
/// `metadata.annotations[nginx.ingress.kubernetes.io/rewrite-target]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldPath(pub Vec<Step>);

impl FieldPath {
    /// The object as a whole.
    pub fn root() -> Self {
        Self::default()
    }

    pub fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Key(key.to_owned()));
        path
    }

    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }

    /// Reads what [`fmt::Display`] writes, and the leading dot of a CEL rule's `fieldPath`.
    /// Total: an unbalanced bracket is taken as a key, since this only finds lines.
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text.trim_start_matches('.');
        while !rest.is_empty() {
            if let Some((inside, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
                steps.push(match inside.parse() {
                    Ok(index) => Step::Index(index),
                    Err(_) => Step::Key(inside.trim_matches(['\'', '"']).to_owned()),
                });
                rest = after;
            } else {
                let end = rest.char_indices().skip(1).find(|(_, c)| matches!(c, '.' | '['));
                let (key, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            }
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.contains(['.', '/', '[']) => write!(f, "[{key}]")?,
                Step::Key(key) if nth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "",
            "spec",
            "spec.rules[0].matches[1].path.value",
            "metadata.annotations[nginx.ingress.kubernetes.io/rewrite-target]",
            "data[tls.crt]",
            "a[0][1].b",
        ] {
            assert_eq!(FieldPath::parse(text).to_string(), text);
        }
        assert_eq!(FieldPath::parse(".spec.names").to_string(), "spec.names");
    }
}
