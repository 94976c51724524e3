//! The whole of the listener stage: Gateways with their ListenerSets, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fairway_api::gateway::Listener;
use fairway_api::reference::RouteGroupKind;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::{GatewayId, ListenerId, SecretId};

use super::address::{give, programmed};
use super::certificate::{Keyring, Trouble};
use super::class::classes;
use super::conflict::{Claim, Conflict, Family, conflicts, overlaps};
use super::frontend::is_insecure;
use super::gateway::{GatewayView, classless, gateways};
use super::judge::{Judged, Site, judge};
use super::set::{SetView, orphans, sets};
use super::{ListenerStage, Parent, ParentKey, ParentKind, Point};
use crate::address::{Allocation, Claimant, Claims, Held};
use crate::ingress::tls::{Brought, certificates};
use crate::object::{Kind, ObjectKey, slug};
use crate::refs::Asker;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{Condition, Conditions, ListenerVerdicts, ObjectVerdicts, Reason, Verdicts};

/// What is said about a Gateway or ListenerSet, but for the routes on it.
pub(crate) struct Draft {
    pub(crate) key: ObjectKey,
    pub(crate) said: ObjectVerdicts,
    /// For each listener its place in [`ListenerStage::points`].
    pub(crate) points: Vec<usize>,
}

/// All that the stage gives.
pub(crate) struct Staged {
    pub(crate) stage: ListenerStage,
    pub(crate) drafts: Vec<Draft>,
    /// What is said about classes.
    pub(crate) verdicts: Verdicts,
    pub(crate) gateways: BTreeMap<GatewayId, Arc<fairway_model::Gateway>>,
    pub(crate) listeners: BTreeMap<ListenerId, Arc<fairway_model::Listener>>,
    pub(crate) secrets: BTreeMap<SecretId, Arc<fairway_model::Secret>>,
    pub(crate) addresses: BTreeMap<GatewayId, Allocation>,
    /// Addresses that have to be claimed.
    pub(crate) claims: BTreeMap<IpAddr, Claimant>,
}

/// Looks at all Gateways that are ours.
pub(crate) fn stage(
    snapshot: &Snapshot,
    settings: &Settings,
    held: &Held,
    keyring: &mut Keyring<'_>,
) -> Staged {
    let mut verdicts = Verdicts::new();
    let classes = classes(snapshot, settings, &mut verdicts);
    let claims = Claims::read(snapshot);
    // Who has an address was served: a claim says so over a restart too.
    let was_served = |gateway: &GatewayId| held.contains_key(gateway) || claims.are_of(gateway);
    let views = gateways(snapshot, settings, &classes, was_served);
    let classless = classless(snapshot, settings, &classes);
    verdicts.extend(classless.into_iter().map(|(key, said)| (key, Arc::new(said))));
    let served: Vec<&GatewayView<'_>> = views.iter().filter(|v| v.is_served()).collect();
    let given = give(&served, snapshot, settings, held, &claims);
    verdicts.extend(given.verdicts);
    let mut staged = Staged {
        stage: ListenerStage::default(),
        drafts: orphans(snapshot, settings),
        verdicts,
        gateways: BTreeMap::new(),
        listeners: BTreeMap::new(),
        secrets: BTreeMap::new(),
        addresses: given.addresses,
        claims: given.claims,
    };
    let mut sets = sets(snapshot, &views);
    let classes = views.iter().flat_map(|view| view.ingress_classes);
    let classes = classes.map(|class| Arc::from(class.as_str())).collect();
    let brought = certificates(snapshot, &classes, keyring);
    staged.stage.ingress_troubles = brought.troubles;
    for view in &views {
        let sets = sets.remove(&view.key).unwrap_or_default();
        let brought =
            view.ingress_classes.iter().filter_map(|class| brought.by_class.get(class.as_str()));
        let brought: Vec<&[Brought]> = brought.map(Vec::as_slice).collect();
        one((view, &brought), &sets, keyring, &mut staged);
    }
    staged.stage.foreign = foreign(snapshot, &staged.stage);
    staged
}

fn foreign(snapshot: &Snapshot, stage: &ListenerStage) -> BTreeSet<ParentKey> {
    let gateways = snapshot.gateways.keys().map(|name| (ParentKind::Gateway, name));
    let sets = snapshot.listener_sets.keys().map(|name| (ParentKind::ListenerSet, name));
    let keys = gateways.chain(sets).map(|(kind, name)| ParentKey { kind, name: name.clone() });
    keys.filter(|key| !stage.parents.contains_key(key)).collect()
}

/// One object that listeners stand in.
struct Owner<'a> {
    key: &'a ParentKey,
    generation: i64,
    listeners: &'a [Listener],
}

