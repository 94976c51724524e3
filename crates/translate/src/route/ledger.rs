//! What comes up while the rules of one route are lowered: faults, clusters, Services looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::core::Service;
use fairway_model::{Cluster, ClusterId};

use super::RouteHead;
use crate::ground::Ground;
use crate::object::Name;
use crate::verdict::{Conditions, Reason, Verdict};

/// See the module.
pub(crate) struct Ledger<'a> {
    pub(crate) ground: &'a Ground<'a>,
    pub(crate) head: &'a RouteHead<'a>,
    pub(crate) clusters: BTreeMap<ClusterId, Arc<Cluster>>,
    pub(crate) services: BTreeMap<Name, Option<Arc<Service>>>,
    pub(crate) policies: BTreeSet<Name>,
    references: Vec<Verdict>,
    /// Rules that cannot be served as written, with the first fault of each.
    invalid: BTreeMap<usize, Verdict>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(ground: &'a Ground<'a>, head: &'a RouteHead<'a>) -> Self {
        Self {
            ground,
            head,
            clusters: BTreeMap::new(),
            services: BTreeMap::new(),
            policies: BTreeSet::new(),
            references: Vec::new(),
            invalid: BTreeMap::new(),
        }
    }

    /// Notes a reference of a rule that leads nowhere.
    pub(crate) fn unresolved(&mut self, rule: usize, reason: Reason, message: &str) {
        self.references.push(Verdict::new(reason, format!("rules[{rule}]: {message}")));
    }

    /// Notes that a rule cannot be served as written.
    pub(crate) fn invalid(&mut self, rule: usize, reason: Reason, message: &str) {
        let verdict = || Verdict::new(reason, format!("rules[{rule}]: {message}"));
        self.invalid.entry(rule).or_insert_with(verdict);
    }

    /// The same where what is served one by one is not a rule: a path of an Ingress, by any number.
    pub(crate) fn invalid_unit(&mut self, unit: usize, reason: Reason, message: String) {
        self.invalid.entry(unit).or_insert_with(|| Verdict::new(reason, message));
    }

    /// Says whether a rule is known not to be servable as written, and why.
    pub(crate) fn fault(&self, rule: usize) -> Option<&Verdict> {
        self.invalid.get(&rule)
    }

    /// Says whether the route makes sense: not when none of its rules does.
    pub(crate) fn is_accepted(&self, rules: usize) -> bool {
        let some_rule = self.invalid.len() < rules || rules == 0;
        some_rule && (self.head.bad_hostnames.is_empty() || !self.head.hostnames.is_empty())
    }

    /// Says `Accepted` and `PartiallyInvalid`.
    pub(crate) fn say_validity(&self, conditions: &mut Conditions, rules: usize) {
        let bad = &self.head.bad_hostnames;
        let hostnames = format!("hostnames: {} is no hostname", bad.join(", "));
        if !self.is_accepted(rules) {
            match self.invalid.values().next() {
                Some(first) if self.invalid.len() >= rules => {
                    conditions.say(first.reason, Arc::clone(&first.message));
                }
                _ => conditions.say(Reason::UnsupportedValue, hostnames),
            }
            return;
        }
        conditions.say(Reason::Accepted, "");
        let dropped: Vec<&str> = self.invalid.values().map(|verdict| &*verdict.message).collect();
        if !dropped.is_empty() {
            // The wording that the specification asks for begins so.
            let message = format!("Dropped Rule(s): {}", dropped.join("; "));
            conditions.say(Reason::DroppedRule, message);
        } else if !bad.is_empty() {
            conditions.say(Reason::DroppedRule, format!("Dropped Rule(s) for {hostnames}"));
        }
    }

    /// Says `ResolvedRefs`.
    pub(crate) fn say_references(&self, conditions: &mut Conditions) {
        if let Some(first) = self.references.first() {
            conditions.say(first.reason, Arc::clone(&first.message));
        } else {
            conditions.say(Reason::ResolvedRefs, "");
        }
    }
}
