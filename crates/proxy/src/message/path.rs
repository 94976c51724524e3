//! The canonical path and the query of a request (topics N7 and N8). Matching, policy, rewriting and
//! forwarding see this one form.
//!
//! * Escapes of unreserved characters are decoded, the others get upper-case digits; a character that
//!   RFC 3986 does not allow plain in a path (`|`, `{`, `"`, ...) is escaped.
//! * `.` and `..` segments are resolved, also when they were escaped; `..` above the root stays there.
//!   Runs of slashes are one slash, merged before dots are resolved: `/a//../b` is `/b`, as a file
//!   system reads it.
//! * `%2F` stays data. What servers disagree on is refused: a backslash, plain or `%5C`; control
//!   characters, NUL first; bytes outside ASCII that are not escaped; overlong UTF-8; a `.` or `..`
//!   that an escaped slash or a `;` sets apart (`..%2F`, `..;x`); percent signs without two digits.
//! * Nothing is decoded twice: `%252e` stays as it is.

use std::fmt;

use bytes::Bytes;

use super::text::{Malformed, ascii, hex_digit, is_path_byte, is_unreserved};

/// A canonical absolute path without a query, or `*` of `OPTIONS *`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Bytes);

impl Path {
    /// Gives `/`.
    #[must_use]
    pub fn root() -> Self {
        Self(Bytes::from_static(b"/"))
    }

    /// Gives the `*` of `OPTIONS *`: about the server, not about a resource.
    #[must_use]
    pub fn asterisk() -> Self {
        Self(Bytes::from_static(b"*"))
    }

    /// Canonicalises a path; an empty one is `/`. Shares the bytes it is given when they are
    /// canonical already. Also for rewrite results: nothing else makes a `Path`.
    ///
    /// # Errors
    /// `TargetForm` without a slash in front, `TargetCharacter`, `Fragment`, `Escape`, `Overlong`,
    /// `AmbiguousDots`.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, Malformed> {
        let raw = raw.into();
        match raw.first() {
            None => return Ok(Self::root()),
            Some(b'/') => {}
            Some(_) => return Err(Malformed::TargetForm),
        }
        let found = survey(&raw)?;
        let path = if found.canonical { raw } else { resolve(&decode(&raw)).into() };
        if found.dots && found.separators && has_ambiguous_dots(&path) {
            return Err(Malformed::AmbiguousDots);
        }
        Ok(Self(path))
    }

    /// Gives the path as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// Says whether it is the `*` of `OPTIONS *`.
    #[must_use]
    pub fn is_asterisk(&self) -> bool {
        &self.0[..] == b"*"
    }

    /// Gives the shared bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A query without its question mark, byte for byte as it was sent but for `"`, `<` and `>`, which
/// are escaped. Its escapes are neither decoded nor judged: what they mean is the application's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Query(Bytes);

impl Query {
    /// Checks a query; it may be empty, which is not the same as none.
    ///
    /// # Errors
    /// `Fragment`; `TargetCharacter` for spaces, control characters and bytes outside ASCII.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, Malformed> {
        let raw = raw.into();
        let mut escapes = false;
        for byte in &raw {
            match byte {
                b'#' => return Err(Malformed::Fragment),
                b'"' | b'<' | b'>' => escapes = true,
                b'!'..=b'~' => {}
                _ => return Err(Malformed::TargetCharacter),
            }
        }
        if !escapes {
            return Ok(Self(raw));
        }
        let mut query = Vec::with_capacity(raw.len() + 16);
        for byte in &raw {
            match byte {
                b'"' | b'<' | b'>' => escape(&mut query, *byte),
                plain => query.push(*plain),
            }
        }
        Ok(Self(query.into()))
    }

    /// Gives the query as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// Gives the shared bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Gives names and values in order, as they are written (escapes and `+` not decoded); a pair
    /// without `=` has an empty value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_str()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What one look over a raw path found.
struct Survey {
    /// Nothing has to change.
    canonical: bool,
    /// There is a dot, plain or escaped.
    dots: bool,
    /// There is a `;` or an escaped slash, which some servers take as the end of a segment.
    separators: bool,
}

