//! GRPCRoute's methods are paths: a call of `method` of `service` is a request for `/service/method`.

use fairway_api::route::grpc::{GrpcMethodMatch, GrpcMethodMatchType};
use fairway_model::matching::{HttpMatch, PathMatch, Pattern, Rank};

use super::RouteHead;
use super::rank::{descending, of};

/// Turns a method match into a path match.
pub(crate) fn path(written: Option<&GrpcMethodMatch>) -> Result<PathMatch, String> {
    let (service, method) = parts(written);
    let kind = written.and_then(|written| written.kind.as_ref());
    match (kind.unwrap_or(&GrpcMethodMatchType::Exact), service, method) {
        (GrpcMethodMatchType::Other(word), _, _) => {
            Err(format!("method: type {word} is not known"))
        }
        (_, None, None) => Ok(PathMatch::Prefix("/".into())),
        (GrpcMethodMatchType::Exact, Some(service), Some(method)) => {
            Ok(PathMatch::Exact(format!("/{}/{}", name(service)?, name(method)?).into()))
        }
        (GrpcMethodMatchType::Exact, Some(service), None) => {
            Ok(PathMatch::Prefix(format!("/{}", name(service)?).into()))
        }
        (GrpcMethodMatchType::Exact, None, Some(method)) => {
            pattern(&format!("/[^/]+/{}", regex::escape(name(method)?)))
        }
        (GrpcMethodMatchType::RegularExpression, service, method) => {
            // Each is checked alone first, so that neither can close the other's parentheses.
            for part in [service, method].into_iter().flatten() {
                Pattern::parse(part).map_err(|why| format!("method: {part:?}: {why}"))?;
            }
            let service = service.unwrap_or("[^/]+");
            let method = method.unwrap_or("[^/]+");
            pattern(&format!("/(?:{service})/(?:{method})"))
        }
    }
}

/// Gives the rank. Per the GRPCRoute specification: the most characters in the service, then in the
/// method, then the most headers. Folded into HTTPRoute's numbers, since both may meet on one host.
pub(crate) fn rank(
    head: &RouteHead<'_>,
    written: Option<&GrpcMethodMatch>,
    matched: &HttpMatch,
    rule: usize,
    position: usize,
) -> Rank {
    let (service, method) = parts(written);
    let is_regex = written.is_some_and(|w| w.kind == Some(GrpcMethodMatchType::RegularExpression));
    let length = |text: Option<&str>| text.map_or(0, str::len);
    let kind = match (is_regex, service, method) {
        (true, _, _) => 1,
        (false, Some(_), Some(_)) => 0,
        (false, _, _) => 2,
    };
    let specificity = [
        kind,
        if kind == 0 { 0 } else { descending(length(service) + 1) },
        if kind == 0 { 0 } else { descending(length(method)) },
        descending(matched.headers.len()),
        descending(0),
    ];
    of(head, specificity, rule, position)
}

fn parts(written: Option<&GrpcMethodMatch>) -> (Option<&str>, Option<&str>) {
    written.map_or((None, None), |w| (part(w.service.as_deref()), part(w.method.as_deref())))
}

fn part(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Checks a name as the protocol has them (no slash, no escape).
fn name(text: &str) -> Result<&str, String> {
    let known = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if known {
        Ok(text)
    } else {
        Err(format!("method: {text:?} is no name of a service or method"))
    }
}

fn pattern(text: &str) -> Result<PathMatch, String> {
    Pattern::parse(text).map(PathMatch::Regex).map_err(|why| format!("method: {why}"))
}
