//! ListenerSets: which Gateway each one adds to, in which order, and whether it may (GEP-1713).

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_api::gateway::ListenerSet;

use super::allowed::AllowedNamespaces;
use super::gateway::GatewayView;
use super::{Draft, ParentKey, ParentKind};
use crate::object::Name;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{ObjectVerdicts, Reason};

/// A ListenerSet of one of our Gateways.
pub(crate) struct SetView<'a> {
    pub(crate) key: ParentKey,
    pub(crate) object: &'a Arc<ListenerSet>,
    /// Whether the Gateway lets it in.
    pub(crate) allowed: bool,
}

/// Gives the ListenerSets of each Gateway that is ours, in order of precedence: the older one first,
/// then by namespace and name.
pub(crate) fn sets<'a>(
    snapshot: &'a Snapshot,
    gateways: &[GatewayView<'_>],
) -> BTreeMap<ParentKey, Vec<SetView<'a>>> {
    let ours: BTreeMap<&ParentKey, &GatewayView<'_>> =
        gateways.iter().map(|view| (&view.key, view)).collect();
    let mut sets: BTreeMap<ParentKey, Vec<SetView<'a>>> = BTreeMap::new();
    for (name, object) in &*snapshot.listener_sets {
        let Some(parent) = parent(name, object) else { continue };
        let Some(gateway) = ours.get(&parent) else { continue };
        let written = gateway.allowed_listeners.and_then(|allowed| allowed.namespaces.as_ref());
        let namespaces = AllowedNamespaces::read(written, AllowedNamespaces::None);
        let allowed = namespaces.hold(&name.namespace, &parent.name.namespace, snapshot);
        let key = ParentKey { kind: ParentKind::ListenerSet, name: name.clone() };
        sets.entry(parent).or_default().push(SetView { key, object, allowed });
    }
    for views in sets.values_mut() {
        // The map's order, by namespace and name, stays where ages are equal.
        views.sort_by_key(|view| view.object.metadata.created());
    }
    sets
}

/// Says of ListenerSets whose Gateway does not exist that it does not, where that is ours to say.
pub(crate) fn orphans(snapshot: &Snapshot, settings: &Settings) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (name, object) in &*snapshot.listener_sets {
        let Some(parent) = parent(name, object) else { continue };
        let exists = match parent.kind {
            ParentKind::Gateway => snapshot.gateways.contains_key(&parent.name),
            ParentKind::FairwayGateway => snapshot.fairway_gateways.contains_key(&parent.name),
            ParentKind::ListenerSet => continue,
        };
        let ours = settings.alone || parent.kind == ParentKind::FairwayGateway;
        if exists || !ours {
            continue;
        }
        let mut said =
            ObjectVerdicts { generation: object.metadata.generation, ..ObjectVerdicts::default() };
        let message = format!("{parent} does not exist: create it, or correct parentRef");
        said.conditions.say(Reason::ParentNotAccepted, message.as_str());
        said.conditions.say(Reason::ParentNotProgrammed, message);
        let key = ParentKey { kind: ParentKind::ListenerSet, name: name.clone() };
        drafts.push(Draft { key: key.object(), said, points: Vec::new() });
    }
    drafts
}

fn parent(name: &Name, object: &ListenerSet) -> Option<ParentKey> {
    let reference = &object.spec.parent_ref;
    let kind = ParentKind::of(reference.group(), reference.kind())?;
    let namespace = reference.namespace.as_deref().unwrap_or(&name.namespace);
    Some(ParentKey { kind, name: Name::new(namespace, reference.name.as_str()) })
}
