//! Filters as messages.

use fairway_model::filter::{
    Cors, DirectResponse, HeaderField, HeaderModifier, Mirror, OriginMatch, PathRewrite, Redirect,
    Scheme, UrlRewrite,
};

use super::{
    Enumeration, Result, Unreadable, arcs, decode_all, decode_some, encode_all, enumeration,
    missing, number, required, text, texts,
};
use crate::proto;

enumeration!(Scheme as "the scheme": Http, Https);

/// A modifier that changes nothing is not sent.
pub(super) fn headers(modifier: &HeaderModifier) -> Option<proto::HeaderModifier> {
    let HeaderModifier { set, add, remove } = modifier;
    let field = |HeaderField { name, value }: &HeaderField| proto::HeaderField {
        name: text(name),
        value: text(value),
    };
    (!modifier.is_empty()).then(|| proto::HeaderModifier {
        set: set.iter().map(field).collect(),
        add: add.iter().map(field).collect(),
        remove: texts(remove),
    })
}

/// The other way round.
pub(super) fn modifier(message: Option<proto::HeaderModifier>) -> HeaderModifier {
    let proto::HeaderModifier { set, add, remove } = message.unwrap_or_default();
    let field =
        |it: proto::HeaderField| HeaderField { name: it.name.into(), value: it.value.into() };
    HeaderModifier {
        set: set.into_iter().map(field).collect(),
        add: add.into_iter().map(field).collect(),
        remove: arcs(remove),
    }
}

impl From<&Redirect> for proto::Redirect {
    fn from(redirect: &Redirect) -> Self {
        let Redirect { scheme, hostname, port, path, status } = redirect;
        Self {
            scheme: scheme.map(Scheme::encode),
            hostname: hostname.as_ref().map(text),
            port: port.map(u32::from),
            path: path.as_ref().map(proto::PathRewrite::from),
            status: u32::from(*status),
        }
    }
}

impl TryFrom<proto::Redirect> for Redirect {
    type Error = Unreadable;

    fn try_from(message: proto::Redirect) -> Result<Self> {
        Ok(Self {
            scheme: message.scheme.map(Scheme::decode).transpose()?,
            hostname: message.hostname.map(Into::into),
            port: message.port.map(|port| number(port, "port")).transpose()?,
            path: decode_some(message.path)?,
            status: number(message.status, "status")?,
        })
    }
}

impl From<&UrlRewrite> for proto::UrlRewrite {
    fn from(rewrite: &UrlRewrite) -> Self {
        let UrlRewrite { hostname, path } = rewrite;
        Self {
            hostname: hostname.as_ref().map(text),
            path: path.as_ref().map(proto::PathRewrite::from),
        }
    }
}

impl TryFrom<proto::UrlRewrite> for UrlRewrite {
    type Error = Unreadable;

    fn try_from(message: proto::UrlRewrite) -> Result<Self> {
        Ok(Self { hostname: message.hostname.map(Into::into), path: decode_some(message.path)? })
    }
}

impl From<&PathRewrite> for proto::PathRewrite {
    fn from(rewrite: &PathRewrite) -> Self {
        use proto::path_rewrite::Rewrite;
        let rewrite = match rewrite {
            PathRewrite::ReplaceFull(path) => Rewrite::ReplaceFull(text(path)),
            PathRewrite::ReplacePrefix(path) => Rewrite::ReplacePrefix(text(path)),
        };
        Self { rewrite: Some(rewrite) }
    }
}

impl TryFrom<proto::PathRewrite> for PathRewrite {
    type Error = Unreadable;

    fn try_from(message: proto::PathRewrite) -> Result<Self> {
        use proto::path_rewrite::Rewrite;
        Ok(match message.rewrite.ok_or_else(|| missing("way to rewrite a path"))? {
            Rewrite::ReplaceFull(path) => Self::ReplaceFull(path.into()),
            Rewrite::ReplacePrefix(path) => Self::ReplacePrefix(path.into()),
        })
    }
}

impl From<&Mirror> for proto::Mirror {
    fn from(mirror: &Mirror) -> Self {
        let Mirror { target, numerator, denominator } = mirror;
        Self { target: Some(target.into()), numerator: *numerator, denominator: *denominator }
    }
}

impl TryFrom<proto::Mirror> for Mirror {
    type Error = Unreadable;

    fn try_from(message: proto::Mirror) -> Result<Self> {
        Ok(Self {
            target: required(message.target, "target")?,
            numerator: message.numerator,
            denominator: message.denominator,
        })
    }
}

impl From<&Cors> for proto::Cors {
    fn from(cors: &Cors) -> Self {
        let Cors {
            allow_origins,
            allow_credentials,
            allow_methods,
            allow_headers,
            expose_headers,
            max_age,
        } = cors;
        Self {
            allow_origins: encode_all(allow_origins),
            allow_credentials: *allow_credentials,
            allow_methods: texts(allow_methods),
            allow_headers: texts(allow_headers),
            expose_headers: texts(expose_headers),
            max_age: *max_age,
        }
    }
}

impl TryFrom<proto::Cors> for Cors {
    type Error = Unreadable;

    fn try_from(message: proto::Cors) -> Result<Self> {
        Ok(Self {
            allow_origins: decode_all(message.allow_origins)?,
            allow_credentials: message.allow_credentials,
            allow_methods: arcs(message.allow_methods),
            allow_headers: arcs(message.allow_headers),
            expose_headers: arcs(message.expose_headers),
            max_age: message.max_age,
        })
    }
}

impl From<&OriginMatch> for proto::OriginMatch {
    fn from(origin: &OriginMatch) -> Self {
        use proto::origin_match::Origin;
        let origin = match origin {
            OriginMatch::Any => Origin::Any(proto::Nothing {}),
            OriginMatch::Exact(origin) => Origin::Exact(text(origin)),
            OriginMatch::Wildcard { prefix, suffix } => Origin::Wildcard(proto::OriginWildcard {
                prefix: text(prefix),
                suffix: text(suffix),
            }),
        };
        Self { origin: Some(origin) }
    }
}

impl TryFrom<proto::OriginMatch> for OriginMatch {
    type Error = Unreadable;

    fn try_from(message: proto::OriginMatch) -> Result<Self> {
        use proto::origin_match::Origin;
        Ok(match message.origin.ok_or_else(|| missing("kind of origin"))? {
            Origin::Any(proto::Nothing {}) => Self::Any,
            Origin::Exact(origin) => Self::Exact(origin.into()),
            Origin::Wildcard(proto::OriginWildcard { prefix, suffix }) => {
                Self::Wildcard { prefix: prefix.into(), suffix: suffix.into() }
            }
        })
    }
}

impl From<&DirectResponse> for proto::DirectResponse {
    fn from(response: &DirectResponse) -> Self {
        let DirectResponse { status, content_type, body } = response;
        Self {
            status: u32::from(*status),
            content_type: content_type.as_ref().map(text),
            body: text(body),
        }
    }
}

impl TryFrom<proto::DirectResponse> for DirectResponse {
    type Error = Unreadable;

    fn try_from(message: proto::DirectResponse) -> Result<Self> {
        Ok(Self {
            status: number(message.status, "status")?,
            content_type: message.content_type.map(Into::into),
            body: message.body.into(),
        })
    }
}
