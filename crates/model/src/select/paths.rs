//! The rules under one hostname pattern, found by path. It proposes; `evaluate` decides.

use std::borrow::Cow;
use std::sync::Arc;

use super::compiled::Candidate;
use super::request::Request;
use super::shards::Shards;
use crate::matching::PathMatch;
use crate::route::Rule;

/// Candidates, the winner of two that match first.
pub(super) struct Bucket<X>(Vec<Candidate<X>>);

impl<X> Clone for Bucket<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<X> Default for Bucket<X> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<X> Bucket<X> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, candidate: Candidate<X>) {
        let place = self.0.binary_search_by(|other| other.order(&candidate));
        self.0.insert(place.unwrap_or_else(|free| free), candidate);
    }

    fn remove(&mut self, candidate: &Candidate<X>) {
        if let Ok(place) = self.0.binary_search_by(|other| other.order(candidate)) {
            self.0.remove(place);
        }
    }
}

/// Buckets by the text with which a path begins. Instead of a tree of segments: a lookup for each
/// length that any of the texts has, which shares its parts with its copies as the exact paths do.
struct Prefixes<X> {
    by_text: Shards<Arc<str>, Bucket<X>>,
    /// Each length that occurs, the longest first, with how many texts have it.
    lengths: Vec<(usize, usize)>,
}

impl<X> Clone for Prefixes<X> {
    fn clone(&self) -> Self {
        Self { by_text: self.by_text.clone(), lengths: self.lengths.clone() }
    }
}

impl<X> Default for Prefixes<X> {
    fn default() -> Self {
        Self { by_text: Shards::default(), lengths: Vec::new() }
    }
}

impl<X> Prefixes<X> {
    fn insert(&mut self, text: &Arc<str>, candidate: Candidate<X>) {
        if self.by_text.get(&**text).is_none() {
            let place = self.lengths.binary_search_by(|(length, _)| text.len().cmp(length));
            match place {
                Ok(place) => self.lengths.iter_mut().skip(place).take(1).for_each(|l| l.1 += 1),
                Err(place) => self.lengths.insert(place, (text.len(), 1)),
            }
        }
        self.by_text.slot(text).insert(candidate);
    }

    fn remove(&mut self, text: &str, candidate: &Candidate<X>) {
        if !remove_from(&mut self.by_text, text, candidate) {
            return;
        }
        for entry in self.lengths.iter_mut().filter(|(length, _)| *length == text.len()) {
            entry.1 -= 1;
        }
        self.lengths.retain(|(_, count)| *count > 0);
    }

    /// Offers all buckets whose text the path begins with, the longest first; with `segments`,
    /// only those whose text ends where a segment ends.
    fn offer<'a, R: Request>(
        &'a self,
        path: &str,
        segments: bool,
        search: &mut Search<'a, '_, X, R>,
    ) {
        let bytes = path.as_bytes();
        for (length, _) in &self.lengths {
            let Some(start) = path.get(..*length) else { continue };
            let whole =
                || bytes.get(*length).is_none_or(|next| *next == b'/') || start.ends_with('/');
            if (!segments || whole())
                && let Some(bucket) = self.by_text.get(start)
            {
                search.offer(bucket);
            }
        }
    }
}

/// Takes a candidate out; says whether its whole bucket went.
fn remove_from<X>(
    buckets: &mut Shards<Arc<str>, Bucket<X>>,
    text: &str,
    candidate: &Candidate<X>,
) -> bool {
    let Some(bucket) = buckets.get_mut(text) else { return false };
    bucket.remove(candidate);
    bucket.is_empty() && buckets.remove(text).is_some()
}

/// The rules under one hostname pattern.
pub(super) struct HostTable<X> {
    exact: Shards<Arc<str>, Bucket<X>>,
    prefixes: Prefixes<X>,
    string_prefixes: Prefixes<X>,
    exact_ignoring_case: Shards<Arc<str>, Bucket<X>>,
    prefixes_ignoring_case: Prefixes<X>,
    patterns: Bucket<X>,
    streams: Bucket<X>,
}

impl<X> Clone for HostTable<X> {
    fn clone(&self) -> Self {
        Self {
            exact: self.exact.clone(),
            prefixes: self.prefixes.clone(),
            string_prefixes: self.string_prefixes.clone(),
            exact_ignoring_case: self.exact_ignoring_case.clone(),
            prefixes_ignoring_case: self.prefixes_ignoring_case.clone(),
            patterns: self.patterns.clone(),
            streams: self.streams.clone(),
        }
    }
}

impl<X> Default for HostTable<X> {
    fn default() -> Self {
        Self {
            exact: Shards::default(),
            prefixes: Prefixes::default(),
            string_prefixes: Prefixes::default(),
            exact_ignoring_case: Shards::default(),
            prefixes_ignoring_case: Prefixes::default(),
            patterns: Bucket::default(),
            streams: Bucket::default(),
        }
    }
}