fn survey(raw: &[u8]) -> Result<Survey, Malformed> {
    let mut found = Survey { canonical: true, dots: false, separators: false };
    let mut last_escape = (0, 0);
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        match byte {
            b'%' => {
                let value = escaped(raw, at).ok_or(Malformed::Escape)?;
                judge_escape(value, (last_escape.0 == at).then_some(last_escape.1))?;
                found.canonical &= !is_unreserved(value)
                    && !raw[at + 1..at + 3].iter().any(u8::is_ascii_lowercase);
                found.dots |= value == b'.';
                found.separators |= value == b'/';
                at += 3;
                last_escape = (at, value);
                continue;
            }
            b'/' => found.canonical &= !is_odd_segment(raw, at),
            b'.' => found.dots = true,
            b';' => found.separators = true,
            b'#' => return Err(Malformed::Fragment),
            b'?' | b'\\' | ..=b' ' | 0x7f.. => return Err(Malformed::TargetCharacter),
            other => found.canonical &= is_path_byte(*other),
        }
        at += 1;
    }
    Ok(found)
}

/// Says whether what follows this slash is another slash or a dot segment.
fn is_odd_segment(raw: &[u8], slash: usize) -> bool {
    let rest = &raw[slash + 1..];
    let rest = match rest {
        [b'/', ..] => return true,
        [b'.', b'.', rest @ ..] | [b'.', rest @ ..] => rest,
        _ => return false,
    };
    matches!(rest, [] | [b'/', ..])
}

fn escaped(raw: &[u8], at: usize) -> Option<u8> {
    let high = hex_digit(*raw.get(at + 1)?)?;
    let low = hex_digit(*raw.get(at + 2)?)?;
    Some(high << 4 | low)
}

/// `before` is the escape directly in front of this one.
fn judge_escape(value: u8, before: Option<u8>) -> Result<(), Malformed> {
    match (before, value) {
        (_, ..=0x1f | 0x7f | b'\\') => Err(Malformed::TargetCharacter),
        // RFC 3629 3: sequences that begin so hold a character that fits into fewer bytes.
        (Some(0xc0 | 0xc1), 0x80..=0xbf)
        | (Some(0xe0), 0x80..=0x9f)
        | (Some(0xf0), 0x80..=0x8f) => Err(Malformed::Overlong),
        _ => Ok(()),
    }
}

/// Decodes unreserved characters and brings all other escapes to one form.
fn decode(raw: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(raw.len() + 16);
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        match escaped(raw, at).filter(|_| *byte == b'%') {
            Some(value) if is_unreserved(value) => path.push(value),
            Some(value) => escape(&mut path, value),
            None if is_path_byte(*byte) => path.push(*byte),
            None => escape(&mut path, *byte),
        }
        at += if *byte == b'%' { 3 } else { 1 };
    }
    path
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |number: u8| DIGITS[usize::from(number)];
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
}

/// Merges slashes and resolves dot segments.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(path.len());
    let mut folder = false;
    for segment in path.split(|byte| *byte == b'/') {
        folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = resolved.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                resolved.truncate(parent);
            }
            name => {
                resolved.push(b'/');
                resolved.extend_from_slice(name);
            }
        }
    }
    if folder || resolved.is_empty() {
        resolved.push(b'/');
    }
    resolved
}

/// Looks for `.` or `..` between slashes, escaped slashes and path parameters.
fn has_ambiguous_dots(path: &[u8]) -> bool {
    let is_dots = |piece: &[u8]| matches!(piece, b"." | b"..");
    let mut piece = 0;
    let mut in_parameter = false;
    let mut at = 0;
    while at < path.len() {
        let slash = path[at] == b'/' || path[at..].starts_with(b"%2F");
        if slash || path[at] == b';' {
            if !in_parameter && is_dots(&path[piece..at]) {
                return true;
            }
            in_parameter = !slash;
            at += if path[at] == b'%' { 3 } else { 1 };
            piece = at;
        } else {
            at += 1;
        }
    }
    !in_parameter && is_dots(&path[piece..])
}
