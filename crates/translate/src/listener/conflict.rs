//! Which listeners of one gateway stand in each other's way. Per the Gateway specification ("Distinct
//! Listeners"), listeners of one object that are not distinct are all refused; between objects the order
//! decides (GEP-1713): the Gateway's own first, then ListenerSets by age and name.

use std::collections::BTreeMap;

use fairway_model::host::HostPattern;

/// What speaks on a port, as far as sharing the port goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// Told apart by the `Host` header.
    Plain,
    /// Told apart by the server name of the TLS handshake.
    Tls,
    /// Not told apart at all.
    Tcp,
    /// Not told apart at all; other ports than TCP's.
    Udp,
}

/// A listener as far as conflicts go.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Which object it stands in: the lower one has precedence.
    pub(crate) owner: usize,
    pub(crate) port: u16,
    pub(crate) family: Family,
    pub(crate) hostname: HostPattern,
}

/// Why a listener is refused, and whose claim stands against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Same port, another protocol.
    Protocol(usize),
    /// Same port, same hostname.
    Hostname(usize),
}

/// Gives for each claim the conflict that it loses, if any. Claims stand in order of precedence.
///
/// A claim that loses against an object before its own is out and stands in nobody's way. Claims of one
/// object that are in each other's way are out too, yet still keep later objects off: nobody may take
/// over a host because its owner made a mistake.
pub(crate) fn conflicts(claims: &[Claim]) -> Vec<Option<Conflict>> {
    let mut by_port: BTreeMap<(bool, u16), Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        by_port.entry((claim.family == Family::Udp, claim.port)).or_default().push(index);
    }
    let mut found = vec![None; claims.len()];
    for group in by_port.values() {
        let mut standing = Standing::default();
        for own in group.chunk_by(|a, b| claims[*a].owner == claims[*b].owner) {
            for &index in own {
                found[index] = standing.against(claims, index);
            }
            let left: Vec<usize> = own.iter().copied().filter(|i| found[*i].is_none()).collect();
            let mut beside = Standing::default();
            left.iter().for_each(|index| beside.add(claims, *index));
            for &index in &left {
                found[index] = beside.against(claims, index);
                standing.add(claims, index);
            }
        }
    }
    found
}

/// Claims on one port by what tells them apart, so that a thousand hosts cost no million comparisons.
#[derive(Default)]
struct Standing<'a> {
    by_family: BTreeMap<Family, BTreeMap<&'a HostPattern, Vec<usize>>>,
}

impl<'a> Standing<'a> {
    fn add(&mut self, claims: &'a [Claim], index: usize) {
        let claim = &claims[index];
        let hosts = self.by_family.entry(claim.family).or_default();
        hosts.entry(&claim.hostname).or_default().push(index);
    }

    /// Finds what stands against a claim, itself not counted.
    fn against(&self, claims: &[Claim], index: usize) -> Option<Conflict> {
        let claim = &claims[index];
        let is_other = |other: &usize| *other != index;
        let others = self.by_family.iter().filter(|(family, _)| **family != claim.family);
        let mut others = others.flat_map(|(_, hosts)| hosts.values().flatten().copied());
        if let Some(other) = others.find(is_other) {
            return Some(Conflict::Protocol(other));
        }
        let hosts = self.by_family.get(&claim.family)?;
        match claim.family {
            // Nothing in the traffic tells two such listeners apart.
            Family::Tcp | Family::Udp => {
                hosts.values().flatten().copied().find(is_other).map(Conflict::Protocol)
            }
            Family::Plain | Family::Tls => {
                let same = hosts.get(&claim.hostname)?;
                same.iter().copied().find(is_other).map(Conflict::Hostname)
            }
        }
    }
}

