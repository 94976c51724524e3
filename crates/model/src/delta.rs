//! What changed between two models: the unit in which configuration travels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Cluster, ClusterId, Endpoints, Gateway, GatewayId, Listener, ListenerId, Model, Route, RouteId,
    Secret, SecretId,
};

/// What changed in one map of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(bound(serialize = "K: Ord + Serialize, V: Serialize"))]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>, V: Deserialize<'de>"))]
pub struct Changes<K, V> {
    /// New entries and new values of old ones.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub put: BTreeMap<K, Arc<V>>,
    /// Entries that are gone.
    #[serde(default = "BTreeSet::new", skip_serializing_if = "BTreeSet::is_empty")]
    pub removed: BTreeSet<K>,
}

impl<K, V> Default for Changes<K, V> {
    fn default() -> Self {
        Self { put: BTreeMap::new(), removed: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V: PartialEq> Changes<K, V> {
    /// Says whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.removed.is_empty()
    }

    /// Walks both maps once, in order. Entries that are the same `Arc` are equal without a look.
    fn between(old: &BTreeMap<K, Arc<V>>, new: &BTreeMap<K, Arc<V>>) -> Self {
        let mut changes = Self::default();
        let mut before = old.iter().peekable();
        for (id, value) in new {
            while let Some((gone, _)) = before.next_if(|(old_id, _)| *old_id < id) {
                changes.removed.insert(gone.clone());
            }
            let unchanged = before
                .next_if(|(old_id, _)| *old_id == id)
                .is_some_and(|(_, old_value)| Arc::ptr_eq(old_value, value) || old_value == value);
            if !unchanged {
                changes.put.insert(id.clone(), Arc::clone(value));
            }
        }
        changes.removed.extend(before.map(|(gone, _)| gone.clone()));
        changes
    }

    fn apply(self, map: &mut BTreeMap<K, Arc<V>>) {
        for id in &self.removed {
            map.remove(id);
        }
        map.extend(self.put);
    }
}

/// What changed between two models, map by map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delta {
    /// See [`Model::gateways`].
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub gateways: Changes<GatewayId, Gateway>,
    /// See [`Model::listeners`].
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub listeners: Changes<ListenerId, Listener>,
    /// See [`Model::routes`].
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub routes: Changes<RouteId, Route>,
    /// See [`Model::clusters`].
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub clusters: Changes<ClusterId, Cluster>,
    /// See [`Model::endpoints`].
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub endpoints: Changes<ClusterId, Endpoints>,
    /// See [`Model::secrets`].
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub secrets: Changes<SecretId, Secret>,
}

impl Delta {
    /// Says whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { gateways, listeners, routes, clusters, endpoints, secrets } = self;
        gateways.is_empty()
            && listeners.is_empty()
            && routes.is_empty()
            && clusters.is_empty()
            && endpoints.is_empty()
            && secrets.is_empty()
    }
}

/// Gives what turns `old` into `new`: `apply(old, diff(old, new)) == new`.
#[must_use]
pub fn diff(old: &Model, new: &Model) -> Delta {
    Delta {
        gateways: Changes::between(&old.gateways, &new.gateways),
        listeners: Changes::between(&old.listeners, &new.listeners),
        routes: Changes::between(&old.routes, &new.routes),
        clusters: Changes::between(&old.clusters, &new.clusters),
        endpoints: Changes::between(&old.endpoints, &new.endpoints),
        secrets: Changes::between(&old.secrets, &new.secrets),
    }
}

/// Carries out a delta: the inverse of [`diff`].
pub fn apply(model: &mut Model, delta: Delta) {
    let Delta { gateways, listeners, routes, clusters, endpoints, secrets } = delta;
    gateways.apply(&mut model.gateways);
    listeners.apply(&mut model.listeners);
    routes.apply(&mut model.routes);
    clusters.apply(&mut model.clusters);
    endpoints.apply(&mut model.endpoints);
    secrets.apply(&mut model.secrets);
}
