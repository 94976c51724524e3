//! From verdicts, and from what came of them, to statuses as the API wants them. Pure: the time is passed
//! in, and a condition keeps its own unless its status changes. Entries and conditions of others stay.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_api::core::{LoadBalancerIngress, LoadBalancerStatus, ServiceStatus};
use fairway_api::meta::Time;
use fairway_api::own::address::AddressPoolStatus;
use fairway_api::status::{
    ClassStatus, GatewayStatus, GatewayStatusAddress, ListenerSetStatus, ListenerStatus,
    PolicyAncestorStatus, PolicyStatus, RouteParentStatus, RouteStatus, SupportedFeature,
};
use fairway_model::{ListenerId, RouteId};

use crate::object::{Kind, ObjectKey, slug};
use crate::plan::Plan;
use crate::settings::Settings;
use crate::verdict::{
    Condition, Conditions, ListenerVerdicts, ObjectVerdicts, ParentVerdicts, Reason,
};

mod account;
mod carried;
mod conditions;
mod fleet;
mod remembered;

pub use self::account::{Account, Change, News, Standing};
pub use self::carried::current;
use self::conditions::Stamp;
pub use self::fleet::{FleetOutcome, PodOutcome};
use self::remembered::live_message;
pub use self::remembered::remembered;

/// What data planes say of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// What became of each listener; one without an entry is not confirmed yet.
    pub listeners: BTreeMap<ListenerId, ListenerOutcome>,
    /// Entries of the model that a data plane refuses, and why.
    pub refused: BTreeMap<RouteId, Arc<str>>,
    /// Routes that are live.
    pub live: BTreeMap<ObjectKey, Live>,
    /// How the proxies of Gateways are that have some of their own.
    pub fleets: BTreeMap<ObjectKey, FleetOutcome>,
}

/// What became of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerOutcome {
    /// It takes connections.
    Bound,
    /// It does not, and why: `address in use`, say.
    Failed(Arc<str>),
}

/// Which generation of a route every data plane has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// The generation.
    pub generation: i64,
    /// How long it took from the change to the last confirmation.
    pub milliseconds: u64,
}

/// The status of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Of a GatewayClass.
    Class(ClassStatus),
    /// Of a Gateway of either group.
    Gateway(GatewayStatus),
    /// Of a ListenerSet.
    ListenerSet(ListenerSetStatus),
    /// Of a route.
    Route(RouteStatus),
    /// Of a policy.
    Policy(PolicyStatus),
    /// Of an Ingress.
    Ingress(ServiceStatus),
    /// Of an AddressPool.
    Pool(AddressPoolStatus),
}

impl Status {
    /// Gives it as JSON.
    ///
    /// # Errors
    /// Never in practice: all these types serialise.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        match self {
            Self::Class(status) => serde_json::to_value(status),
            Self::Gateway(status) => serde_json::to_value(status),
            Self::ListenerSet(status) => serde_json::to_value(status),
            Self::Route(status) => serde_json::to_value(status),
            Self::Policy(status) => serde_json::to_value(status),
            Self::Ingress(status) => serde_json::to_value(status),
            Self::Pool(status) => serde_json::to_value(status),
        }
    }
}

/// Statuses by object.
pub type Statuses = BTreeMap<ObjectKey, Arc<Status>>;

/// Says what every status must be. `current` is what the statuses are now (see [`current`]); objects that
/// nothing is said about any more get a status without our entries. Where nothing differs, the result
/// holds the `Arc` of `current`.
#[must_use]
pub fn render(
    plan: &Plan,
    settings: &Settings,
    outcomes: &Outcomes,
    current: &Statuses,
    now: jiff::Timestamp,
) -> Statuses {
    let pen = Pen::new(settings, outcomes, now);
    let mut all = Vec::with_capacity(plan.verdicts.len());
    // Both maps are walked in step, since searching one for each entry of the other costs more than
    // all the rest.
    let mut rest = current.iter().peekable();
    let withdraw = |all: &mut Vec<_>, (key, before): (&ObjectKey, &Arc<Status>)| {
        if let Some(status) = pen.withdrawn(before) {
            all.push((key.clone(), keep(status, Some(before))));
        }
    };
    for (key, said) in &plan.verdicts {
        while let Some(silent) = rest.next_if(|(known, _)| *known < key) {
            withdraw(&mut all, silent);
        }
        let before = rest.next_if(|(known, _)| *known == key).map(|(_, before)| before);
        all.push((key.clone(), pen.put(key, said, before)));
    }
    for silent in rest {
        withdraw(&mut all, silent);
    }
    all.into_iter().collect()
}

