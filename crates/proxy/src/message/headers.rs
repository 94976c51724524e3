//! The ordered list of header fields of one message. Fields that came in with a head are ranges of
//! its one shared buffer, so that parsing allocates nothing per field; fields that were set since
//! own their bytes.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::field::{HeaderName, HeaderValue};
use super::text::{ascii, trim};

/// Header (or trailer) fields in the order of their arrival, duplicates kept. Names are lower case;
/// every lookup ignores case. The `Host` field never stands here: it is `RequestHead::authority`.
#[derive(Clone, Default)]
pub struct Headers {
    block: Bytes,
    fields: Vec<Field>,
}

#[derive(Clone)]
struct Field {
    name: Part,
    value: Part,
}

#[derive(Clone)]
enum Part {
    Block(Span),
    Own(Bytes),
}

/// A range of a block, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Gives a range of a block; both ends saturate at 4 GiB, far beyond any head's limit.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    pub(crate) const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Part {
    fn bytes<'a>(&'a self, block: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Block(span) => &block[span.range()],
            Self::Own(bytes) => bytes,
        }
    }

    fn shared(&self, block: &Bytes) -> Bytes {
        match self {
            Self::Block(span) => block.slice(span.range()),
            Self::Own(bytes) => bytes.clone(),
        }
    }
}

impl Headers {
    /// Gives an empty list; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives an empty list with room for fields.
    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self { block: Bytes::new(), fields: Vec::with_capacity(fields) }
    }

    /// Adds a field that will lie in the block that [`Self::adopt`] brings. Until then nothing can be
    /// looked up.
    pub(crate) fn push_span(&mut self, name: Span, value: Span) {
        self.fields.push(Field { name: Part::Block(name), value: Part::Block(value) });
    }

    /// Lowers the case of all names that lie in the block, in place.
    pub(crate) fn lower_names(&self, block: &mut [u8]) {
        for field in &self.fields {
            if let Part::Block(span) = field.name {
                block[span.range()].make_ascii_lowercase();
            }
        }
    }

    /// Brings the bytes that the spans lie in. Whoever calls has checked that they do, that names are
    /// lower-case tokens and that values are valid.
    pub(crate) fn adopt(&mut self, block: Bytes) {
        self.block = block;
    }

    /// Copies fields from elsewhere into one block of about `size` bytes: one allocation for all
    /// bytes. The same checks are the caller's as with [`Self::adopt`].
    pub(crate) fn copied<'a>(
        size: usize,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Self {
        let mut block = BytesMut::with_capacity(size);
        let mut put = |bytes: &[u8]| {
            let start = block.len();
            block.extend_from_slice(bytes);
            Span::new(start, block.len())
        };
        let mut headers = Self::with_capacity(pairs.size_hint().0);
        for (name, value) in pairs {
            headers.push_span(put(name), put(value));
        }
        headers.adopt(block.freeze());
        headers
    }

    /// Gives the number of fields, duplicates counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Says whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Gives the bytes that are held for this list, for memory budgets.
    #[must_use]
    pub fn charge(&self) -> usize {
        let owned = |part: &Part| match part {
            Part::Block(_) => 0,
            Part::Own(bytes) => bytes.len(),
        };
        let own: usize =
            self.fields.iter().map(|field| owned(&field.name) + owned(&field.value)).sum();
        self.block.len() + own + self.fields.len() * size_of::<Field>()
    }

    /// Gives the bytes that the fields take when they are written as lines.
    pub(crate) fn size(&self) -> usize {
        self.raw().map(|(name, value)| name.len() + value.len() + 4).sum()
    }

    /// Gives the first value of a name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Gives the first value of a name if it is UTF-8.
    #[must_use]
    pub fn first_str(&self, name: &str) -> Option<&str> {
        self.first(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Says whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Gives all values of a name in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> + Clone {
        self.fields
            .iter()
            .filter(move |field| self.is(field, name))
            .map(|field| field.value.bytes(&self.block))
    }

    /// Gives all values of a name as one, joined by a comma (RFC 9110 5.3, topic N10), cookies by
    /// `; ` (RFC 9113 8.2.3). Allocates only when there are several.
    #[must_use]
    pub fn joined(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut fields = self.fields.iter().filter(|field| self.is(field, name));
        let first = fields.next()?.value.bytes(&self.block);
        let separator: &[u8] = if name.eq_ignore_ascii_case("cookie") { b"; " } else { b"," };
        let mut joined = Cow::Borrowed(first);
        for field in fields {
            let joined = joined.to_mut();
            joined.extend_from_slice(separator);
            joined.extend_from_slice(field.value.bytes(&self.block));
        }
        Some(joined)
    }

    /// Gives the members of a comma-separated list field over all its lines, trimmed, empty ones left
    /// out (RFC 9110 5.6.1).
    pub fn tokens(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(trim)
            .filter(|token| !token.is_empty())
    }

    /// Says whether a list field has this member; case is ignored.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.tokens(name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Makes this the only value of the name; it takes the place of the first one there was.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        let mut at = None;
        let block = &self.block;
        let mut place = 0;
        self.fields.retain(|field| {
            let same = field.name.bytes(block) == &name.0[..];
            let keep = !same || at.is_none();
            if same && at.is_none() {
                at = Some(place);
            }
            place += usize::from(keep);
            keep
        });
        let field = Field { name: Part::Own(name.0), value: Part::Own(value.0) };
        match at {
            Some(at) => self.fields[at] = field,
            None => self.fields.push(field),
        }
    }

    /// Adds a field at the end, whether or not the name is there already.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.fields.push(Field { name: Part::Own(name.0), value: Part::Own(value.0) });
    }

    /// Removes all fields of a name and says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        let block = &self.block;
        self.fields.retain(|field| !field.name.bytes(block).eq_ignore_ascii_case(name.as_bytes()));
        self.fields.len() != before
    }

    /// Keeps the fields for which the function says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &[u8]) -> bool) {
        let block = &self.block;
        self.fields.retain(|field| keep(ascii(field.name.bytes(block)), field.value.bytes(block)));
    }

    /// Gives name and value of every field in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> + Clone {
        self.raw().map(|(name, value)| (ascii(name), value))
    }

    /// The same without looking at the name as text, for writers.
    pub(crate) fn raw(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.fields
            .iter()
            .map(|field| (field.name.bytes(&self.block), field.value.bytes(&self.block)))
    }

    /// Gives every field as owned types that share this list's memory.
    pub fn shared(&self) -> impl ExactSizeIterator<Item = (HeaderName, HeaderValue)> {
        self.fields.iter().map(|field| {
            let (name, value) = (field.name.shared(&self.block), field.value.shared(&self.block));
            (HeaderName(name), HeaderValue(value))
        })
    }

    fn is(&self, field: &Field, name: &str) -> bool {
        field.name.bytes(&self.block).eq_ignore_ascii_case(name.as_bytes())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_list().entries(pairs).finish()
    }
}

