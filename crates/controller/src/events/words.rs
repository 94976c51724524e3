//! What there is to tell about a change of statuses. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairway_api::status::{Condition as Written, ConditionStatus};
use fairway_translate::ObjectKey;
use fairway_translate::status::{Status, Statuses};
use fairway_translate::verdict::{Condition, Holds, Reason};

use crate::view::is_bad;

/// One thing that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Happening {
    /// To which.
    pub key: ObjectKey,
    /// Whether there is something to mend.
    pub bad: bool,
    /// Why, in a word: that of the condition.
    pub reason: String,
    /// What it is, for people.
    pub note: String,
}

/// Lists what happened between two states: each condition that is bad now and was not, or is for another reason;
/// each that was bad and is mended; and each object that came to be served. Conditions of other controllers than
/// `ours` are theirs to tell.
#[must_use]
pub fn what_to_say(before: &Statuses, after: &Statuses, ours: &str) -> Vec<Happening> {
    let mut happenings = BTreeSet::new();
    // In step: most entries are the same, and searching each would cost more than all the rest.
    let mut old = before.iter().peekable();
    for (key, status) in after {
        while old.next_if(|(known, _)| *known < key).is_some() {}
        let known = old.next_if(|(known, _)| *known == key).map(|(_, known)| known);
        if known.is_some_and(|known| Arc::ptr_eq(known, status)) {
            continue;
        }
        let earlier = known.map(|known| subjects(known, ours)).unwrap_or_default();
        for (subject, conditions) in subjects(status, ours) {
            let found = earlier.iter().find(|(known, _)| *known == subject);
            let earlier = found.map_or(&[][..], |(_, conditions)| conditions);
            let told = conditions.iter().filter_map(|now| tell(key, &subject, earlier, now));
            happenings.extend(told);
        }
    }
    happenings.into_iter().collect()
}

/// What a status speaks of: the object itself, its listeners, its parents.
fn subjects<'a>(status: &'a Status, ours: &str) -> Vec<(String, &'a [Written])> {
    let listeners = |listeners: &'a [fairway_api::status::ListenerStatus]| {
        let one = |listener: &'a fairway_api::status::ListenerStatus| {
            (format!("listener {}: ", listener.name), listener.conditions.as_slice())
        };
        listeners.iter().map(one).collect::<Vec<_>>()
    };
    let whole = |conditions: &'a [Written]| (String::new(), conditions);
    match status {
        Status::Class(status) => vec![whole(&status.conditions)],
        Status::Gateway(status) => {
            let mut all = listeners(&status.listeners);
            all.push(whole(&status.conditions));
            all
        }
        Status::ListenerSet(status) => {
            let mut all = listeners(&status.listeners);
            all.push(whole(&status.conditions));
            all
        }
        Status::Route(status) => {
            let mine = status.parents.iter().filter(|entry| entry.controller_name == ours);
            mine.map(|entry| (for_parent(&entry.parent_ref), entry.conditions.as_slice())).collect()
        }
        Status::Policy(status) => {
            let mine = status.ancestors.iter().filter(|entry| entry.controller_name == ours);
            mine.map(|entry| (for_parent(&entry.ancestor_ref), entry.conditions.as_slice()))
                .collect()
        }
        Status::Pool(status) => vec![whole(&status.conditions)],
        Status::Ingress(_) => Vec::new(),
    }
}

fn for_parent(parent: &fairway_api::reference::ParentReference) -> String {
    let listener = parent.section_name.as_ref().map(|name| format!(", listener {name}"));
    format!("for Gateway {}{}: ", parent.name, listener.unwrap_or_default())
}

fn tell(key: &ObjectKey, subject: &str, earlier: &[Written], now: &Written) -> Option<Happening> {
    let known = earlier.iter().find(|known| known.kind == now.kind);
    let is_same = |known: &Written| {
        known.status == now.status && known.reason == now.reason && known.message == now.message
    };
    if known.is_some_and(is_same) {
        return None;
    }
    let bad = bad(now);
    let mended = known.is_some_and(self::bad);
    let served = now.status == ConditionStatus::True
        && known.is_none_or(|known| known.status != ConditionStatus::True)
        && [Condition::Live.name(), Condition::Programmed.name()].contains(&now.kind.as_str());
    if !(bad || mended || served) {
        return None;
    }
    let more = if now.message.is_empty() { String::new() } else { format!(": {}", now.message) };
    let note = format!("{subject}{} {}{more}", now.kind, now.status.as_str());
    Some(Happening { key: key.clone(), bad, reason: now.reason.clone(), note })
}

