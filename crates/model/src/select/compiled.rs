//! A route as the tables hold it: with its patterns compiled and its caller's state, one for all
//! hosts and listeners under which it is reachable.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::evaluate::{self, Miss, Regexes};
use super::request::Request;
use crate::host::HostRank;
use crate::id::RouteId;
use crate::matching::Rank;
use crate::route::{AttachedHost, Route, Rule};

/// A rule with its patterns compiled.
pub struct CompiledRoute<X> {
    /// Its name in the model.
    pub id: RouteId,
    /// The rule itself.
    pub route: Arc<Route>,
    /// What the caller keeps with it.
    pub extra: X,
    /// One for each match, or none at all when the rule has no pattern.
    regexes: Vec<Regexes>,
}

impl<X> CompiledRoute<X> {
    pub(super) fn new(id: RouteId, route: Arc<Route>, extra: X) -> Self {
        let regexes = match &route.rule {
            Rule::Http(rule) => rule.matches.iter().map(Regexes::compile).collect(),
            Rule::Stream(_) => Vec::new(),
        };
        Self { id, route, extra, regexes }
    }

    /// Gives how many alternatives it has: those of an HTTP rule, one for a stream's.
    pub(super) fn alternatives(&self) -> usize {
        match &self.route.rule {
            Rule::Http(rule) => rule.matches.len(),
            Rule::Stream(_) => 1,
        }
    }

    /// Evaluates one match of an HTTP rule, host aside.
    pub(super) fn evaluate(&self, matched: usize, request: &impl Request) -> Result<(), Miss> {
        match (&self.route.rule, self.regexes.get(matched)) {
            (Rule::Http(rule), Some(regexes)) => match rule.matches.get(matched) {
                Some(wanted) => evaluate::evaluate(wanted, regexes, request),
                None => Err(Miss::Path),
            },
            (Rule::Http(_) | Rule::Stream(_), _) => Err(Miss::Path),
        }
    }

    pub(super) fn rank(&self, matched: usize) -> Option<&Rank> {
        match &self.route.rule {
            Rule::Http(rule) => rule.matches.get(matched).map(|wanted| &wanted.rank),
            Rule::Stream(rule) => Some(&rule.rank),
        }
    }
}

impl<X> fmt::Debug for CompiledRoute<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledRoute").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One alternative of a rule under one of its hosts: what the indices propose.
pub(super) struct Candidate<X> {
    pub(super) route: Arc<CompiledRoute<X>>,
    /// Which match of the rule.
    pub(super) matched: usize,
    /// Which attachment of the route, and which host of that.
    pub(super) place: (usize, usize),
}

impl<X> Clone for Candidate<X> {
    fn clone(&self) -> Self {
        Self { route: Arc::clone(&self.route), matched: self.matched, place: self.place }
    }
}

impl<X> Candidate<X> {
    pub(super) fn host(&self) -> &AttachedHost {
        let (attachment, host) = self.place;
        let attachment = self.route.route.attachments.get(attachment);
        attachment
            .and_then(|attachment| attachment.hosts.get(host))
            .expect("a candidate is made from a place of its own route")
    }

    /// What decides between candidates that match: the host first, then the front-end's rank.
    fn key(&self) -> (HostRank, Option<&Rank>) {
        (self.host().rank, self.route.rank(self.matched))
    }

    /// A total order, the winner first. Ranks tell all matches apart; should a model's not, the
    /// Ids do.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.key()
            .cmp(&other.key())
            .then_with(|| self.route.id.cmp(&other.route.id))
            .then_with(|| self.matched.cmp(&other.matched))
            .then_with(|| self.place.cmp(&other.place))
    }
}
