//! The pools that addresses come from: which of their ranges can be used, and by whom.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::meta::{LabelOperator, LabelSelector};
use fairway_api::own::AddressPool;

use super::range::AddressRange;
use crate::listener::allowed::selects;
use crate::object::{Kind, Name, ObjectKey};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{Conditions, ObjectVerdicts, PoolFigures, Reason};

/// All of them, in the order in which they are drawn from.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    pub(super) all: Vec<Pool>,
    /// Whether addresses may be asked for that are in none.
    pub(super) open: bool,
    /// Generation and conditions of each object, in the same order; nothing of the pool of the command line.
    said: Vec<(i64, Conditions)>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Pool {
    /// Its object; the pool of the command line has none.
    pub(super) name: Option<Arc<str>>,
    pub(super) ranges: Vec<AddressRange>,
    pub(super) auto_assign: bool,
    namespaces: BTreeSet<String>,
    selector: Option<LabelSelector>,
}

impl Pools {
    /// Reads the AddressPools; the pool of the settings counts as long as there is none.
    pub(crate) fn read(snapshot: &Snapshot, settings: &Settings) -> Self {
        let open = settings.pool.open;
        if snapshot.address_pools.is_empty() {
            let ranges = settings.pool.ranges.iter().map(|network| AddressRange::of(*network));
            let implied = Pool {
                name: None,
                ranges: ranges.collect(),
                auto_assign: true,
                namespaces: BTreeSet::new(),
                selector: None,
            };
            let all = if implied.ranges.is_empty() { Vec::new() } else { vec![implied] };
            return Self { all, open, said: Vec::new() };
        }
        // The older one has the addresses that two pools name.
        let mut objects: Vec<(&Name, &AddressPool)> =
            snapshot.address_pools.iter().map(|(name, pool)| (name, &**pool)).collect();
        objects.sort_by_key(|(name, pool)| (pool.metadata.created(), *name));
        let mut known: Vec<(AddressRange, String)> = Vec::new();
        let mut judged: Vec<(Reverse<i32>, Pool, i64, Conditions)> = Vec::new();
        for (name, pool) in objects {
            let (ranges, said) = judge(name, pool, &mut known);
            let read = Pool {
                name: Some(Arc::clone(&name.name)),
                ranges,
                auto_assign: pool.spec.auto_assign.unwrap_or(true),
                namespaces: pool.spec.namespaces.iter().cloned().collect(),
                selector: pool.spec.namespace_selector.clone(),
            };
            let priority = Reverse(pool.spec.priority.unwrap_or_default());
            judged.push((priority, read, pool.metadata.generation, said));
        }
        judged.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        let both = judged.into_iter().map(|(_, pool, generation, said)| (pool, (generation, said)));
        let (all, said) = both.unzip();
        Self { all, open, said }
    }

    /// Gives the pools that a namespace may use, by their place.
    pub(crate) fn of(&self, namespace: &str, snapshot: &Snapshot) -> Vec<usize> {
        let usable = |pool: &Pool| pool.lets_in(namespace, snapshot);
        self.all.iter().enumerate().filter(|(_, pool)| usable(pool)).map(|(at, _)| at).collect()
    }

    /// Finds the pool that an address is in.
    pub(super) fn find(&self, address: IpAddr) -> Option<usize> {
        self.all.iter().position(|pool| pool.contains(address))
    }

    /// Names the pool that an address is in, if it has a name.
    pub(crate) fn name_of(&self, address: IpAddr) -> Option<Arc<str>> {
        self.find(address).and_then(|at| self.all[at].name.clone())
    }

    /// Says what there is to say about the pools, given the addresses that are somebody's.
    pub(crate) fn verdicts(
        self,
        assigned: &BTreeSet<IpAddr>,
    ) -> impl Iterator<Item = (ObjectKey, ObjectVerdicts)> {
        let one = |(pool, (generation, conditions)): (Pool, (i64, Conditions))| {
            let key = ObjectKey {
                kind: Kind::AddressPool,
                name: Name::new("", pool.name.clone().unwrap_or_default()),
            };
            let mut said = ObjectVerdicts { generation, conditions, ..ObjectVerdicts::default() };
            said.facts.pool = Some(pool.figures(assigned));
            (key, said)
        };
        self.all.into_iter().zip(self.said).map(one)
    }
}

impl Pool {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("AddressPool {name}"),
            None => "the pool".to_owned(),
        }
    }

    fn lets_in(&self, namespace: &str, snapshot: &Snapshot) -> bool {
        if self.namespaces.is_empty() && self.selector.is_none() {
            return true;
        }
        let selected = |selector: &LabelSelector| selects(selector, namespace, snapshot);
        self.namespaces.contains(namespace) || self.selector.as_ref().is_some_and(selected)
    }

    fn figures(&self, assigned: &BTreeSet<IpAddr>) -> PoolFigures {
        let total = self.ranges.iter().fold(0_u128, |sum, r| sum.saturating_add(r.count()));
        let taken: usize = self
            .ranges
            .iter()
            .map(|range| assigned.range(range.first()..=range.last()).count())
            .sum();
        let taken = u128::try_from(taken).unwrap_or(u128::MAX);
        let figure = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
        PoolFigures {
            total: figure(total),
            assigned: figure(taken),
            available: figure(total.saturating_sub(taken)),
        }
    }
}

/// Leaves out the ranges that make no sense, and those that another pool has, and says so.
fn judge(
    name: &Name,
    pool: &AddressPool,
    known: &mut Vec<(AddressRange, String)>,
) -> (Vec<AddressRange>, Conditions) {
    let mut said = Conditions::default();
    let mut ranges = Vec::new();
    let (mut invalid, mut double) = (Vec::new(), Vec::new());
    for (nth, text) in pool.spec.ranges.iter().enumerate() {
        let range = match AddressRange::parse(text) {
            Ok(range) => range,
            Err(why) => {
                invalid.push(format!("ranges[{nth}]: {text} {why}"));
                continue;
            }
        };
        if let Some((_, other)) = known.iter().find(|(other, _)| other.overlaps(range)) {
            double.push(format!("ranges[{nth}]: {text} overlaps {other}"));
            continue;
        }
        known.push((range, format!("{text} of AddressPool {name}")));
        ranges.push(range);
    }
    let left_out = |all: &[String]| format!("{}; left out", all.join("; "));
    if !invalid.is_empty() {
        said.say(Reason::InvalidRange, left_out(&invalid));
    }
    if !double.is_empty() {
        said.say(Reason::OverlappingRange, left_out(&double));
    }
    let selector = pool.spec.namespace_selector.iter();
    let unknown =
        selector.flat_map(|selector| &selector.match_expressions).find_map(|demand| match &demand
            .operator
        {
            LabelOperator::Other(word) => Some(word),
            LabelOperator::In
            | LabelOperator::NotIn
            | LabelOperator::Exists
            | LabelOperator::DoesNotExist => None,
        });
    if let Some(word) = unknown {
        let message = format!(
            "namespaceSelector: operator {word} is not known: use In, NotIn, Exists or DoesNotExist"
        );
        said.say(Reason::InvalidSelector, message);
    }
    said.say(Reason::PoolReady, "");
    (ranges, said)
}
