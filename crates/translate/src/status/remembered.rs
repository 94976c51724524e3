//! What statuses tell of the time before a restart: which routes were live and which listeners open. Data
//! planes go on serving while a controller is away, so nothing of it is said anew until they are heard.

use std::sync::Arc;

use fairway_api::status::{Condition as Written, ConditionStatus};

use super::{ListenerOutcome, Live, Outcomes, Status, Statuses};
use crate::plan::Plan;
use crate::settings::Settings;
use crate::verdict::Condition;

/// Reads what came of the plan's objects out of the statuses that they carry.
#[must_use]
pub fn remembered(plan: &Plan, settings: &Settings, current: &Statuses) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for (key, said) in &plan.verdicts {
        match current.get(key).map(Arc::as_ref) {
            Some(Status::Route(status)) => {
                let ours = status
                    .parents
                    .iter()
                    .filter(|parent| *parent.controller_name == *settings.controller_name);
                let live = ours.filter_map(|parent| live(&parent.conditions)).next();
                if let Some(live) = live.filter(|live| live.generation == said.generation) {
                    outcomes.live.insert(key.clone(), live);
                }
            }
            Some(Status::Gateway(_) | Status::ListenerSet(_)) => {
                let listeners =
                    current.get(key).map(|status| listeners(status)).unwrap_or_default();
                for listener in &said.listeners {
                    let Some(id) = &listener.id else { continue };
                    let known = listeners.iter().find(|known| *known.name == *listener.name);
                    if known.is_some_and(|known| programmed(&known.conditions)) {
                        outcomes.listeners.insert(id.clone(), ListenerOutcome::Bound);
                    }
                }
            }
            Some(Status::Class(_) | Status::Policy(_) | Status::Ingress(_) | Status::Pool(_))
            | None => {}
        }
    }
    outcomes
}

fn listeners(status: &Status) -> &[fairway_api::status::ListenerStatus] {
    match status {
        Status::Gateway(status) => &status.listeners,
        Status::ListenerSet(status) => &status.listeners,
        Status::Class(_)
        | Status::Route(_)
        | Status::Policy(_)
        | Status::Ingress(_)
        | Status::Pool(_) => &[],
    }
}

fn programmed(conditions: &[Written]) -> bool {
    conditions.iter().any(|known| {
        known.kind == Condition::Programmed.name() && known.status == ConditionStatus::True
    })
}

/// Reads a `Live` condition as [`live_message`] wrote it.
fn live(conditions: &[Written]) -> Option<Live> {
    let known = conditions.iter().find(|known| {
        known.kind == Condition::Live.name() && known.status == ConditionStatus::True
    })?;
    let milliseconds = known.message.strip_prefix(LIVE_AFTER)?.strip_suffix(" ms")?;
    Some(Live { generation: known.observed_generation?, milliseconds: milliseconds.parse().ok()? })
}

const LIVE_AFTER: &str = "live after ";

/// Gives the message of a `Live` condition.
pub(super) fn live_message(live: Live) -> String {
    format!("{LIVE_AFTER}{} ms", live.milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::meta::Time;

    #[test]
    fn what_was_written_is_read() {
        let live = Live { generation: 3, milliseconds: 12 };
        let written = Written {
            kind: "Live".to_owned(),
            status: ConditionStatus::True,
            observed_generation: Some(3),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            reason: "Acknowledged".to_owned(),
            message: live_message(live),
        };
        assert_eq!(super::live(std::slice::from_ref(&written)), Some(live));
        let pending = Written { status: ConditionStatus::Unknown, ..written };
        assert_eq!(super::live(&[pending]), None);
    }
}
