//! Redirects: the `Location` that a rule sends a client to (Gateway API's HTTPRequestRedirectFilter;
//! topic N18).

use fairway_model::filter::{Redirect, Scheme as ModelScheme};
use fairway_model::matching::PathMatch;

use super::rewrite;
use crate::message::{HeaderValue, Malformed, Path, RequestHead, Scheme};

/// Gives the `Location` of a redirect. `port` is the listener's declared port.
///
/// # Errors
/// What comes out is no path, or the request named no host and the rule names none.
pub(crate) fn location(
    redirect: &Redirect,
    matched: &PathMatch,
    head: &RequestHead,
    port: u16,
) -> Result<HeaderValue, Malformed> {
    let scheme = match redirect.scheme {
        Some(ModelScheme::Http) => Scheme::Http,
        Some(ModelScheme::Https) => Scheme::Https,
        None => head.scheme,
    };
    let host = redirect.hostname.as_deref().unwrap_or_else(|| head.authority.host());
    let port = match (redirect.port, redirect.scheme) {
        (Some(port), _) => port,
        (None, Some(_)) => scheme.default_port(),
        (None, None) => port,
    };
    let path = match &redirect.path {
        Some(change) => Path::parse(rewrite::path(change, matched, head.path.as_str()))?,
        None => head.path.clone(),
    };
    let mut location = format!("{}://{host}", scheme.as_str());
    if port != scheme.default_port() {
        location.push(':');
        location.push_str(&port.to_string());
    }
    location.push_str(path.as_str());
    if let Some(query) = &head.query {
        location.push('?');
        location.push_str(query.as_str());
    }
    HeaderValue::parse(location)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Authority, Query};
    use fairway_model::filter::PathRewrite;

    fn head() -> RequestHead {
        let authority = Authority::parse("shop.example.com:8080").expect("a host");
        let path = Path::parse("/cart/1").expect("a path");
        let mut head = RequestHead::get(Scheme::Http, authority, path);
        head.query = Some(Query::parse("a=b").expect("a query"));
        head
    }

    fn to(redirect: &Redirect, port: u16) -> String {
        let matched = PathMatch::Prefix("/cart".into());
        let location = location(redirect, &matched, &head(), port).expect("a location");
        String::from_utf8(location.as_bytes().to_vec()).expect("text")
    }

    #[test]
    fn parts_that_are_not_named_stay() {
        let none = Redirect { scheme: None, hostname: None, port: None, path: None, status: 302 };
        assert_eq!(to(&none, 80), "http://shop.example.com/cart/1?a=b");
        assert_eq!(to(&none, 8080), "http://shop.example.com:8080/cart/1?a=b");
        let https = Redirect { scheme: Some(ModelScheme::Https), ..none.clone() };
        assert_eq!(to(&https, 8080), "https://shop.example.com/cart/1?a=b");
        let port = Redirect { port: Some(8443), ..https };
        assert_eq!(to(&port, 80), "https://shop.example.com:8443/cart/1?a=b");
        let host = Redirect { hostname: Some("other.example".into()), ..none.clone() };
        assert_eq!(to(&host, 80), "http://other.example/cart/1?a=b");
        let path = Some(PathRewrite::ReplacePrefix("/basket".into()));
        assert_eq!(to(&Redirect { path, ..none }, 80), "http://shop.example.com/basket/1?a=b");
    }
}
