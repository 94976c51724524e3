//! Matches and ranks as messages.

use std::sync::Arc;

use fairway_model::matching::{FieldMatch, HttpMatch, PathMatch, Pattern, Rank, ValueMatch};

use super::{
    Result, Unreadable, arcs, decode_all, encode_all, missing, number, parse_all, required, text,
    texts, write_all,
};
use crate::proto;

fn pattern(text: &str) -> Result<Pattern> {
    let unusable = |why| Unreadable(format!("{text:?} is not a regular expression: {why}"));
    Pattern::parse(text).map_err(unusable)
}

impl From<&HttpMatch> for proto::HttpMatch {
    fn from(it: &HttpMatch) -> Self {
        let HttpMatch { path, methods, headers, query, cookies, clients, rank } = it;
        Self {
            path: Some(path.into()),
            methods: texts(methods),
            headers: encode_all(headers),
            query: encode_all(query),
            cookies: encode_all(cookies),
            clients: write_all(clients),
            rank: Some(rank.into()),
        }
    }
}

impl TryFrom<proto::HttpMatch> for HttpMatch {
    type Error = Unreadable;

    fn try_from(message: proto::HttpMatch) -> Result<Self> {
        Ok(Self {
            path: required(message.path, "path")?,
            methods: arcs(message.methods),
            headers: decode_all(message.headers)?,
            query: decode_all(message.query)?,
            cookies: decode_all(message.cookies)?,
            clients: parse_all(&message.clients, "a network")?,
            rank: required(message.rank, "rank")?,
        })
    }
}

impl From<&PathMatch> for proto::PathMatch {
    fn from(path: &PathMatch) -> Self {
        use proto::path_match::Path;
        let path = match path {
            PathMatch::Exact(path) => Path::Exact(text(path)),
            PathMatch::Prefix(path) => Path::Prefix(text(path)),
            PathMatch::StringPrefix(path) => Path::StringPrefix(text(path)),
            PathMatch::Regex(pattern) => Path::Regex(pattern.as_str().to_owned()),
            PathMatch::ExactIgnoreCase(path) => Path::ExactIgnoreCase(text(path)),
            PathMatch::PrefixIgnoreCase(path) => Path::PrefixIgnoreCase(text(path)),
        };
        Self { path: Some(path) }
    }
}

impl TryFrom<proto::PathMatch> for PathMatch {
    type Error = Unreadable;

    fn try_from(message: proto::PathMatch) -> Result<Self> {
        use proto::path_match::Path;
        Ok(match message.path.ok_or_else(|| missing("kind of path"))? {
            Path::Exact(path) => Self::Exact(path.into()),
            Path::Prefix(path) => Self::Prefix(path.into()),
            Path::StringPrefix(path) => Self::StringPrefix(path.into()),
            Path::Regex(text) => Self::Regex(pattern(&text)?),
            Path::ExactIgnoreCase(path) => Self::ExactIgnoreCase(path.into()),
            Path::PrefixIgnoreCase(path) => Self::PrefixIgnoreCase(path.into()),
        })
    }
}

impl From<&FieldMatch> for proto::FieldMatch {
    fn from(field: &FieldMatch) -> Self {
        use proto::field_match::Value;
        let FieldMatch { name, value, negate } = field;
        let value = match value {
            ValueMatch::Exact(value) => Value::Exact(text(value)),
            ValueMatch::Prefix(value) => Value::Prefix(text(value)),
            ValueMatch::Suffix(value) => Value::Suffix(text(value)),
            ValueMatch::Contains(value) => Value::Contains(text(value)),
            ValueMatch::Regex(pattern) => Value::Regex(pattern.as_str().to_owned()),
            ValueMatch::Present => Value::Present(proto::Nothing {}),
        };
        Self { name: text(name), value: Some(value), negate: *negate }
    }
}

impl TryFrom<proto::FieldMatch> for FieldMatch {
    type Error = Unreadable;

    fn try_from(message: proto::FieldMatch) -> Result<Self> {
        use proto::field_match::Value;
        let value = match message.value.ok_or_else(|| missing("way to match a value"))? {
            Value::Exact(value) => ValueMatch::Exact(value.into()),
            Value::Prefix(value) => ValueMatch::Prefix(value.into()),
            Value::Suffix(value) => ValueMatch::Suffix(value.into()),
            Value::Contains(value) => ValueMatch::Contains(value.into()),
            Value::Regex(text) => ValueMatch::Regex(pattern(&text)?),
            Value::Present(proto::Nothing {}) => ValueMatch::Present,
        };
        Ok(Self { name: message.name.into(), value, negate: message.negate })
    }
}

impl From<&Rank> for proto::Rank {
    fn from(rank: &Rank) -> Self {
        let Rank { class, specificity, created, object, rule, position } = rank;
        Self {
            class: u32::from(*class),
            specificity: specificity.to_vec(),
            created: *created,
            object: text(object),
            rule: *rule,
            position: *position,
        }
    }
}

impl TryFrom<proto::Rank> for Rank {
    type Error = Unreadable;

    fn try_from(message: proto::Rank) -> Result<Self> {
        let specificity = message.specificity.try_into();
        let count = |it: Vec<u32>| Unreadable(format!("a rank has {} keys and not 5", it.len()));
        Ok(Self {
            class: number(message.class, "class of ranks")?,
            specificity: specificity.map_err(count)?,
            created: message.created,
            object: Arc::from(message.object),
            rule: message.rule,
            position: message.position,
        })
    }
}