fn one(
    (view, brought): (&GatewayView<'_>, &[&[Brought]]),
    sets: &[SetView<'_>],
    keyring: &mut Keyring<'_>,
    staged: &mut Staged,
) {
    let allowed = sets.iter().filter(|set| set.allowed);
    let mut owners =
        vec![Owner { key: &view.key, generation: view.generation, listeners: view.listeners }];
    owners.extend(allowed.map(|set| Owner {
        key: &set.key,
        generation: set.object.metadata.generation,
        listeners: &set.object.spec.listeners,
    }));
    let mut judged: Vec<(usize, Judged)> = Vec::new();
    for (index, owner) in owners.iter().enumerate() {
        let site =
            Site { owner: asker(owner.key), gateway: asker(&view.key), tls: view.tls, brought };
        let each = owner.listeners.iter().map(|l| (index, judge(l, site, keyring)));
        judged.extend(each);
    }
    refuse_twins(&mut judged);
    let found = find_conflicts(&owners, &judged);
    let has_address = !staged.addresses.get(&view.id).is_none_or(|a| a.addresses.is_empty());
    let mut drafts: Vec<Draft> = owners.iter().map(draft).collect();
    for (place, (owner, judged)) in judged.into_iter().enumerate() {
        let key = owners[owner].key;
        let id = listener_id(key, &judged.name);
        let valid = judged.protocol.is_some() && found[place].0.is_none();
        let served = valid && view.is_served();
        let conditions = listener_conditions(&judged, &found[place], served, has_address);
        drafts[owner].points.push(staged.stage.points.len());
        drafts[owner].said.listeners.push(ListenerVerdicts {
            name: Arc::clone(&judged.name),
            id: served.then(|| id.clone()),
            supported_kinds: judged.kinds.iter().map(|kind| supported(*kind)).collect(),
            attached_routes: 0,
            conditions,
        });
        push(judged, id, key, view, served, staged);
    }
    finish(view, sets, drafts, keyring, staged);
}

/// Names listeners of one object once: the schema sees to that, but not everything went through it.
fn refuse_twins(judged: &mut [(usize, Judged)]) {
    let mut names = BTreeSet::new();
    for (owner, listener) in judged {
        if !names.insert((*owner, Arc::clone(&listener.name))) {
            let message = format!("name: another listener before it is called {}", listener.name);
            listener.conditions.say(Reason::UnsupportedValue, message);
            listener.family = None;
            listener.protocol = None;
        }
    }
}

fn asker(key: &ParentKey) -> Asker<'_> {
    Asker { kind: key.kind.kind(), namespace: &key.name.namespace }
}

fn listener_id(key: &ParentKey, listener: &str) -> ListenerId {
    let kind = slug(key.kind.kind());
    ListenerId::new(format!("{kind}/{}/{}/{listener}", key.name.namespace, key.name.name))
}

fn supported(kind: Kind) -> RouteGroupKind {
    RouteGroupKind { group: Some(kind.group().to_owned()), kind: kind.name().to_owned() }
}

fn draft(owner: &Owner<'_>) -> Draft {
    let said = ObjectVerdicts { generation: owner.generation, ..ObjectVerdicts::default() };
    Draft { key: owner.key.object(), said, points: Vec::new() }
}

/// What stands against a listener: a conflict that it loses, and another one that it overlaps with.
type Against = (Option<(Conflict, String)>, Option<String>);

fn find_conflicts(owners: &[Owner<'_>], judged: &[(usize, Judged)]) -> Vec<Against> {
    let mut places = Vec::new();
    let mut claims = Vec::new();
    for (place, (owner, listener)) in judged.iter().enumerate() {
        if let Some(family) = listener.family {
            let hostname = listener.hostname.clone();
            claims.push(Claim { owner: *owner, port: listener.port, family, hostname });
            places.push(place);
        }
    }
    let shown = |claim: usize| {
        let (owner, listener) = &judged[places[claim]];
        format!("listener {} of {}", listener.name, owners[*owner].key)
    };
    let lost = conflicts(&claims);
    let takes_part = |claim: usize| {
        let protocol = judged[places[claim]].1.protocol.as_ref();
        let terminates = !matches!(protocol, None | Some(ListenerProtocol::TlsPassthrough));
        lost[claim].is_none() && terminates
    };
    let overlapping = overlaps(&claims, takes_part);
    let mut found: Vec<Against> = vec![(None, None); judged.len()];
    for (claim, place) in places.iter().enumerate() {
        let conflict = lost[claim].map(|conflict| {
            let (Conflict::Protocol(other) | Conflict::Hostname(other)) = conflict;
            (conflict, shown(other))
        });
        found[*place] = (conflict, overlapping[claim].map(shown));
    }
    found
}

fn listener_conditions(
    judged: &Judged,
    (conflict, overlap): &Against,
    served: bool,
    has_address: bool,
) -> Conditions {
    let mut said = judged.conditions.clone();
    match conflict {
        Some((Conflict::Protocol(_), other)) => {
            let port = judged.port;
            let message =
                format!("port {port} is taken by {other}, whose protocol cannot share it");
            said.say(Reason::ProtocolConflict, message.as_str());
            said.say(Reason::AcceptedProtocolConflict, message.as_str());
            said.say(Reason::ProgrammedProtocolConflict, message);
        }
        Some((Conflict::Hostname(_), other)) => {
            let (port, hostname) = (judged.port, &judged.hostname);
            let message = format!("port {port} and hostname {hostname} are taken by {other}");
            said.say(Reason::HostnameConflict, message.as_str());
            said.say(Reason::AcceptedHostnameConflict, message.as_str());
            said.say(Reason::ProgrammedHostnameConflict, message);
        }
        None => said.say(Reason::NoConflicts, ""),
    }
    if let Some(other) = overlap {
        let message = format!("{other} answers for some of the same hosts on this port");
        said.say(Reason::OverlappingHostnames, message);
    }
    said.say(Reason::Accepted, "");
    said.say(Reason::ResolvedRefs, "");
    match (served, has_address) {
        (true, true) => said.say(Reason::Programmed, ""),
        (true, false) => said.say(Reason::ProgrammedPending, "the Gateway has no address yet"),
        (false, _) => said.say(Reason::ProgrammedInvalid, "it cannot be served as it is"),
    }
    said
}

/// Puts a listener where routes find it and, if it is served, into the model.
fn push(
    judged: Judged,
    id: ListenerId,
    key: &ParentKey,
    view: &GatewayView<'_>,
    served: bool,
    staged: &mut Staged,
) {
    let protocol = judged.protocol;
    staged.stage.points.push(Point {
        id: id.clone(),
        name: Arc::clone(&judged.name),
        port: judged.port,
        hostname: judged.hostname.clone(),
        reads_hostnames: matches!(judged.family, Some(Family::Plain | Family::Tls)),
        served,
        root: view.key.clone(),
        namespace: Arc::clone(&key.name.namespace),
        carries: judged.carries,
        kinds: judged.kinds,
        namespaces: judged.namespaces,
    });
    let Some(protocol) = protocol.filter(|_| served) else { return };
    staged.secrets.extend(judged.keys);
    let listener = fairway_model::Listener {
        gateway: view.id.clone(),
        name: judged.name,
        port: judged.port,
        hostname: judged.hostname,
        protocol,
    };
    staged.listeners.insert(id, Arc::new(listener));
}

/// Says what is to be said of the Gateway and its sets as a whole.
fn finish(
    view: &GatewayView<'_>,
    sets: &[SetView<'_>],
    mut drafts: Vec<Draft>,
    keyring: &mut Keyring<'_>,
    staged: &mut Staged,
) {
    let mut attached = 0;
    let sets_drafts = drafts.split_off(1);
    let accepted = view.is_served();
    for mut draft in sets_drafts {
        attached += i32::from(finish_set(&mut draft, view, accepted));
        keep(draft, view, None, staged);
    }
    for set in sets.iter().filter(|set| !set.allowed) {
        keep(not_allowed(set, view), view, Some("the Gateway does not let it in"), staged);
    }
    for mut draft in drafts {
        if view.allowed_listeners.is_some() {
            draft.said.facts.attached_listener_sets = Some(attached);
        }
        finish_gateway(&mut draft, view, attached > 0, keyring, staged);
        keep(draft, view, None, staged);
    }
    for class in view.ingress_classes {
        let gateways = staged.stage.ingress_gateways.entry(class.as_str().into()).or_default();
        gateways.push(view.key.clone());
    }
}

fn keep(draft: Draft, view: &GatewayView<'_>, refused: Option<&str>, staged: &mut Staged) {
    let kind = [ParentKind::Gateway, ParentKind::FairwayGateway, ParentKind::ListenerSet];
    let kind = kind.into_iter().find(|kind| kind.kind() == draft.key.kind);
    let kind = kind.expect("drafts are made from parents only");
    let key = ParentKey { kind, name: draft.key.name.clone() };
    let parent = Parent {
        key: key.clone(),
        gateway: view.id.clone(),
        root: view.key.clone(),
        points: draft.points.clone(),
        refused: refused.map(Arc::from),
    };
    staged.stage.parents.insert(key, parent);
    staged.drafts.push(draft);
}

fn not_allowed(set: &SetView<'_>, view: &GatewayView<'_>) -> Draft {
    let mut said =
        ObjectVerdicts { generation: set.object.metadata.generation, ..ObjectVerdicts::default() };
    let message = format!("{} does not let it in: see spec.allowedListeners there", view.key);
    said.conditions.say(Reason::NotAllowed, message.as_str());
    said.conditions.say(Reason::ProgrammedNotAllowed, message);
    Draft { key: set.key.object(), said, points: Vec::new() }
}

/// Says whether the set is accepted.
fn finish_set(draft: &mut Draft, view: &GatewayView<'_>, parent_accepted: bool) -> bool {
    let (valid, invalid) = sorted(&draft.said);
    let said = &mut draft.said.conditions;
    if !parent_accepted {
        let message = format!("{} is not accepted", view.key);
        said.say(Reason::ParentNotAccepted, message.as_str());
        said.say(Reason::ParentNotProgrammed, message);
        return false;
    }
    if valid == 0 {
        let message = not_valid(&invalid);
        said.say(Reason::ListenersNotValid, message.as_str());
        said.say(Reason::ProgrammedListenersNotValid, message);
        return false;
    }
    if invalid.is_empty() {
        said.say(Reason::Accepted, "");
    } else {
        said.say(Reason::SomeListenersNotValid, not_valid(&invalid));
    }
    said.say(Reason::Programmed, "");
    true
}

/// Counts the valid listeners and names the others.
fn sorted(said: &ObjectVerdicts) -> (usize, Vec<Arc<str>>) {
    let is_valid = |listener: &&ListenerVerdicts| listener.id.is_some();
    let valid = said.listeners.iter().filter(is_valid).count();
    let invalid = said.listeners.iter().filter(|listener| !is_valid(listener));
    (valid, invalid.map(|listener| Arc::clone(&listener.name)).collect())
}

fn not_valid(invalid: &[Arc<str>]) -> String {
    if invalid.is_empty() {
        return "there are no listeners".to_owned();
    }
    format!("not valid: {}; see their conditions", invalid.join(", "))
}

fn finish_gateway(
    draft: &mut Draft,
    view: &GatewayView<'_>,
    has_sets: bool,
    keyring: &mut Keyring<'_>,
    staged: &mut Staged,
) {
    let (valid, invalid) = sorted(&draft.said);
    let client_certificate = client_certificate(view, &mut draft.said.conditions, keyring, staged);
    let unresolved = |l: &&ListenerVerdicts| !l.conditions.holds(Condition::ResolvedRefs);
    let unresolved: Vec<&str> =
        draft.said.listeners.iter().filter(unresolved).map(|l| &*l.name).collect();
    let said = &mut draft.said.conditions;
    if !unresolved.is_empty() {
        let message = format!("references of {} lead nowhere", unresolved.join(", "));
        said.say(Reason::ListenersNotResolved, message);
    }
    said.say(Reason::ResolvedRefs, "");
    if is_insecure(view.tls) {
        let message = "tls.frontend lets clients in without a valid certificate on some port";
        said.say(Reason::ConfigurationChanged, message);
    }
    if let Some((reason, message)) = &view.refused {
        let more = if view.stands { "; its proxies stay as they are, and serve on" } else { "" };
        said.say(*reason, format!("{message}{more}"));
        if !view.stands {
            said.say(Reason::ProgrammedInvalid, message.as_str());
            return;
        }
    }
    if valid == 0 && !has_sets && !view.listeners.is_empty() {
        said.say(Reason::ListenersNotValid, not_valid(&invalid));
        said.say(Reason::ProgrammedInvalid, not_valid(&invalid));
    } else if invalid.is_empty() {
        said.say(Reason::Accepted, "");
    } else {
        said.say(Reason::SomeListenersNotValid, not_valid(&invalid));
    }
    let allocation = staged.addresses.get(&view.id).cloned().unwrap_or_default();
    programmed(&allocation, said);
    draft.said.facts.addresses.clone_from(&allocation.addresses);
    let gateway = fairway_model::Gateway {
        namespace: Arc::clone(&view.key.name.namespace),
        name: Arc::clone(&view.key.name.name),
        addresses: allocation.addresses,
        client_certificate,
    };
    staged.gateways.insert(view.id.clone(), Arc::new(gateway));
}

fn client_certificate(
    view: &GatewayView<'_>,
    said: &mut Conditions,
    keyring: &mut Keyring<'_>,
    staged: &mut Staged,
) -> Option<SecretId> {
    let reference = view.tls?.backend.as_ref()?.client_certificate_ref.as_ref()?;
    let kind = (reference.group(), reference.kind());
    let name = (reference.namespace.as_deref(), reference.name.as_str());
    match keyring.certificate(asker(&view.key), kind, name) {
        Ok((id, secret)) => {
            staged.secrets.insert(id.clone(), secret);
            Some(id)
        }
        Err(trouble) => {
            let reason = match trouble {
                Trouble::NotPermitted(_) => Reason::RefNotPermitted,
                Trouble::Kind(_) | Trouble::Broken(_) => Reason::InvalidClientCertificateRef,
            };
            said.say(reason, format!("tls.backend.clientCertificateRef: {}", trouble.message()));
            None
        }
    }
}
