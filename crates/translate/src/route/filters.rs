//! What is done to requests and responses: one reading of the one filter type, for rules and for single
//! backends, for all kinds of route.

use std::sync::Arc;

use fairway_api::route::filter::{
    self, Filter, FilterType, PathModifier, PathModifierType, RequestMirror, RequestRedirect,
};
use fairway_model::filter::{
    Cors, DirectResponse, HeaderField, HeaderModifier, Mirror, OriginMatch, PathRewrite, Redirect,
    Scheme, UrlRewrite,
};
use fairway_model::host::HostPattern;
use fairway_model::matching::PathMatch;
use fairway_model::route::BackendTarget;

use super::fields::{header_name, header_value};
use super::ledger::Ledger;
use super::matches::literal;
use crate::backend::{self, Place, Speaks};
use crate::hostname;
use crate::verdict::Reason;

/// All filters of a rule or a backend, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    pub(crate) request_headers: HeaderModifier,
    pub(crate) response_headers: HeaderModifier,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) rewrite: Option<UrlRewrite>,
    pub(crate) cors: Option<Cors>,
    pub(crate) respond: Option<DirectResponse>,
}

/// Where filters stand.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) rule: usize,
    pub(crate) field: &'a str,
    pub(crate) speaks: Speaks,
    /// The paths that the rule matches: a prefix can be replaced only where one was matched.
    pub(crate) paths: &'a [&'a PathMatch],
    /// Filters of a backend are fewer.
    pub(crate) of_backend: bool,
}

/// Reads filters. A fault is noted and makes the whole rule invalid: a filter is never left out.
pub(crate) fn read(ledger: &mut Ledger<'_>, site: Site<'_>, written: &[Filter]) -> Filters {
    let mut read = Filters::default();
    for filter in written {
        if let Err((reason, why)) = one(ledger, site, filter, &mut read) {
            let why = format!("{}: {}: {why}", site.field, filter.kind);
            if reason == Reason::InvalidKind {
                // The filter fails its requests, yet the reference is what is wrong.
                ledger.unresolved(site.rule, reason, &why);
            }
            ledger.invalid(site.rule, invalid(reason), &why);
        }
    }
    let actions = [read.redirect.is_some(), read.rewrite.is_some(), read.respond.is_some()];
    if actions.iter().filter(|present| **present).count() > 1 {
        let why = "of RequestRedirect, URLRewrite and DirectResponse only one can act";
        ledger.invalid(site.rule, Reason::IncompatibleFilters, &format!("{}: {why}", site.field));
    }
    read
}

fn invalid(reason: Reason) -> Reason {
    if reason == Reason::IncompatibleFilters { reason } else { Reason::UnsupportedValue }
}

type Fault = (Reason, String);

fn unsupported(why: impl Into<String>) -> Fault {
    (Reason::UnsupportedValue, why.into())
}

fn one(
    ledger: &mut Ledger<'_>,
    site: Site<'_>,
    filter: &Filter,
    read: &mut Filters,
) -> Result<(), Fault> {
    let missing = || unsupported("its block is missing");
    let twice = || (Reason::IncompatibleFilters, "it stands there twice".to_owned());
    match &filter.kind {
        FilterType::RequestHeaderModifier => {
            let written = filter.request_header_modifier.as_ref().ok_or_else(missing)?;
            headers(written, &mut read.request_headers).map_err(unsupported)
        }
        FilterType::ResponseHeaderModifier => {
            let written = filter.response_header_modifier.as_ref().ok_or_else(missing)?;
            headers(written, &mut read.response_headers).map_err(unsupported)
        }
        FilterType::RequestMirror => {
            let written = filter.request_mirror.as_ref().ok_or_else(missing)?;
            mirror(ledger, site, written, read).map_err(unsupported)
        }
        FilterType::UrlRewrite => {
            let written = filter.url_rewrite.as_ref().ok_or_else(missing)?;
            let rewrite = rewrite(written, site).map_err(unsupported)?;
            set(&mut read.rewrite, rewrite, twice)
        }
        _other if site.of_backend => Err(unsupported("it cannot stand at a backend")),
        FilterType::RequestRedirect => {
            let written = filter.request_redirect.as_ref().ok_or_else(missing)?;
            set(&mut read.redirect, redirect(written, site).map_err(unsupported)?, twice)
        }
        FilterType::Cors => {
            let written = filter.cors.as_ref().ok_or_else(missing)?;
            set(&mut read.cors, cors(written).map_err(unsupported)?, twice)
        }
        FilterType::DirectResponse => {
            let written = filter.direct_response.as_ref().ok_or_else(missing)?;
            set(&mut read.respond, respond(written).map_err(unsupported)?, twice)
        }
        FilterType::ExtensionRef => {
            let shown = filter.extension_ref.as_ref();
            let shown = shown.map_or_else(String::new, |r| format!("{} {}", r.kind, r.name));
            Err((Reason::InvalidKind, format!("{shown} is no filter that is known")))
        }
        FilterType::ExternalAuth => Err(unsupported("it is not supported")),
        FilterType::Other(_) => Err(unsupported("it is not known")),
    }
}