fn keep(status: Status, before: Option<&Arc<Status>>) -> Arc<Status> {
    match before {
        Some(before) if **before == status => Arc::clone(before),
        Some(_) | None => Arc::new(status),
    }
}

struct Pen<'a> {
    settings: &'a Settings,
    outcomes: &'a Outcomes,
    now: Time,
}

impl<'a> Pen<'a> {
    fn new(settings: &'a Settings, outcomes: &'a Outcomes, now: jiff::Timestamp) -> Self {
        Self { settings, outcomes, now: Time(now).whole_seconds() }
    }

    /// Gives what is said about an object as its status; that before, where nothing differs.
    fn put(
        &self,
        key: &ObjectKey,
        said: &ObjectVerdicts,
        before: Option<&Arc<Status>>,
    ) -> Arc<Status> {
        match before {
            // Most routes say what they said: that is seen without writing it down again.
            Some(before) if self.is_written(key, said, before) => Arc::clone(before),
            Some(_) | None => keep(self.status(key, said, before.map(|b| &**b)), before),
        }
    }

    fn status(&self, key: &ObjectKey, said: &ObjectVerdicts, before: Option<&Status>) -> Status {
        match key.kind {
            Kind::GatewayClass => self.class(said, before),
            Kind::Gateway | Kind::FairwayGateway => self.gateway(key, said, before),
            Kind::ListenerSet => self.listener_set(said, before),
            Kind::BackendTlsPolicy | Kind::XTelemetryPolicy => self.policy(said, before),
            Kind::Ingress => ingress(said),
            Kind::AddressPool => self.pool(said, before),
            Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::TlsRoute
            | Kind::TcpRoute
            | Kind::UdpRoute
            | Kind::TrafficRoute
            | Kind::ReferenceGrant
            | Kind::XBackend
            | Kind::XBackendTrafficPolicy
            | Kind::XMesh
            | Kind::GatewayProfile
            | Kind::AddressClaim
            | Kind::IngressClass
            | Kind::Service
            | Kind::EndpointSlice
            | Kind::Secret
            | Kind::ConfigMap
            | Kind::Namespace
            | Kind::Node => self.route(key, said, before),
        }
    }

    fn stamp(&self, said: &ObjectVerdicts) -> Stamp {
        Stamp { generation: said.generation, now: self.now }
    }

    fn class(&self, said: &ObjectVerdicts, before: Option<&Status>) -> Status {
        let before = match before {
            Some(Status::Class(status)) => &status.conditions[..],
            _ => &[],
        };
        let feature = |name: &&str| SupportedFeature { name: (*name).to_owned() };
        Status::Class(ClassStatus {
            conditions: self.stamp(said).write(&said.conditions, before),
            supported_features: said.facts.supported_features.iter().map(feature).collect(),
        })
    }

    fn gateway(&self, key: &ObjectKey, said: &ObjectVerdicts, before: Option<&Status>) -> Status {
        let empty = GatewayStatus::default();
        let before = match before {
            Some(Status::Gateway(status)) => status,
            _ => &empty,
        };
        let address = |address: &std::net::IpAddr| GatewayStatusAddress {
            kind: Some("IPAddress".to_owned()),
            value: address.to_string(),
            routability: None,
        };
        let mut conditions = self.confirmed(said);
        let fleet = self.outcomes.fleets.get(key);
        if let Some(fleet) = fleet {
            fleet.judge(&mut conditions);
        }
        let shown = |address: &GatewayStatusAddress| {
            self.is_open(said) || before.addresses.iter().any(|known| known.value == address.value)
        };
        let mut status = GatewayStatus {
            addresses: said.facts.addresses.iter().map(address).filter(shown).collect(),
            conditions: self.stamp(said).write(&conditions, &before.conditions),
            listeners: self.listeners(said, &before.listeners),
            attached_listener_sets: said.facts.attached_listener_sets,
            ..GatewayStatus::default()
        };
        // The API server drops fields that Gateway API does not have: to write them would never end.
        if let Some(fleet) = fleet.filter(|_| key.kind == Kind::FairwayGateway) {
            fleet.describe(said, conditions.holds(Condition::Programmed), &mut status);
        }
        Status::Gateway(status)
    }

    fn listener_set(&self, said: &ObjectVerdicts, before: Option<&Status>) -> Status {
        let empty = ListenerSetStatus::default();
        let before = match before {
            Some(Status::ListenerSet(status)) => status,
            _ => &empty,
        };
        let conditions = self.confirmed(said);
        Status::ListenerSet(ListenerSetStatus {
            conditions: self.stamp(said).write(&conditions, &before.conditions),
            listeners: self.listeners(said, &before.listeners),
        })
    }

