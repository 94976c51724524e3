//! Things kept by hostname pattern, found by host from the most specific pattern to the least.

use std::sync::Arc;

use super::shards::Shards;
use crate::host::{HostPattern, WildcardDepth};

/// The longest suffix that a wildcard may have: a name of 253 bytes and the dot before it. Without
/// this bound a long host made of dots alone would cost the square of its length.
const LONGEST_SUFFIX: usize = 254;

#[derive(Clone)]
pub(super) struct Hosts<V> {
    exact: Shards<Arc<str>, V>,
    /// By suffix: exactly one label before it.
    one: Shards<Arc<str>, V>,
    /// By suffix: one label or more before it.
    many: Shards<Arc<str>, V>,
    any: Option<V>,
}

impl<V> Default for Hosts<V> {
    fn default() -> Self {
        Self {
            exact: Shards::default(),
            one: Shards::default(),
            many: Shards::default(),
            any: None,
        }
    }
}

impl<V: Clone> Hosts<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.one.is_empty() && self.many.is_empty() && self.any.is_none()
    }

    /// Gives what is kept under patterns that match the host: the exact one, then the wildcards
    /// with the longest suffix first (at one length that of a single label first), then any.
    pub(super) fn candidates<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a V> {
        let wild = (!self.one.is_empty() || !self.many.is_empty()).then(|| suffixes(host));
        self.exact
            .get(host)
            .into_iter()
            .chain(wild.into_iter().flatten().flat_map(|(suffix, first)| {
                let one = if first { self.one.get(suffix) } else { None };
                one.into_iter().chain(self.many.get(suffix))
            }))
            .chain(self.any.as_ref())
    }

    /// Gives what is kept under a pattern, to change; made first where there is nothing.
    pub(super) fn slot(&mut self, pattern: &HostPattern) -> &mut V
    where
        V: Default,
    {
        match pattern {
            HostPattern::Any => self.any.get_or_insert_default(),
            HostPattern::Exact(name) => self.exact.slot(name),
            HostPattern::Wildcard { suffix, depth: WildcardDepth::One } => self.one.slot(suffix),
            HostPattern::Wildcard { suffix, depth: WildcardDepth::Many } => self.many.slot(suffix),
        }
    }

    pub(super) fn remove(&mut self, pattern: &HostPattern) -> Option<V> {
        match pattern {
            HostPattern::Any => self.any.take(),
            HostPattern::Exact(name) => self.exact.remove(&**name),
            HostPattern::Wildcard { suffix, depth: WildcardDepth::One } => {
                self.one.remove(&**suffix)
            }
            HostPattern::Wildcard { suffix, depth: WildcardDepth::Many } => {
                self.many.remove(&**suffix)
            }
        }
    }
}

/// Gives the suffixes of a host that begin with a dot and have something before them, the longest
/// first, each with whether exactly one label stands before it.
fn suffixes(host: &str) -> impl Iterator<Item = (&str, bool)> {
    let first = host.find('.');
    host.match_indices('.')
        .map(|(at, _)| at)
        .filter(move |at| *at > 0 && host.len() - at <= LONGEST_SUFFIX)
        .filter_map(move |at| Some((host.get(at..)?, Some(at) == first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_come_from_the_most_specific_on() {
        let mut hosts: Hosts<String> = Hosts::default();
        let patterns =
            ["*", "*.c", "?.b.c", "*.b.c", "a.b.c", "?.c", "x.b.c", "*.a.b.c", "?.a.b.c"];
        for text in patterns {
            *hosts.slot(&HostPattern::parse(text).expect("a pattern")) = text.to_owned();
        }
        let found: Vec<&str> = hosts.candidates("a.b.c").map(String::as_str).collect();
        assert_eq!(found, ["a.b.c", "?.b.c", "*.b.c", "*.c", "*"]);
        let found: Vec<&str> = hosts.candidates(".c").map(String::as_str).collect();
        assert_eq!(found, ["*"]);
        assert_eq!(hosts.candidates("").count(), 1);
        for text in patterns {
            assert!(hosts.remove(&HostPattern::parse(text).expect("a pattern")).is_some());
        }
        assert!(hosts.is_empty());
    }
}