fn set<T>(place: &mut Option<T>, value: T, twice: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if place.is_some() {
        return Err(twice());
    }
    *place = Some(value);
    Ok(())
}

/// Headers that frame messages or name the host: changing them here would let two hops disagree on
/// where a message ends (request smuggling), or on whose it is.
const UNTOUCHABLE: &[&str] =
    &["connection", "content-length", "host", "transfer-encoding", "upgrade"];

fn headers(written: &filter::HeaderModifier, read: &mut HeaderModifier) -> Result<(), String> {
    let name = |text: &str| {
        let name = header_name(text)?;
        if UNTOUCHABLE.contains(&&*name) {
            return Err(format!("{name} cannot be changed here; for the host use URLRewrite"));
        }
        Ok(name)
    };
    let field = |field: &filter::HeaderField| {
        Ok::<_, String>(HeaderField {
            name: name(&field.name)?,
            value: header_value(&field.value)?,
        })
    };
    for written in &written.set {
        read.set.push(field(written)?);
    }
    for written in &written.add {
        read.add.push(field(written)?);
    }
    for written in &written.remove {
        read.remove.push(name(written)?);
    }
    Ok(())
}

fn mirror(
    ledger: &mut Ledger<'_>,
    site: Site<'_>,
    written: &RequestMirror,
    read: &mut Filters,
) -> Result<(), String> {
    let (numerator, denominator) = match (&written.percent, &written.fraction) {
        (Some(_), Some(_)) => return Err("percent and fraction exclude each other".to_owned()),
        (Some(percent), None) => (*percent, 100),
        (None, Some(fraction)) => (fraction.numerator, fraction.denominator.unwrap_or(100)),
        (None, None) => (1, 1),
    };
    let share = u32::try_from(numerator).ok().zip(u32::try_from(denominator).ok());
    let share =
        share.filter(|(numerator, denominator)| *denominator > 0 && numerator <= denominator);
    let (numerator, denominator) =
        share.ok_or_else(|| format!("{numerator} of {denominator} is no share"))?;
    let field = format!("{}: RequestMirror", site.field);
    let place = Place { rule: site.rule, field: &field };
    // Per the specification a mirror that leads nowhere is left out; the request itself goes on.
    let found = backend::cluster(ledger, place, &written.backend_ref, site.speaks);
    if let Some(id) = found.ok().filter(|_| numerator > 0) {
        read.mirrors.push(Mirror { target: BackendTarget::Cluster(id), numerator, denominator });
    }
    Ok(())
}

fn exact_host(text: &str) -> Result<Arc<str>, String> {
    match hostname::parse(Some(text)) {
        Some(HostPattern::Exact(name)) => Ok(name),
        Some(HostPattern::Any | HostPattern::Wildcard { .. }) | None => {
            Err(format!("hostname {text:?} is no hostname"))
        }
    }
}

