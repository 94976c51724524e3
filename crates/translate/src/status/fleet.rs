//! How a Gateway's proxies are, in its status: in words in `Programmed`, and for our own Gateway in fields.

use std::sync::Arc;

use fairway_api::status::{GatewayStatus, ProxiesStatus, ProxyPodStatus};

use crate::verdict::{Condition, Conditions, ObjectVerdicts, Reason};

/// How many pods are shown.
const SHOWN: usize = 32;

/// How a Gateway's proxies are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetOutcome {
    /// How many there shall be.
    pub desired: u32,
    /// How many take connections.
    pub ready: u32,
    /// How many are of the newest form.
    pub updated: u32,
    /// Whether they are left as they are.
    pub paused: bool,
    /// What is in the way: an object that the cluster refuses, say.
    pub trouble: Option<Arc<str>>,
    /// Each of them.
    pub pods: Vec<PodOutcome>,
}

/// How one proxy is. Those in trouble come first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodOutcome {
    /// Whether it takes connections.
    pub ready: bool,
    /// Its pod.
    pub name: String,
    /// Why it is not ready, in a word.
    pub reason: String,
    /// Why it is not ready, for people.
    pub message: String,
    /// How often it has ended and begun again.
    pub restarts: u32,
}

impl FleetOutcome {
    /// Says why nobody takes connections.
    fn why(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return trouble.as_ref().to_owned();
        }
        if self.desired == 0 {
            return "proxy: replicas is 0, so no proxy runs".to_owned();
        }
        let ready = format!("no proxy of {} is ready", self.desired);
        let Some(pod) = self.pods.iter().find(|pod| !pod.reason.is_empty()) else { return ready };
        let stop = if pod.message.is_empty() { "" } else { ": " };
        format!("{ready}: pod {}: {}{stop}{}", pod.name, pod.reason, pod.message)
    }

    /// Takes back `Programmed` while no proxy takes connections, and says what else is to be known.
    pub(super) fn judge(&self, conditions: &mut Conditions) {
        let pending = conditions
            .get(Condition::Programmed)
            .is_some_and(|said| said.reason == Reason::ProgrammedPending);
        if pending && self.trouble.is_some() {
            // Proxies may be ready, and nobody led to them.
            conditions.replace(Reason::NoResources, self.why());
        } else if self.ready == 0 {
            if pending || conditions.holds(Condition::Programmed) {
                conditions.replace(Reason::NoResources, self.why());
            }
        } else if conditions.holds(Condition::Programmed) {
            let said = match &self.trouble {
                Some(trouble) => Some(format!("a change of the proxies does not go on: {trouble}")),
                None if self.paused => Some("paused: its proxies are left as they are".to_owned()),
                None => None,
            };
            if let Some(said) = said {
                conditions.replace(Reason::Programmed, said);
            }
        }
    }

    /// Adds the fields that our own Gateway has.
    pub(super) fn describe(&self, said: &ObjectVerdicts, programmed: bool, to: &mut GatewayStatus) {
        to.accessible = Some(programmed && self.ready > 0 && !to.addresses.is_empty());
        to.attached_routes = Some(said.listeners.iter().map(|l| l.attached_routes).sum());
        to.proxies = Some(ProxiesStatus {
            desired: number(self.desired),
            ready: number(self.ready),
            updated: number(self.updated),
            summary: format!("{}/{}", self.ready, self.desired),
            paused: self.paused,
            message: self.trouble.as_deref().unwrap_or_default().to_owned(),
            pods: self.pods.iter().take(SHOWN).map(PodOutcome::status).collect(),
        });
    }
}

impl PodOutcome {
    fn status(&self) -> ProxyPodStatus {
        ProxyPodStatus {
            ready: self.ready,
            name: self.name.clone(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            restarts: number(self.restarts),
        }
    }
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