impl<X> HostTable<X> {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            exact,
            prefixes,
            string_prefixes,
            exact_ignoring_case,
            prefixes_ignoring_case,
            patterns,
            streams,
        } = self;
        exact.is_empty()
            && prefixes.by_text.is_empty()
            && string_prefixes.by_text.is_empty()
            && exact_ignoring_case.is_empty()
            && prefixes_ignoring_case.by_text.is_empty()
            && patterns.is_empty()
            && streams.is_empty()
    }

    pub(super) fn insert(&mut self, candidate: Candidate<X>) {
        let route = Arc::clone(&candidate.route.route);
        match path_of(&route.rule, candidate.matched) {
            None => self.streams.insert(candidate),
            Some(PathMatch::Exact(text)) => self.exact.slot(text).insert(candidate),
            Some(PathMatch::Prefix(text)) => self.prefixes.insert(text, candidate),
            Some(PathMatch::StringPrefix(text)) => self.string_prefixes.insert(text, candidate),
            Some(PathMatch::Regex(_)) => self.patterns.insert(candidate),
            Some(PathMatch::ExactIgnoreCase(text)) => {
                self.exact_ignoring_case.slot(text).insert(candidate);
            }
            Some(PathMatch::PrefixIgnoreCase(text)) => {
                self.prefixes_ignoring_case.insert(text, candidate);
            }
        }
    }

    pub(super) fn remove(&mut self, candidate: &Candidate<X>) {
        match path_of(&candidate.route.route.rule, candidate.matched) {
            None => self.streams.remove(candidate),
            Some(PathMatch::Exact(text)) => {
                remove_from(&mut self.exact, text, candidate);
            }
            Some(PathMatch::Prefix(text)) => self.prefixes.remove(text, candidate),
            Some(PathMatch::StringPrefix(text)) => self.string_prefixes.remove(text, candidate),
            Some(PathMatch::Regex(_)) => self.patterns.remove(candidate),
            Some(PathMatch::ExactIgnoreCase(text)) => {
                remove_from(&mut self.exact_ignoring_case, text, candidate);
            }
            Some(PathMatch::PrefixIgnoreCase(text)) => {
                self.prefixes_ignoring_case.remove(text, candidate);
            }
        }
    }

    /// Offers every rule that may match the request's path.
    pub(super) fn offer<'a, R: Request>(&'a self, search: &mut Search<'a, '_, X, R>) {
        let path = search.request.path();
        if let Some(bucket) = self.exact.get(path) {
            search.offer(bucket);
        }
        self.prefixes.offer(path, true, search);
        self.string_prefixes.offer(path, false, search);
        search.offer(&self.patterns);
        if self.exact_ignoring_case.is_empty() && self.prefixes_ignoring_case.by_text.is_empty() {
            return;
        }
        let folded = if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(path.to_ascii_lowercase())
        } else {
            Cow::Borrowed(path)
        };
        if let Some(bucket) = self.exact_ignoring_case.get(&*folded) {
            search.offer(bucket);
        }
        self.prefixes_ignoring_case.offer(&folded, true, search);
    }

    /// Gives the first of the rules over streams.
    pub(super) fn stream(&self) -> Option<&Candidate<X>> {
        self.streams.0.first()
    }
}

/// Gives what a rule asks of the path; `None` for a rule over streams.
fn path_of(rule: &Rule, matched: usize) -> Option<&PathMatch> {
    match rule {
        Rule::Http(rule) => rule.matches.get(matched).map(|wanted| &wanted.path),
        Rule::Stream(_) => None,
    }
}

/// The best match found so far while buckets are offered.
pub(super) struct Search<'a, 'r, X, R> {
    request: &'r R,
    best: Option<&'a Candidate<X>>,
}

impl<'a, 'r, X, R: Request> Search<'a, 'r, X, R> {
    pub(super) fn new(request: &'r R) -> Self {
        Self { request, best: None }
    }

    pub(super) fn best(self) -> Option<&'a Candidate<X>> {
        self.best
    }

    fn offer(&mut self, bucket: &'a Bucket<X>) {
        for candidate in &bucket.0 {
            // From here on the bucket holds nothing better than what was found.
            if self.best.is_some_and(|best| best.order(candidate).is_lt()) {
                return;
            }
            if candidate.route.evaluate(candidate.matched, self.request).is_ok() {
                self.best = Some(candidate);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::CompiledRoute;

    /// Lengths that no prefix has any more would be looked up for every request.
    #[test]
    fn lengths_go_with_their_last_prefix() {
        let model = crate::wire::decode(include_bytes!("../../tests/data/v1.json")).expect("valid");
        let candidates: Vec<Candidate<()>> = model
            .routes
            .iter()
            .map(|(id, route)| Candidate {
                route: Arc::new(CompiledRoute::new(id.clone(), Arc::clone(route), ())),
                matched: 0,
                place: (0, 0),
            })
            .collect();
        let [first, second, ..] = candidates.as_slice() else { panic!("two routes") };
        let mut prefixes = Prefixes::default();
        for text in ["/a", "/b", "/long"] {
            prefixes.insert(&text.into(), first.clone());
        }
        prefixes.insert(&"/a".into(), second.clone());
        assert_eq!(prefixes.lengths, [(5, 1), (2, 2)]);
        prefixes.remove("/a", first);
        prefixes.remove("/long", first);
        assert_eq!(prefixes.lengths, [(2, 2)]);
        prefixes.remove("/a", second);
        prefixes.remove("/b", second);
        assert_eq!(prefixes.lengths, [(2, 1)], "another route's candidate is not there");
        prefixes.remove("/b", first);
        assert!(prefixes.lengths.is_empty() && prefixes.by_text.is_empty());
    }
}