fn path(written: &PathModifier, site: Site<'_>) -> Result<PathRewrite, String> {
    match &written.kind {
        PathModifierType::ReplaceFullPath => {
            let text = written.replace_full_path.as_deref().ok_or("replaceFullPath is missing")?;
            let text = if text.is_empty() { "/" } else { text };
            Ok(PathRewrite::ReplaceFull(literal(text)?.into()))
        }
        PathModifierType::ReplacePrefixMatch => {
            let prefix = |path: &&PathMatch| {
                matches!(path, PathMatch::Prefix(_) | PathMatch::PrefixIgnoreCase(_))
            };
            if !site.paths.iter().all(prefix) {
                return Err("ReplacePrefixMatch needs a path of type PathPrefix".to_owned());
            }
            let text = written.replace_prefix_match.as_deref();
            let text = text.ok_or("replacePrefixMatch is missing")?;
            let text = if text.is_empty() { "/" } else { text };
            Ok(PathRewrite::ReplacePrefix(literal(text)?.into()))
        }
        PathModifierType::Other(word) => Err(format!("path: type {word} is not known")),
    }
}

fn rewrite(written: &filter::UrlRewrite, site: Site<'_>) -> Result<UrlRewrite, String> {
    let hostname = written.hostname.as_deref().map(exact_host).transpose()?;
    let path = written.path.as_ref().map(|written| path(written, site)).transpose()?;
    Ok(UrlRewrite { hostname, path })
}

fn redirect(written: &RequestRedirect, site: Site<'_>) -> Result<Redirect, String> {
    let scheme = match written.scheme.as_deref() {
        None => None,
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        Some(other) => return Err(format!("scheme {other} is not supported: use http or https")),
    };
    let port = written.port.map(|port| u16::try_from(port).ok().filter(|port| *port > 0));
    let port = port.map(|port| port.ok_or("port is not one of 1 to 65535")).transpose()?;
    let status = written.status_code.unwrap_or(302);
    let status = u16::try_from(status).ok().filter(|s| [301, 302, 303, 307, 308].contains(s));
    Ok(Redirect {
        scheme,
        hostname: written.hostname.as_deref().map(exact_host).transpose()?,
        port,
        path: written.path.as_ref().map(|written| path(written, site)).transpose()?,
        status: status.ok_or("statusCode is none of 301, 302, 303, 307, 308")?,
    })
}

fn cors(written: &filter::Cors) -> Result<Cors, String> {
    let names = |texts: &[String]| -> Result<Vec<Arc<str>>, String> {
        texts.iter().map(|text| header_name(text)).collect()
    };
    let methods = written.allow_methods.iter().map(|method| match header_name(method) {
        Ok(_) => Ok(method.as_str().into()),
        Err(_) => Err(format!("allowMethods: {method:?} is no method")),
    });
    Ok(Cors {
        allow_origins: written.allow_origins.iter().map(|t| origin(t)).collect::<Result<_, _>>()?,
        allow_credentials: written.allow_credentials.unwrap_or(false),
        allow_methods: methods.collect::<Result<_, _>>()?,
        allow_headers: names(&written.allow_headers)?,
        expose_headers: names(&written.expose_headers)?,
        max_age: u32::try_from(written.max_age.unwrap_or(5)).map_err(|_negative| "maxAge < 0")?,
    })
}

fn origin(text: &str) -> Result<OriginMatch, String> {
    let lower = text.to_ascii_lowercase();
    let wrong = || format!("allowOrigins: {text:?} is no origin such as https://a.example.com");
    if lower == "*" {
        return Ok(OriginMatch::Any);
    }
    let (scheme, host) = lower.split_once("://").ok_or_else(wrong)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]*".contains(&b);
    if scheme.is_empty() || host.is_empty() || !host.bytes().all(plain) {
        return Err(wrong());
    }
    match lower.split_once('*') {
        None => Ok(OriginMatch::Exact(lower.into())),
        Some((prefix, suffix)) if prefix.ends_with("://") && !suffix.contains('*') => {
            Ok(OriginMatch::Wildcard { prefix: prefix.into(), suffix: suffix.into() })
        }
        Some(_) => Err(wrong()),
    }
}

fn respond(written: &filter::DirectResponse) -> Result<DirectResponse, String> {
    let status = u16::try_from(written.status_code).ok().filter(|s| (200..=599).contains(s));
    let body = written.body.as_deref().unwrap_or_default();
    if body.len() > 65_536 {
        return Err("body is longer than 64 KiB".to_owned());
    }
    Ok(DirectResponse {
        status: status.ok_or("statusCode is not one of 200 to 599")?,
        content_type: written.content_type.as_deref().map(header_value).transpose()?,
        body: body.into(),
    })
}
