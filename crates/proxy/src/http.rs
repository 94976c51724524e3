//! One request, top to bottom. The phases and their order are the model's
//! ([`fairway_model::route::HttpRule`]): listener, rule, address lists, rate limits, CORS preflight,
//! then the action; whatever is answered, the rule's response headers and CORS come last.
//!
//! Nothing here knows which version of HTTP the client speaks ([`exchange`]) or the endpoint
//! ([`crate::upstream`]).

pub(crate) mod clock;
pub(crate) mod date;
pub(crate) mod exchange;
pub(crate) mod wire;

mod asked;
mod attempt;
mod backend;
mod deadlines;
mod forward;
mod mirror;
mod own;
mod passage;
mod pump;
mod replay;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fairway_model::ListenerId;
use fairway_model::filter::Redirect;
use fairway_model::matching::PathMatch;
use fairway_model::route::{Forward, HttpAction, HttpDialect, HttpRule, Rule};
use fairway_model::select::CompiledRoute;
use tokio::time::Instant;

use crate::access_log::Entry;
use crate::downstream::Client;
use crate::failure::{Blame, Failure};
use crate::filter::{cors, ip_access, redirect};
use crate::generation::{Generation, RouteState};
use crate::message::{HeaderName, HeaderValue, RequestHead, forward as hops};
use asked::Asked;
use exchange::{After, Exchange};
pub(crate) use forward::Told;
use own::Own;
use passage::{Passage, Session};
use wire::Incoming;

/// A rule that was found for a request.
struct Found<'g> {
    route: &'g CompiledRoute<RouteState>,
    rule: &'g HttpRule,
    /// How the path was matched.
    path: &'g PathMatch,
}

/// What is answered instead of what a backend would have.
struct Denied {
    failure: Failure,
    /// For `Retry-After`.
    after: Option<Duration>,
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        Self { failure, after: None }
    }
}

/// Serves one request. Says what its connection is good for then, and gives what was not read of the
/// request's body.
pub(crate) async fn serve<'c>(
    mut exchange: Exchange<'c>,
    client: &Client,
) -> (After, Incoming<'c>) {
    let began = Instant::now();
    let generation = client.worker.generation();
    let mut entry = Entry::new(&exchange.head, client);
    let mut told = Told::default();
    let mut listener = None;
    let found = find(&exchange.head, client, &generation, &mut listener);
    let after = match found {
        Ok(found) => {
            entry.rule(&found.route.id);
            let request = Request { client, generation: &generation, found, began };
            request.serve(&mut exchange, &mut told).await
        }
        Err(failure) => {
            told.failure = Some(failure);
            let own = Own::failure(failure, HttpDialect::Plain, &exchange.head.headers);
            own.send(&mut exchange).await
        }
    };
    let status = exchange.reply.status();
    let took = began.elapsed();
    if let Some(listener) = listener {
        client.count(listener, |cells| {
            cells.request(status, took);
            cells.bytes(told.received, told.sent);
        });
    }
    entry.end(client, status, took, &told);
    (after, exchange.body)
}

/// Finds the rule for a request; `listener` becomes the listener whose rules apply.
fn find<'g>(
    head: &RequestHead,
    client: &Client,
    generation: &'g Generation,
    listener: &mut Option<&'g ListenerId>,
) -> Result<Found<'g>, Failure> {
    let connection = &client.connection;
    let port = generation.table.port(connection.gateway.as_str(), connection.port);
    let table = asked::listener(port.ok_or(Failure::NoRoute)?, connection, head.authority.host())?;
    *listener = Some(table.id());
    let asked = Asked { head, client: client.address() };
    let selected = table.select(&asked).ok_or(Failure::NoRoute)?;
    let route = selected.route;
    let Rule::Http(rule) = &route.route.rule else { return Err(Failure::NoRoute) };
    let wanted = rule.matches.get(selected.matched).ok_or(Failure::NoRoute)?;
    Ok(Found { route, rule, path: &wanted.path })
}

/// A request whose rule is known.
struct Request<'r> {
    client: &'r Client,
    generation: &'r Generation,
    found: Found<'r>,
    began: Instant,
}