/// Gives the claims that end TLS on the same port as another one whose hostname covers some of the
/// same hosts (`OverlappingTLSConfig`), each with such another one.
pub(crate) fn overlaps(claims: &[Claim], takes_part: impl Fn(usize) -> bool) -> Vec<Option<usize>> {
    let mut by_port: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        if claim.family == Family::Tls && takes_part(index) {
            by_port.entry(claim.port).or_default().push(index);
        }
    }
    let mut found = vec![None; claims.len()];
    for group in by_port.values() {
        let mut wildcards: BTreeMap<&str, usize> = BTreeMap::new();
        for &index in group {
            if let HostPattern::Any | HostPattern::Wildcard { .. } = &claims[index].hostname {
                wildcards.entry(suffix(&claims[index].hostname)).or_insert(index);
            }
        }
        for &index in group {
            let covering =
                covers(&claims[index].hostname).filter_map(|s| wildcards.get(s).copied());
            for other in covering.filter(|other| *other != index) {
                found[index] = found[index].or(Some(other));
                found[other] = found[other].or(Some(index));
            }
        }
    }
    found
}

/// What all hosts under a wildcard end in; nothing for those that are every host.
fn suffix(pattern: &HostPattern) -> &str {
    match pattern {
        HostPattern::Any => "",
        HostPattern::Exact(name) => name,
        HostPattern::Wildcard { suffix, depth: _ } => suffix,
    }
}

/// Walks over the suffixes of the wildcards that cover a hostname: `.b.c`, `.c` and the empty one for
/// `a.b.c`; for `*.b.c` the same.
fn covers(pattern: &HostPattern) -> impl Iterator<Item = &str> {
    let text = suffix(pattern);
    let dots = text.match_indices('.').map(|(at, _)| at);
    dots.filter_map(move |at| text.get(at..)).chain([""])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(owner: usize, port: u16, family: Family, host: &str) -> Claim {
        Claim { owner, port, family, hostname: HostPattern::parse(host).expect("a pattern") }
    }

    #[test]
    fn equals_all_lose_and_order_decides_between_objects() {
        let claims = [
            claim(0, 80, Family::Plain, "a.b"),
            claim(0, 80, Family::Plain, "a.b"),
            claim(0, 443, Family::Tls, "*"),
            claim(1, 443, Family::Plain, "*"),
            claim(1, 8080, Family::Plain, "*"),
            claim(2, 8080, Family::Plain, "*"),
            claim(2, 80, Family::Udp, "*"),
        ];
        let expected = [
            Some(Conflict::Hostname(1)),
            Some(Conflict::Hostname(0)),
            None,
            Some(Conflict::Protocol(2)),
            None,
            Some(Conflict::Hostname(4)),
            None,
        ];
        assert_eq!(conflicts(&claims), expected);
    }

    #[test]
    fn who_lost_stands_in_nobodys_way() {
        let claims = [
            claim(0, 80, Family::Plain, "a.b"),
            claim(1, 80, Family::Tcp, "*"),
            claim(1, 80, Family::Plain, "c.b"),
            claim(2, 80, Family::Plain, "d.b"),
        ];
        assert_eq!(conflicts(&claims), [None, Some(Conflict::Protocol(0)), None, None]);
    }

    #[test]
    fn streams_cannot_share_a_port() {
        let claims = [claim(0, 53, Family::Udp, "*"), claim(0, 53, Family::Udp, "*")];
        assert_eq!(conflicts(&claims), [Some(Conflict::Protocol(1)), Some(Conflict::Protocol(0))]);
    }

    #[test]
    fn overlapping_hosts_are_found_on_one_port() {
        let claims = [
            claim(0, 443, Family::Tls, "*.a"),
            claim(0, 443, Family::Tls, "x.a"),
            claim(0, 443, Family::Tls, "x.b"),
            claim(0, 8443, Family::Tls, "x.a"),
        ];
        assert_eq!(overlaps(&claims, |_| true), [Some(1), Some(0), None, None]);
        assert_eq!(overlaps(&claims, |claim| claim != 1), [None; 4]);
        let claims = [
            claim(0, 443, Family::Tls, "*"),
            claim(0, 443, Family::Tls, "*.b.a"),
            claim(0, 443, Family::Tls, "*.c.b.a"),
            claim(0, 443, Family::Tls, "*.d"),
        ];
        assert_eq!(overlaps(&claims, |_| true), [Some(1), Some(0), Some(1), Some(0)]);
    }
}