/// Equal are lists with the same fields in the same order, wherever their bytes are held.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.raw().eq(other.raw())
    }
}

impl Eq for Headers {}

impl FromIterator<(HeaderName, HeaderValue)> for Headers {
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &'static str) -> HeaderName {
        HeaderName::from_static(text)
    }

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    fn sample() -> Headers {
        let pairs: [(&[u8], &[u8]); 5] =
            [(b"a", b"1"), (b"b", b"2"), (b"a", b"3, 4"), (b"cookie", b"x=1"), (b"cookie", b"y=2")];
        Headers::copied(0, pairs.into_iter())
    }

    #[test]
    fn lookups_ignore_case_and_keep_order() {
        let headers = sample();
        assert_eq!(headers.first("A"), Some(&b"1"[..]));
        assert_eq!(headers.all("a").collect::<Vec<_>>(), [&b"1"[..], b"3, 4"]);
        assert_eq!(headers.joined("a").as_deref(), Some(&b"1,3, 4"[..]));
        assert!(matches!(headers.joined("b"), Some(Cow::Borrowed(b"2"))));
        assert_eq!(headers.joined("Cookie").as_deref(), Some(&b"x=1; y=2"[..]));
        assert_eq!(headers.joined("c"), None);
        assert_eq!(headers.tokens("a").collect::<Vec<_>>(), [b"1", b"3", b"4"]);
        assert!(headers.has_token("A", "4"));
    }

    #[test]
    fn set_replaces_in_place_and_removes_the_others() {
        let mut headers = sample();
        headers.set(name("a"), value("new"));
        headers.set(name("z"), value("last"));
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "cookie", "cookie", "z"]);
        assert_eq!(headers.first("a"), Some(&b"new"[..]));
        headers.set(name("cookie"), value("only"));
        assert_eq!(headers.all("cookie").collect::<Vec<_>>(), [b"only"]);
    }

    #[test]
    fn remove_append_and_equality() {
        let mut headers = sample();
        assert!(headers.remove("A"));
        assert!(!headers.remove("a"));
        headers.append(name("b"), value("5"));
        assert_eq!(headers.all("b").count(), 2);
        let same: Headers = headers.shared().collect();
        assert_eq!(same, headers);
        headers.retain(|name, _| name != "b");
        assert_ne!(same, headers);
        assert_eq!(headers.len(), 2);
    }
}