/// What is only on its way is nothing to mend.
fn bad(written: &Written) -> bool {
    if written.reason == Reason::LivePending.word() {
        return false;
    }
    let holds = match written.status.as_str() {
        "True" => Holds::True,
        "False" => Holds::False,
        _ => Holds::Unknown,
    };
    let condition = Condition::ALL.iter().find(|condition| condition.name() == written.kind);
    condition.is_some_and(|condition| is_bad((*condition, holds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_api::reference::ParentReference;
    use fairway_api::status::{RouteParentStatus, RouteStatus};
    use fairway_translate::{Kind, Name};
    use serde_json::{from_value, json};

    const OURS: &str = "fairway.dev/controller";

    fn written(kind: &str, status: &str, reason: &str) -> Written {
        let time = "2026-01-01T00:00:00Z";
        from_value(json!({"type": kind, "status": status, "reason": reason, "message": "words",
            "observedGeneration": 1, "lastTransitionTime": time}))
        .expect("a condition")
    }

    fn statuses(controller: &str, conditions: Vec<Written>) -> Statuses {
        let parent_ref = ParentReference { name: "web".to_owned(), ..ParentReference::default() };
        let parent =
            RouteParentStatus { parent_ref, controller_name: controller.to_owned(), conditions };
        let key = ObjectKey { kind: Kind::HttpRoute, name: Name::new("shop", "cart") };
        let route = Status::Route(RouteStatus { parents: vec![parent] });
        Statuses::from([(key, Arc::new(route))])
    }

    fn said(before: &Statuses, after: &Statuses) -> Vec<(bool, String, String)> {
        let all = what_to_say(before, after, OURS).into_iter();
        all.map(|happening| (happening.bad, happening.reason, happening.note)).collect()
    }

    #[test]
    fn faults_and_their_end_are_told_and_nothing_twice() {
        let none = Statuses::new();
        let good = statuses(OURS, vec![written("ResolvedRefs", "True", "ResolvedRefs")]);
        let bad = statuses(OURS, vec![written("ResolvedRefs", "False", "BackendNotFound")]);
        let fault = "for Gateway web: ResolvedRefs False: words".to_owned();
        let fault = [(true, "BackendNotFound".to_owned(), fault)];
        assert_eq!(said(&none, &good), []);
        assert_eq!(said(&none, &bad), fault);
        assert_eq!(said(&good, &bad), fault);
        assert_eq!(said(&bad, &bad.clone()), []);
        let again = statuses(OURS, vec![written("ResolvedRefs", "False", "BackendNotFound")]);
        assert_eq!(said(&bad, &again), [], "equal though not the same");
        let mended = "for Gateway web: ResolvedRefs True: words".to_owned();
        assert_eq!(said(&bad, &good), [(false, "ResolvedRefs".to_owned(), mended)]);
    }

    #[test]
    fn to_become_live_is_told_and_to_stay_live_is_not() {
        let pending = statuses(OURS, vec![written("Live", "Unknown", "Pending")]);
        let live = statuses(OURS, vec![written("Live", "True", "Acknowledged")]);
        assert_eq!(said(&Statuses::new(), &pending), []);
        assert_eq!(said(&pending, &live).len(), 1);
        let mut next = written("Live", "True", "Acknowledged");
        next.message = "live after 3 ms".to_owned();
        assert_eq!(said(&live, &statuses(OURS, vec![next])), []);
    }

    #[test]
    fn what_is_on_its_way_is_no_warning() {
        let pending = statuses(OURS, vec![written("Programmed", "False", "Pending")]);
        assert_eq!(said(&Statuses::new(), &pending), []);
        let there = statuses(OURS, vec![written("Programmed", "True", "Programmed")]);
        assert_eq!(said(&pending, &there).len(), 1, "it came to be served");
    }

    #[test]
    fn what_others_say_is_theirs_to_tell() {
        let bad = vec![written("Accepted", "False", "NoMatchingParent")];
        assert_eq!(said(&Statuses::new(), &statuses("example.com/x", bad)), []);
    }
}
