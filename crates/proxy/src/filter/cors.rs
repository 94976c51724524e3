//! CORS (GEP-1767, the Fetch standard): preflights are answered here, and answers to real requests
//! carry what a page needs to read them.

use fairway_model::filter::{Cors, OriginMatch};

use crate::message::{HeaderName, HeaderValue, Headers, Method, RequestHead, ResponseHead, Status};

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
const ALLOW_METHODS: &str = "access-control-allow-methods";
const ALLOW_HEADERS: &str = "access-control-allow-headers";
const EXPOSE_HEADERS: &str = "access-control-expose-headers";
const MAX_AGE: &str = "access-control-max-age";
const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";

/// Answers a preflight; `None` when the request is none.
pub(crate) fn preflight(cors: &Cors, head: &RequestHead) -> Option<ResponseHead> {
    let origin = head.headers.first("origin")?;
    let method = head.headers.first(REQUEST_METHOD)?;
    if head.method != Method::Options {
        return None;
    }
    let mut answer = ResponseHead::new(Status::new(204).ok()?);
    if !allow_origin(cors, origin, &mut answer.headers) {
        return Some(answer);
    }
    let headers = &mut answer.headers;
    let wanted = head.headers.first(REQUEST_HEADERS).unwrap_or_default();
    let star = |asked: &[u8]| if cors.allow_credentials { asked.to_vec() } else { b"*".to_vec() };
    set_list(headers, ALLOW_METHODS, &cors.allow_methods, || star(method));
    set_list(headers, ALLOW_HEADERS, &cors.allow_headers, || star(wanted));
    // Browsers look for it in answers to real requests alone; Gateway API's suite looks for it here too.
    set_list(headers, EXPOSE_HEADERS, &cors.expose_headers, || b"*".to_vec());
    headers.set(HeaderName::from_static(MAX_AGE), HeaderValue::from(u64::from(cors.max_age)));
    Some(answer)
}

/// Adds to an answer what a page needs to read it. What the backend says itself of CORS is replaced.
pub(crate) fn answer(cors: &Cors, origin: Option<&[u8]>, headers: &mut Headers) {
    for name in [ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE_HEADERS] {
        headers.remove(name);
    }
    let Some(origin) = origin else { return };
    if allow_origin(cors, origin, headers) {
        set_list(headers, EXPOSE_HEADERS, &cors.expose_headers, || b"*".to_vec());
    }
}

/// Says whether the origin is let in, and writes so.
fn allow_origin(cors: &Cors, origin: &[u8], headers: &mut Headers) -> bool {
    let Some(how) = std::str::from_utf8(origin).ok().and_then(|origin| matching(cors, origin))
    else {
        return false;
    };
    let any = matches!(how, OriginMatch::Any) && !cors.allow_credentials;
    let value = if any { b"*".to_vec() } else { origin.to_vec() };
    let Ok(value) = HeaderValue::parse(value) else { return false };
    headers.set(HeaderName::from_static(ALLOW_ORIGIN), value);
    if !any && !headers.has_token("vary", "origin") {
        headers.append(HeaderName::from_static("vary"), HeaderValue::from_static("origin"));
    }
    if cors.allow_credentials {
        let name = HeaderName::from_static(ALLOW_CREDENTIALS);
        headers.set(name, HeaderValue::from_static("true"));
    }
    true
}

fn matching<'a>(cors: &'a Cors, origin: &str) -> Option<&'a OriginMatch> {
    let origin = origin.to_ascii_lowercase();
    cors.allow_origins.iter().find(|allowed| match allowed {
        OriginMatch::Any => true,
        OriginMatch::Exact(exact) => **exact == *origin,
        OriginMatch::Wildcard { prefix, suffix } => origin
            .strip_prefix(&**prefix)
            .and_then(|rest| rest.strip_suffix(&**suffix))
            .is_some_and(|stars| !stars.is_empty() && !stars.contains('/')),
    })
}

