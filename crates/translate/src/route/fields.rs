//! Header fields: what may be written into one, and how one is matched.

use std::sync::Arc;

use fairway_api::own::traffic_route::TrafficFieldMatch;
use fairway_api::route::FieldMatchType;
use fairway_model::matching::{FieldMatch, Pattern, ValueMatch};

/// Reads a header's name: a token (RFC 9110 5.6.2), in lower case.
pub(crate) fn header_name(text: &str) -> Result<Arc<str>, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > 256 || !text.bytes().all(token) {
        return Err(format!("{text:?} is no name of a header"));
    }
    Ok(text.to_ascii_lowercase().into())
}

/// Reads a header's value: no control characters but the tab, so that nothing can be smuggled in.
pub(crate) fn header_value(text: &str) -> Result<Arc<str>, String> {
    if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return Err(format!("{text:?} holds control characters"));
    }
    Ok(text.trim_matches([' ', '\t']).into())
}

/// Which fields a match is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    Headers,
    Query,
    Cookies,
}

impl Fields {
    fn name(self, text: &str) -> Result<Arc<str>, String> {
        match self {
            Self::Headers => header_name(text),
            Self::Query | Self::Cookies if text.is_empty() => Err("a name is missing".to_owned()),
            Self::Query | Self::Cookies => Ok(text.into()),
        }
    }
}

/// Reads matches of fields. Per the specification, of several with an equivalent name the first counts.
pub(crate) fn fields(
    written: &[TrafficFieldMatch],
    which: Fields,
) -> Result<Vec<FieldMatch>, String> {
    let mut read: Vec<FieldMatch> = Vec::with_capacity(written.len());
    for field in written {
        let name = which.name(&field.name)?;
        if read.iter().any(|known| known.name == name) {
            continue;
        }
        let negate = field.negate.unwrap_or(false);
        let absent = field.kind == Some(FieldMatchType::Absent);
        let value = value(field).map_err(|why| format!("{}: {why}", field.name))?;
        read.push(FieldMatch { name, value, negate: negate != absent });
    }
    Ok(read)
}

fn value(field: &TrafficFieldMatch) -> Result<ValueMatch, String> {
    let text = field.value.as_deref().unwrap_or_default();
    Ok(match field.kind.as_ref().unwrap_or(&FieldMatchType::Exact) {
        FieldMatchType::Exact => ValueMatch::Exact(text.into()),
        FieldMatchType::Prefix => ValueMatch::Prefix(text.into()),
        FieldMatchType::Suffix => ValueMatch::Suffix(text.into()),
        FieldMatchType::Contains => ValueMatch::Contains(text.into()),
        FieldMatchType::RegularExpression => ValueMatch::Regex(Pattern::parse(text)?),
        FieldMatchType::Present | FieldMatchType::Absent => ValueMatch::Present,
        FieldMatchType::Other(word) => return Err(format!("type {word} is not known")),
    })
}