    fn listeners(&self, said: &ObjectVerdicts, before: &[ListenerStatus]) -> Vec<ListenerStatus> {
        let one = |(index, listener): (usize, &ListenerVerdicts)| {
            // Two of one name are refused, yet each has a status: the first keeps the first one's times.
            let same = |other: &&ListenerVerdicts| other.name == listener.name;
            let nth = said.listeners.iter().take(index).filter(same).count();
            let known = before.iter().filter(|known| known.name == *listener.name).nth(nth);
            let mut conditions = listener.conditions.clone();
            match listener.id.as_ref().map(|id| self.outcomes.listeners.get(id)) {
                Some(Some(ListenerOutcome::Failed(why))) => {
                    conditions.replace(Reason::PortUnavailable, Arc::clone(why));
                }
                Some(None) => pending(&mut conditions),
                Some(Some(ListenerOutcome::Bound)) | None => {}
            }
            ListenerStatus {
                name: listener.name.as_ref().to_owned(),
                supported_kinds: listener.supported_kinds.clone(),
                attached_routes: listener.attached_routes,
                conditions: self
                    .stamp(said)
                    .write(&conditions, known.map_or(&[][..], |known| &known.conditions)),
            }
        };
        said.listeners.iter().enumerate().map(one).collect()
    }

    /// Says whether a client gets to a listener. An address is shown from then on: who reads it connects, and
    /// many clients back off for long after a first refusal. Without a listener there is nothing to wait for.
    fn is_open(&self, said: &ObjectVerdicts) -> bool {
        let mut ids = said.listeners.iter().filter_map(|listener| listener.id.as_ref()).peekable();
        ids.peek().is_none()
            || ids.any(|id| matches!(self.outcomes.listeners.get(id), Some(ListenerOutcome::Bound)))
    }

    /// Says `Programmed` only when a data plane has confirmed a listener.
    fn confirmed(&self, said: &ObjectVerdicts) -> Conditions {
        let mut conditions = said.conditions.clone();
        let ids = said.listeners.iter().filter_map(|listener| listener.id.as_ref());
        let found: Vec<_> = ids.map(|id| self.outcomes.listeners.get(id)).collect();
        let bound = found.iter().any(|outcome| matches!(outcome, Some(ListenerOutcome::Bound)));
        let failed = found.iter().find_map(|outcome| match outcome {
            Some(ListenerOutcome::Failed(why)) => Some(why),
            Some(ListenerOutcome::Bound) | None => None,
        });
        if bound || found.is_empty() || !conditions.holds(Condition::Programmed) {
            return conditions;
        }
        match failed {
            Some(why) => conditions.replace(Reason::ProgrammedInvalid, Arc::clone(why)),
            None => pending(&mut conditions),
        }
        conditions
    }

    fn pool(&self, said: &ObjectVerdicts, before: Option<&Status>) -> Status {
        let before = match before {
            Some(Status::Pool(status)) => &status.conditions[..],
            _ => &[],
        };
        let figures = said.facts.pool;
        Status::Pool(AddressPoolStatus {
            total: figures.map_or(0, |figures| figures.total),
            assigned: figures.map_or(0, |figures| figures.assigned),
            available: figures.map_or(0, |figures| figures.available),
            conditions: self.stamp(said).write(&said.conditions, before),
        })
    }

    fn policy(&self, said: &ObjectVerdicts, before: Option<&Status>) -> Status {
        let empty = PolicyStatus::default();
        let before = match before {
            Some(Status::Policy(status)) => status,
            _ => &empty,
        };
        let mut ancestors: Vec<PolicyAncestorStatus> = before
            .ancestors
            .iter()
            .filter(|a| !self.is_ours(&a.controller_name))
            .cloned()
            .collect();
        for parent in &said.parents {
            let known = before.ancestors.iter().find(|known| {
                known.ancestor_ref == parent.parent && self.is_ours(&known.controller_name)
            });
            let known = known.map_or(&[][..], |known| &known.conditions);
            ancestors.push(PolicyAncestorStatus {
                ancestor_ref: parent.parent.clone(),
                controller_name: self.settings.controller_name.as_ref().to_owned(),
                conditions: self.stamp(said).write(&parent.conditions, known),
            });
        }
        Status::Policy(PolicyStatus { ancestors })
    }

