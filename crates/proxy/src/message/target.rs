//! The request target of HTTP/1.1 (RFC 9112 3.2): which form it has, and its parts in canonical form.

use bytes::Bytes;

use super::authority::Authority;
use super::method::Method;
use super::path::{Path, Query};
use super::text::Malformed;

/// A request target in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Present in the absolute form only.
    pub authority: Option<Authority>,
    /// Canonical.
    pub path: Path,
    /// Without the question mark.
    pub query: Option<Query>,
}

impl Target {
    /// Reads a request target. Origin form and absolute form (`http` and `https`) are served, the
    /// asterisk form with `OPTIONS` only; the scheme of an absolute form is not believed, the
    /// connection knows better.
    ///
    /// # Errors
    /// `Connect` for CONNECT, else what [`Path::parse`], [`Query::parse`] and [`Authority::parse`]
    /// say, `TargetForm` for anything that has none of the forms.
    pub fn parse(raw: impl Into<Bytes>, method: &Method) -> Result<Self, Malformed> {
        let raw = raw.into();
        if *method == Method::Connect {
            return Err(Malformed::Connect);
        }
        match raw.first() {
            Some(b'/') => Self::with_path(None, &raw),
            Some(b'*') if raw.len() == 1 && *method == Method::Options => {
                Ok(Self { authority: None, path: Path::asterisk(), query: None })
            }
            _ => Self::absolute(&raw),
        }
    }

    fn absolute(raw: &Bytes) -> Result<Self, Malformed> {
        let scheme_length = ["http://", "https://"]
            .iter()
            .find(|scheme| {
                raw.get(..scheme.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
            })
            .map(|scheme| scheme.len())
            .ok_or(Malformed::TargetForm)?;
        let rest = raw.slice(scheme_length..);
        let end =
            rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let authority = Authority::parse(rest.slice(..end))?;
        Self::with_path(Some(authority), &rest.slice(end..))
    }

    /// Splits at the first question mark; a fragment is found by the parts.
    fn with_path(authority: Option<Authority>, raw: &Bytes) -> Result<Self, Malformed> {
        if raw.first() == Some(&b'#') {
            return Err(Malformed::Fragment);
        }
        let (path, query) = match raw.iter().position(|byte| *byte == b'?') {
            Some(mark) => (raw.slice(..mark), Some(Query::parse(raw.slice(mark + 1..))?)),
            None => (raw.clone(), None),
        };
        Ok(Self { authority, path: Path::parse(path)?, query })
    }
}
