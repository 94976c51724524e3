//! One header field's two halves as validated types: what is held here can be written to any peer as
//! it is.

use std::fmt;

use bytes::Bytes;

use super::text::{Malformed, ascii, is_token_byte, is_value_byte};

/// A field name: a token in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HeaderName(pub(super) Bytes);

impl HeaderName {
    /// Takes a name that stands in the program; costs no allocation.
    ///
    /// # Panics
    /// When it is not a lower-case token: a mistake in the program.
    #[must_use]
    pub fn from_static(name: &'static str) -> Self {
        let fits = !name.is_empty()
            && name.bytes().all(|byte| is_token_byte(byte) && !byte.is_ascii_uppercase());
        assert!(fits, "{name:?} is not a lower-case field name");
        Self(Bytes::from_static(name.as_bytes()))
    }

    /// Reads a name in any case; allocates only to lower the case.
    ///
    /// # Errors
    /// `Malformed::FieldName` when it is not a token.
    pub fn parse(name: impl Into<Bytes>) -> Result<Self, Malformed> {
        let name = name.into();
        if name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
            return Err(Malformed::FieldName);
        }
        if name.iter().any(u8::is_ascii_uppercase) {
            return Ok(Self(name.to_ascii_lowercase().into()));
        }
        Ok(Self(name))
    }

    /// Gives the name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A field value: no control character but the tab, no space at either end; bytes beyond ASCII may
/// stand in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HeaderValue(pub(super) Bytes);

impl HeaderValue {
    /// Takes a value that stands in the program; costs no allocation.
    ///
    /// # Panics
    /// When it is not a value: a mistake in the program.
    #[must_use]
    pub fn from_static(value: &'static str) -> Self {
        Self::parse(Bytes::from_static(value.as_bytes())).expect("the program's values are valid")
    }

    /// Checks a value; spaces at its ends are taken off; never allocates.
    ///
    /// # Errors
    /// `Malformed::FieldValue` when it holds CR, LF, NUL or another control character.
    pub fn parse(value: impl Into<Bytes>) -> Result<Self, Malformed> {
        let value = value.into();
        if !value.iter().all(|byte| is_value_byte(*byte)) {
            return Err(Malformed::FieldValue);
        }
        let trimmed = super::text::trim(&value);
        if trimmed.len() == value.len() {
            return Ok(Self(value));
        }
        Ok(Self(value.slice_ref(trimmed)))
    }

    /// Gives the value's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<u64> for HeaderValue {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_tokens() {
        assert_eq!(HeaderName::parse("X-Thing").expect("a name").as_str(), "x-thing");
        for bad in ["", "a b", "a:", "a\r", "a\u{e9}", "a\0", "(a)", "\"a\""] {
            assert_eq!(HeaderName::parse(bad), Err(Malformed::FieldName), "{bad:?}");
        }
    }

    #[test]
    fn values_hold_no_control_characters() {
        assert_eq!(HeaderValue::parse(" a\tb ").expect("a value").as_bytes(), b"a\tb");
        assert_eq!(HeaderValue::parse(" \t ").expect("a value").as_bytes(), b"");
        assert_eq!(HeaderValue::parse("\u{e9}").expect("a value").as_bytes(), "\u{e9}".as_bytes());
        for byte in (0u8..=0x1f).filter(|byte| *byte != b'\t').chain([0x7f]) {
            assert_eq!(HeaderValue::parse(vec![b'a', byte, b'b']), Err(Malformed::FieldValue));
        }
    }
}