    fn route(&self, key: &ObjectKey, said: &ObjectVerdicts, before: Option<&Status>) -> Status {
        let empty = RouteStatus::default();
        let before = match before {
            Some(Status::Route(status)) => status,
            _ => &empty,
        };
        let mut parents: Vec<RouteParentStatus> =
            before.parents.iter().filter(|p| !self.is_ours(&p.controller_name)).cloned().collect();
        for parent in &said.parents {
            let known = before.parents.iter().find(|known| {
                known.parent_ref == parent.parent && self.is_ours(&known.controller_name)
            });
            let known = known.map_or(&[][..], |known| &known.conditions);
            let mut conditions = parent.conditions.clone();
            if conditions.holds(Condition::Accepted) {
                self.say_live(key, said.generation, &mut conditions);
            }
            parents.push(RouteParentStatus {
                parent_ref: parent.parent.clone(),
                controller_name: self.settings.controller_name.as_ref().to_owned(),
                conditions: self.stamp(said).write(&conditions, known),
            });
        }
        Status::Route(RouteStatus { parents })
    }

    /// Says whether a route's status holds already all that [`Self::route`] would write, in its order.
    fn is_written(&self, key: &ObjectKey, said: &ObjectVerdicts, before: &Status) -> bool {
        let Status::Route(before) = before else { return false };
        let ours = before.parents.iter().skip_while(|p| !self.is_ours(&p.controller_name));
        let ours: Vec<&RouteParentStatus> = ours.collect();
        let same = |(parent, known): (&ParentVerdicts, &&RouteParentStatus)| {
            let mut conditions = Cow::Borrowed(&parent.conditions);
            if conditions.holds(Condition::Accepted) {
                self.say_live(key, said.generation, conditions.to_mut());
            }
            self.is_ours(&known.controller_name)
                && known.parent_ref == parent.parent
                && self.stamp(said).is_written(&conditions, &known.conditions)
        };
        ours.len() == said.parents.len() && said.parents.iter().zip(&ours).all(same)
    }

    fn say_live(&self, key: &ObjectKey, generation: i64, conditions: &mut Conditions) {
        if let Some((id, why)) = self.refusal(key) {
            conditions.say(Reason::Refused, format!("{id}: {why}"));
            return;
        }
        match self.outcomes.live.get(key).filter(|live| live.generation == generation) {
            Some(live) => {
                conditions.say(Reason::Live, live_message(*live));
            }
            None => conditions.say(Reason::LivePending, "the data plane has not confirmed it yet"),
        }
    }

    /// Finds a rule of the route that a data plane refuses.
    fn refusal(&self, key: &ObjectKey) -> Option<(&RouteId, &Arc<str>)> {
        if self.outcomes.refused.is_empty() {
            return None;
        }
        let prefix = format!("{}/{}/{}/", slug(key.kind), key.name.namespace, key.name.name);
        let mut from = self.outcomes.refused.range(RouteId::new(prefix.as_str())..);
        from.next().filter(|(id, _)| id.as_str().starts_with(&prefix))
    }

    /// Gives a status without our entries, if it has any.
    fn withdrawn(&self, before: &Status) -> Option<Status> {
        match before {
            Status::Route(status) => {
                let ours = |parent: &RouteParentStatus| self.is_ours(&parent.controller_name);
                let parents = status.parents.iter().filter(|p| !ours(p)).cloned().collect();
                let route = RouteStatus { parents };
                status.parents.iter().any(ours).then_some(Status::Route(route))
            }
            Status::Policy(status) => {
                let ours = |entry: &PolicyAncestorStatus| self.is_ours(&entry.controller_name);
                let ancestors = status.ancestors.iter().filter(|a| !ours(a)).cloned().collect();
                let policy = PolicyStatus { ancestors };
                status.ancestors.iter().any(ours).then_some(Status::Policy(policy))
            }
            // These have one owner: whoever takes a Gateway or Ingress over writes its status anew.
            Status::Class(_)
            | Status::Gateway(_)
            | Status::ListenerSet(_)
            | Status::Ingress(_)
            | Status::Pool(_) => None,
        }
    }

    fn is_ours(&self, controller: &str) -> bool {
        *self.settings.controller_name == *controller
    }
}

fn pending(conditions: &mut Conditions) {
    if conditions.holds(Condition::Programmed) {
        let message = "the data plane has not confirmed it yet";
        conditions.replace(Reason::ProgrammedPending, message);
    }
}

fn ingress(said: &ObjectVerdicts) -> Status {
    let address = |address: &std::net::IpAddr| LoadBalancerIngress {
        ip: Some(address.to_string()),
        ..LoadBalancerIngress::default()
    };
    let ingress = said.facts.addresses.iter().map(address).collect();
    Status::Ingress(ServiceStatus { load_balancer: LoadBalancerStatus { ingress } })
}
