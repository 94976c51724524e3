//! What is wrong with a user's file or object, where, and what to do about it: data, never an `Err`.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::key::ObjectKey;

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The first character of a file: where a problem of the whole file is shown.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Whether the object (or file) counts in spite of the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// What stands in the file does not count: its last good state does, if there is one.
    Error,
    /// It counts as written, but probably does not mean what its writer thinks.
    Warning,
}

/// One mistake, told so that the reader can mend it without looking anything up.
///
/// `Display` gives one line:
/// `examples/x.yaml:12:9: HTTPRoute shop/cart: spec.rules[0].name: is required; add "name"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// As the user would write it: below the directory that was named on the command line.
    pub file: Arc<str>,
    #[serde(flatten)]
    pub position: Position,
    pub severity: Severity,
    /// Missing where the file does not parse, or the object does not say what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectKey>,
    /// Dotted, such as `spec.rules[0].matches[1].path.value`; empty for the object as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong, without the place.
    pub message: String,
    /// What to write or do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether an earlier, good version of what is refused here keeps counting.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub last_good_counts: bool,
}

impl Problem {
    /// A problem of a whole file or directory.
    pub fn of_file(file: &Arc<str>, position: Position, message: impl Into<String>) -> Self {
        Self {
            file: Arc::clone(file),
            position,
            severity: Severity::Error,
            object: None,
            field: String::new(),
            message: message.into(),
            remedy: None,
            last_good_counts: false,
        }
    }

    /// The same problem, with what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Whether what stands in the file is refused.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.position)?;
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        if self.last_good_counts {
            f.write_str(" (the last good version keeps counting)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem {
            file: "examples/x.yaml".into(),
            position: Position { line: 12, column: 9 },
            severity: Severity::Error,
            object: Some(ObjectKey::new("gateway.networking.k8s.io", "HTTPRoute", "shop", "cart")),
            field: "spec.rules[0].matches[0].path.value".to_owned(),
            message: "must start with \"/\"".to_owned(),
            remedy: Some("write \"/cart\"".to_owned()),
            last_good_counts: false,
        }
    }

    #[test]
    fn one_line_for_people() {
        assert_eq!(
            problem().to_string(),
            "examples/x.yaml:12:9: HTTPRoute shop/cart: spec.rules[0].matches[0].path.value: \
             must start with \"/\"; write \"/cart\""
        );
    }

    #[test]
    fn json_for_programs() {
        let json = serde_json::to_value(problem()).unwrap();
        assert_eq!(json["line"], 12);
        assert_eq!(json["severity"], "error");
        assert_eq!(json["object"]["kind"], "HTTPRoute");
        assert_eq!(json["field"], "spec.rules[0].matches[0].path.value");
    }
}
