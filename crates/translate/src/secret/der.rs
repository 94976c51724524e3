//! Just enough of DER (X.690) to look into a private key: one element and its children. Anything odd
//! is `None`, never a panic.

/// Tag of an integer.
pub(super) const INTEGER: u8 = 0x02;
/// Tag of a bit string.
pub(super) const BIT_STRING: u8 = 0x03;
/// Tag of an octet string.
pub(super) const OCTET_STRING: u8 = 0x04;
/// Tag `[1]`, constructed.
pub(super) const CONTEXT_1: u8 = 0xa1;

/// One tag with its content.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads the first element.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        take(der).map(|(element, _)| element)
    }

    /// Walks over the elements inside; it ends at the first one that is broken.
    pub(super) fn children(self) -> impl Iterator<Item = Element<'a>> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let (element, after) = take(rest)?;
            rest = after;
            Some(element)
        })
    }

    /// Gives the bytes of a non-negative integer without the zeros before it.
    pub(super) fn unsigned(self) -> &'a [u8] {
        let zeros = self.content.iter().take_while(|byte| **byte == 0).count();
        self.content.get(zeros..).unwrap_or_default()
    }
}

fn take(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        let (bytes, after) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
        length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, after))
}
