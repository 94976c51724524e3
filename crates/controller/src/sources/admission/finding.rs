//! What a check found wrong with an object, before it is known where the object stands.

use crate::sources::field::FieldPath;
use crate::sources::problem::Severity;

/// A [`crate::sources::Problem`] to be: still without file, line and object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub path: FieldPath,
    pub message: String,
    pub remedy: Option<String>,
    /// Text was meant, and YAML read something else: the remedy is quotes around what is written,
    /// which only the file knows (`0755` was read as 493).
    pub quote: bool,
}

impl Finding {
    pub(crate) fn error(path: FieldPath, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path,
            message: message.into(),
            remedy: None,
            quote: false,
        }
    }

    pub(crate) fn warning(path: FieldPath, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            path,
            message: message.into(),
            remedy: None,
            quote: false,
        }
    }

    #[must_use]
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    #[must_use]
    pub(crate) fn with_remedy_if(mut self, remedy: Option<String>) -> Self {
        self.remedy = remedy.or(self.remedy);
        self
    }
}