impl Request<'_> {
    async fn serve(&self, exchange: &mut Exchange<'_>, told: &mut Told) -> After {
        let rule = self.found.rule;
        let origin = rule.cors.as_ref().and_then(|_| exchange.head.headers.first("origin"));
        let origin = origin.map(Bytes::copy_from_slice);
        let passage = Passage {
            backend: None,
            rule: &rule.response_headers,
            cors: rule.cors.as_ref().map(|cors| (cors, origin.as_deref())),
            session: None,
        };
        let denied = match self.act(exchange, passage, told).await {
            Ok(after) => return after,
            Err(denied) => denied,
        };
        told.failure = Some(denied.failure);
        if denied.failure.blame() == Blame::Client && denied.failure != Failure::Forbidden {
            self.in_doubt(exchange, denied.failure);
        }
        let mut own = Own::failure(denied.failure, rule.dialect, &exchange.head.headers);
        if let Some(after) = denied.after {
            // In whole seconds, rounded up: nobody should come too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            own.head.headers.append(HeaderName::from_static("retry-after"), seconds.into());
        }
        if let Some((cors, origin)) = passage.cors {
            cors::answer(cors, origin, &mut own.head.headers);
        }
        let after = own.send(exchange).await;
        if denied.failure == Failure::ClientGone { After::Gone } else { after }
    }

    /// Nothing that follows on a connection can be told apart after a body that broke off.
    fn in_doubt(&self, exchange: &mut Exchange<'_>, failure: Failure) {
        let broken =
            matches!(failure, Failure::Refused(_) | Failure::ClientGone | Failure::ClientStalled);
        if broken {
            exchange.reply.close();
        }
    }

    async fn act(
        &self,
        exchange: &mut Exchange<'_>,
        passage: Passage<'_>,
        told: &mut Told,
    ) -> Result<After, Denied> {
        let rule = self.found.rule;
        if !ip_access::allows(&rule.ip_access, self.address()) {
            return Err(Failure::Forbidden.into());
        }
        for limit in &self.found.route.extra.rate_limits {
            limit.check(self.address(), &exchange.head.headers).map_err(|limited| Denied {
                failure: Failure::RateLimited(limited.status),
                after: Some(limited.after),
            })?;
        }
        if let Some(cors) = &rule.cors
            && let Some(head) = cors::preflight(cors, &exchange.head)
        {
            return Ok(Own { head, body: Bytes::new() }.send(exchange).await);
        }
        match &rule.action {
            HttpAction::Forward(forward) => self.forward(exchange, forward, passage, told).await,
            HttpAction::Redirect(redirect) => self.redirect(exchange, redirect, passage).await,
            HttpAction::Respond(response) => {
                let mut own = Own::direct(response);
                passage.change(&mut own.head);
                Ok(own.send(exchange).await)
            }
            HttpAction::Fail(failure) => Err(Failure::Broken(failure.status).into()),
        }
    }

    fn address(&self) -> IpAddr {
        self.client.address()
    }

    async fn redirect(
        &self,
        exchange: &mut Exchange<'_>,
        redirect: &Redirect,
        passage: Passage<'_>,
    ) -> Result<After, Denied> {
        let port = self.client.connection.port;
        let location = redirect::location(redirect, self.found.path, &exchange.head, port)
            .map_err(|_malformed| Failure::Rewrite)?;
        let mut own = Own::new(redirect.status);
        own.head.headers.append(HeaderName::from_static("location"), location);
        passage.change(&mut own.head);
        Ok(own.send(exchange).await)
    }

    async fn forward(
        &self,
        exchange: &mut Exchange<'_>,
        forward: &Forward,
        mut passage: Passage<'_>,
        told: &mut Told,
    ) -> Result<After, Denied> {
        let now = || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map(|since| since.as_secs()).unwrap_or_default()
        };
        let secure = self.client.connection.scheme == fairway_model::filter::Scheme::Https;
        let session = forward.session.as_ref().map(|policy| {
            let now = now();
            let before = crate::session::Mark::read(policy, &exchange.head.headers, now);
            Session { policy, before, now, secure }
        });
        passage.session = session;
        let before = session.and_then(|session| session.before);
        let chosen = backend::choose(forward, before.as_ref(), self.generation)?;
        passage.backend = Some(&chosen.backend.response_headers);
        let hash = backend::hash(&forward.load_balancing, &exchange.head, self.address());
        if !exchange.framing.is_empty() {
            // A tunnel begins right behind the head.
            exchange.head.upgrade = None;
        }
        self.change(&mut exchange.head, forward, chosen.backend)?;
        let mirrors = [&forward.mirrors[..], &chosen.backend.mirrors];
        let taps = backend::mirrors(mirrors, exchange, self.client, self.generation);
        let forwarding = forward::Forwarding {
            worker: &self.client.worker,
            gateway: &self.client.connection.gateway,
            forward,
            cluster: chosen.cluster,
            turn: &self.found.route.extra.turn,
            hash,
            pinned: chosen.pinned.cloned(),
            passage,
            began: self.began,
        };
        Ok(forwarding.run(exchange, taps, told).await?)
    }

    /// Makes the head what the backend is to see.
    fn change(
        &self,
        head: &mut RequestHead,
        forward: &Forward,
        backend: &fairway_model::route::WeightedBackend,
    ) -> Result<(), Failure> {
        let port = self.client.connection.port;
        let from = hops::Client { address: self.address(), port, trusted: false };
        crate::preview::forward(head, &from, forward, backend, self.found.path)
            .map_err(|_malformed| Failure::Rewrite)
    }
}

/// Tells the client of a head that is no request; the connection is of no more use.
pub(crate) fn refusal(status: u16) -> (crate::message::ResponseHead, Bytes) {
    let mut own = Own::status(status);
    let length = u64::try_from(own.body.len()).unwrap_or_default();
    let value = HeaderValue::from(length);
    own.head.headers.set(HeaderName::from_static("content-length"), value);
    date::stamp(&mut own.head.headers);
    (own.head, own.body)
}