/// Writes a list; one that holds `*` becomes what `star` gives. An empty one is not written.
fn set_list(
    headers: &mut Headers,
    name: &'static str,
    list: &[std::sync::Arc<str>],
    star: impl Fn() -> Vec<u8>,
) {
    let value = if list.iter().any(|one| &**one == "*") { star() } else { list.join(", ").into() };
    if value.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::parse(value) {
        headers.set(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Authority, Path, Scheme};

    fn cors(origins: Vec<OriginMatch>) -> Cors {
        Cors {
            allow_origins: origins,
            allow_credentials: false,
            allow_methods: vec!["GET".into(), "PUT".into()],
            allow_headers: vec!["x-one".into()],
            expose_headers: vec!["x-two".into()],
            max_age: 60,
        }
    }

    fn request(method: Method, fields: &[(&'static str, &'static str)]) -> RequestHead {
        let authority = Authority::parse("shop.example.com").expect("a host");
        let mut head = RequestHead::get(Scheme::Https, authority, Path::root());
        head.method = method;
        for (name, value) in fields {
            head.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        head
    }

    fn text<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
        headers.first_str(name)
    }

    const ASK: [(&str, &str); 2] = [("origin", "https://a.example"), (REQUEST_METHOD, "PUT")];

    #[test]
    fn a_preflight_is_answered() {
        let cors = cors(vec![OriginMatch::Exact("https://a.example".into())]);
        let answer = preflight(&cors, &request(Method::Options, &ASK)).expect("an answer");
        let headers = &answer.headers;
        assert_eq!(answer.status.code(), 204);
        assert_eq!(text(headers, ALLOW_ORIGIN), Some("https://a.example"));
        assert_eq!(text(headers, ALLOW_METHODS), Some("GET, PUT"));
        assert_eq!(text(headers, ALLOW_HEADERS), Some("x-one"));
        assert_eq!(text(headers, EXPOSE_HEADERS), Some("x-two"));
        assert_eq!(text(headers, MAX_AGE), Some("60"));
        assert_eq!(text(headers, "vary"), Some("origin"));
        assert_eq!(preflight(&cors, &request(Method::Get, &ASK)), None);
        assert_eq!(preflight(&cors, &request(Method::Options, &ASK[..1])), None);
    }

    #[test]
    fn others_get_an_answer_that_lets_nobody_in() {
        let cors = cors(vec![OriginMatch::Exact("https://b.example".into())]);
        let answer = preflight(&cors, &request(Method::Options, &ASK)).expect("an answer");
        assert!(answer.headers.is_empty());
        let mut headers = Headers::new();
        super::answer(&cors, Some(b"https://a.example"), &mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn stars_are_echoed_only_with_credentials() {
        let mut cors = cors(vec![OriginMatch::Any]);
        cors.allow_methods = vec!["*".into()];
        let answer = preflight(&cors, &request(Method::Options, &ASK)).expect("an answer");
        assert_eq!(text(&answer.headers, ALLOW_ORIGIN), Some("*"));
        assert_eq!(text(&answer.headers, ALLOW_METHODS), Some("*"));
        cors.allow_credentials = true;
        let answer = preflight(&cors, &request(Method::Options, &ASK)).expect("an answer");
        assert_eq!(text(&answer.headers, ALLOW_ORIGIN), Some("https://a.example"));
        assert_eq!(text(&answer.headers, ALLOW_METHODS), Some("PUT"));
        assert_eq!(text(&answer.headers, ALLOW_CREDENTIALS), Some("true"));
    }

    #[test]
    fn wildcards_stand_for_something_before_the_suffix() {
        let wildcard =
            OriginMatch::Wildcard { prefix: "https://".into(), suffix: ".example.com".into() };
        let cors = cors(vec![wildcard]);
        assert!(matching(&cors, "https://a.b.example.com").is_some());
        for other in ["https://example.com", "http://a.example.com", "https://.example.com"] {
            assert!(matching(&cors, other).is_none(), "{other}");
        }
    }

    #[test]
    fn an_answer_replaces_what_the_backend_says() {
        let cors = cors(vec![OriginMatch::Any]);
        let mut headers = Headers::new();
        let wrong = HeaderValue::from_static("https://evil.example");
        headers.append(HeaderName::from_static(ALLOW_ORIGIN), wrong);
        answer(&cors, Some(b"https://a.example"), &mut headers);
        assert_eq!(headers.all(ALLOW_ORIGIN).count(), 1);
        assert_eq!(text(&headers, ALLOW_ORIGIN), Some("*"));
        assert_eq!(text(&headers, EXPOSE_HEADERS), Some("x-two"));
    }
}
