//! The part of a model that one gateway's data planes need, and no more: they must not see other gateways'
//! keys, and need not follow other gateways' changes.
//!
//! A slice holds the gateway, its listeners, the routes attached to them (with the attachments to other
//! gateways' listeners cut off), and the clusters, endpoints and Secrets that these name. What is not cut is
//! shared with the model. What nobody names is in no slice.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::{ClusterId, GatewayId, Model, Route, RouteId, SecretId};

/// All slices of a model.
pub type Slices = BTreeMap<GatewayId, Arc<Model>>;

impl Model {
    /// Gives what one gateway's data planes need; the empty model when there is no such gateway.
    #[must_use]
    pub fn slice(&self, gateway: &GatewayId) -> Self {
        let only = |id: &GatewayId| id == gateway;
        let slices = cut(self, None, only);
        slices.into_iter().next().map_or_else(Self::default, |(_, slice)| slice)
    }
}

/// Gives the slices of all gateways, in one pass over the model.
///
/// `previous`, the slices of the model before, makes it cheaper to compare: a slice in which nothing
/// changed is the same `Arc`, and so is each entry that did not change in a slice that did. The values are
/// the same with and without it.
#[must_use]
pub fn slices(model: &Model, previous: Option<&Slices>) -> Slices {
    let cut = cut(model, previous, |_| true);
    let keep = |(id, slice): (GatewayId, Model)| {
        let before = previous.and_then(|previous| previous.get(&id));
        let slice = match before {
            Some(before) if same(before, &slice) => Arc::clone(before),
            Some(_) | None => Arc::new(slice),
        };
        (id, slice)
    };
    cut.into_iter().map(keep).collect()
}

/// One slice while it is being filled. Entries come in the order of the model, so that the maps are built in
/// one go.
struct Part<'a> {
    gateway: &'a GatewayId,
    before: Option<&'a Model>,
    routes: Vec<(RouteId, Arc<Route>)>,
    slice: Model,
}

/// Asked for each of ten thousand routes; never walked through.
#[expect(
    clippy::disallowed_types,
    reason = "looked things up in only: no order of its own reaches the slices"
)]
type Lookup<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;

/// Which parts, by their number, want an entry. Hardly ever more than one.
type Wanted<'a, K> = Lookup<&'a K, Vec<usize>>;

fn want<'a, K: Eq + Hash>(wanted: &mut Wanted<'a, K>, id: &'a K, part: usize) {
    let parts = wanted.entry(id).or_default();
    // Parts are asked for in any order, but mostly for the same one again.
    if parts.last() != Some(&part) && !parts.contains(&part) {
        parts.push(part);
    }
}

fn cut(
    model: &Model,
    previous: Option<&Slices>,
    wanted: impl Fn(&GatewayId) -> bool,
) -> Vec<(GatewayId, Model)> {
    let mut parts = Vec::new();
    let mut numbers: Lookup<&str, usize> = Lookup::default();
    let mut secrets: Wanted<'_, SecretId> = Lookup::default();
    for (id, gateway) in model.gateways.iter().filter(|(id, _)| wanted(id)) {
        let number = parts.len();
        numbers.insert(id.as_str(), number);
        gateway.secrets().for_each(|secret| want(&mut secrets, secret, number));
        let mut slice = Model::default();
        slice.gateways.insert(id.clone(), Arc::clone(gateway));
        let before = previous.and_then(|previous| previous.get(id)).map(|slice| &**slice);
        parts.push(Part { gateway: id, before, routes: Vec::new(), slice });
    }
    // From here on `numbers` leads from listeners to parts; their Ids differ from those of gateways or not.
    let of_gateways = std::mem::take(&mut numbers);
    for (id, listener) in &model.listeners {
        let Some(&number) = of_gateways.get(listener.gateway.as_str()) else { continue };
        let Some(part) = parts.get_mut(number) else { continue };
        numbers.insert(id.as_str(), number);
        listener.secrets().for_each(|secret| want(&mut secrets, secret, number));
        part.slice.listeners.insert(id.clone(), Arc::clone(listener));
    }
    let clusters = cut_routes(model, &mut parts, &numbers);
    fill(model, &mut parts, &clusters, secrets);
    parts.into_iter().map(|part| (part.gateway.clone(), part.slice)).collect()
}

