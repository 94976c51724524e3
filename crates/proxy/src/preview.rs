//! What becomes of a request without sending it: the steps of `http` that are pure, for
//! `fairway explain`. They are the very functions that requests go through.

use std::net::IpAddr;

use fairway_model::filter::Redirect;
use fairway_model::matching::PathMatch;
use fairway_model::policy::IpAccess;
use fairway_model::route::{Forward, WeightedBackend};

use crate::filter::{headers, ip_access, redirect, rewrite};
use crate::message::forward as hops;
use crate::message::{Authority, Malformed, RequestHead};

/// Makes a request's head what a backend is to see: hop-by-hop and forwarded fields, then the rule's and
/// the backend's header changes, then the rewrite. `matched` is the path match that holds.
///
/// # Errors
/// What comes out is no path or no host; such a request is answered by 500.
pub fn forward(
    head: &mut RequestHead,
    client: &hops::Client,
    rule: &Forward,
    backend: &WeightedBackend,
    matched: &PathMatch,
) -> Result<(), Malformed> {
    hops::request(head, client);
    for modifier in [&rule.request_headers, &backend.request_headers] {
        headers::apply(modifier, &mut head.headers);
        if let Some(host) = headers::host(modifier) {
            head.authority = Authority::parse(host.as_bytes().to_vec())?;
        }
    }
    match backend.rewrite.as_ref().or(rule.rewrite.as_ref()) {
        Some(change) => rewrite::apply(change, matched, head),
        None => Ok(()),
    }
}

/// Gives the `Location` of a redirect. `port` is the listener's declared port.
///
/// # Errors
/// What comes out is no path or no host.
pub fn location(
    redirect: &Redirect,
    matched: &PathMatch,
    head: &RequestHead,
    port: u16,
) -> Result<String, Malformed> {
    let value = redirect::location(redirect, matched, head, port)?;
    Ok(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Says whether address lists let a client in.
#[must_use]
pub fn allows(access: &IpAccess, client: IpAddr) -> bool {
    ip_access::allows(access, client)
}