/// Shares out the routes; gives who wants which cluster.
fn cut_routes<'a>(
    model: &'a Model,
    parts: &mut [Part<'_>],
    listeners: &Lookup<&str, usize>,
) -> Wanted<'a, ClusterId> {
    let mut clusters: Wanted<'_, ClusterId> = Lookup::default();
    let part_of = |listener: &str| listeners.get(listener).copied();
    let mut owners: Vec<usize> = Vec::new();
    for (id, route) in &model.routes {
        let attachments = &route.attachments;
        owners.clear();
        owners.extend(attachments.iter().filter_map(|it| part_of(it.listener.as_str())));
        let whole = owners.len() == attachments.len();
        owners.sort_unstable();
        owners.dedup();
        let named = if owners.is_empty() { Vec::new() } else { route.clusters() };
        for &owner in &owners {
            let Some(part) = parts.get_mut(owner) else { continue };
            let route = if whole && owners.len() == 1 {
                Arc::clone(route)
            } else {
                let before = part.before.and_then(|before| before.routes.get(id));
                cut_route(route, before, |listener| part_of(listener) == Some(owner))
            };
            part.routes.push((id.clone(), route));
            named.iter().for_each(|cluster| want(&mut clusters, cluster, owner));
        }
    }
    for part in parts {
        part.slice.routes = std::mem::take(&mut part.routes).into_iter().collect();
    }
    clusters
}

/// Takes the other gateways' attachments off; the result of the last time if it is the same.
fn cut_route(
    route: &Route,
    before: Option<&Arc<Route>>,
    keeps: impl Fn(&str) -> bool,
) -> Arc<Route> {
    let mut cut = route.clone();
    cut.attachments.retain(|attachment| keeps(attachment.listener.as_str()));
    match before {
        Some(before) if **before == cut => Arc::clone(before),
        Some(_) | None => Arc::new(cut),
    }
}

/// Adds clusters, endpoints and Secrets, each once for whoever wants it.
fn fill<'a>(
    model: &'a Model,
    parts: &mut [Part<'_>],
    clusters: &Wanted<'_, ClusterId>,
    mut secrets: Wanted<'a, SecretId>,
) {
    for (id, cluster) in &model.clusters {
        for &number in clusters.get(id).into_iter().flatten() {
            cluster.secrets().for_each(|secret| want(&mut secrets, secret, number));
        }
    }
    share(&model.clusters, clusters, parts, |slice| &mut slice.clusters);
    share(&model.endpoints, clusters, parts, |slice| &mut slice.endpoints);
    share(&model.secrets, &secrets, parts, |slice| &mut slice.secrets);
}

fn share<K: Ord + Hash + Clone, V>(
    all: &BTreeMap<K, Arc<V>>,
    wanted: &Wanted<'_, K>,
    parts: &mut [Part<'_>],
    map: impl Fn(&mut Model) -> &mut BTreeMap<K, Arc<V>>,
) {
    let mut shares: Vec<Vec<(K, Arc<V>)>> = Vec::new();
    shares.resize_with(parts.len(), Vec::new);
    for (id, value) in all {
        for &number in wanted.get(id).into_iter().flatten() {
            if let Some(share) = shares.get_mut(number) {
                share.push((id.clone(), Arc::clone(value)));
            }
        }
    }
    for (part, share) in parts.iter_mut().zip(shares) {
        *map(&mut part.slice) = share.into_iter().collect();
    }
}

/// Says whether two slices hold the same `Arc`s.
fn same(before: &Model, now: &Model) -> bool {
    fn same_map<K: Eq, V>(before: &BTreeMap<K, Arc<V>>, now: &BTreeMap<K, Arc<V>>) -> bool {
        let mut pairs = before.iter().zip(now);
        before.len() == now.len()
            && pairs.all(|((id, old), (new_id, new))| Arc::ptr_eq(old, new) && id == new_id)
    }
    let Model { gateways, listeners, routes, clusters, endpoints, secrets } = now;
    same_map(&before.gateways, gateways)
        && same_map(&before.listeners, listeners)
        && same_map(&before.routes, routes)
        && same_map(&before.clusters, clusters)
        && same_map(&before.endpoints, endpoints)
        && same_map(&before.secrets, secrets)
}
