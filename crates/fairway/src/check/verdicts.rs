//! From verdicts to problems: what translation has to complain of, with the place of the field that is
//! to blame.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairway_controller::sources::{ObjectKey as SourceKey, Placed, Position, Problem, Severity};
use fairway_controller::view::is_bad;
use fairway_translate::ObjectKey;
use fairway_translate::verdict::{Condition, Conditions, ObjectVerdicts, Reason, Verdict};

use super::remedy::remedy;
use crate::directory::Directory;

/// Lists what is wrong with objects once they are seen together.
pub(super) fn problems(directory: &Directory) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, said) in &directory.plan.verdicts {
        let mut seen = BTreeSet::new();
        for (field, verdict) in complaints(said) {
            // A fault of a rule is said to each parent, and is one fault.
            if seen.insert((field.clone(), Arc::clone(&verdict.message))) {
                problems.push(problem(directory, key, field, verdict));
            }
        }
    }
    problems
}

/// Bad verdicts of an object with the field that each is about, less those that only follow from others.
fn complaints(said: &ObjectVerdicts) -> Vec<(String, &Verdict)> {
    let mut all = Vec::new();
    for (nth, listener) in said.listeners.iter().enumerate() {
        let base = format!("spec.listeners[{nth}]");
        all.extend(own(&listener.conditions).map(|verdict| (field(&base, "", verdict), verdict)));
    }
    let of_listeners = !all.is_empty();
    for (nth, parent) in said.parents.iter().enumerate() {
        let parent_field = format!("parentRefs[{nth}]");
        let verdicts = own(&parent.conditions);
        all.extend(verdicts.map(|verdict| (field("spec", &parent_field, verdict), verdict)));
    }
    let whole = own(&said.conditions).filter(|verdict| !of_listeners || !follows(verdict.reason));
    all.extend(whole.map(|verdict| (field("spec", "", verdict), verdict)));
    all
}

/// Bad verdicts of one subject. That it is not programmed, or refused, follows from a worse one that says
/// why; alone it is said.
fn own(conditions: &Conditions) -> impl Iterator<Item = &Verdict> {
    let is_cause = |verdict: &&Verdict| {
        is_bad(verdict.reason.condition()) && verdict.reason.condition().0 != Condition::Programmed
    };
    let caused = conditions.iter().any(|verdict| is_cause(&verdict));
    let conflicted = conditions.holds(Condition::Conflicted);
    conditions.iter().filter(move |verdict| {
        let (condition, _) = verdict.reason.condition();
        let repeats = conflicted && condition == Condition::Accepted;
        is_bad(verdict.reason.condition())
            && !repeats
            && (condition != Condition::Programmed || !caused)
            // The data plane is not asked here.
            && verdict.reason != Reason::ProgrammedPending
    })
}

/// Says whether a Gateway's verdict only sums up those of its listeners.
fn follows(reason: Reason) -> bool {
    [
        Reason::ListenersNotValid,
        Reason::ListenersNotResolved,
        Reason::ProgrammedListenersNotValid,
        Reason::ProgrammedInvalid,
    ]
    .contains(&reason)
}

/// Gives the field that a message begins with (`rules[0]: backendRefs[1]: …`), below `base`; else
/// `otherwise`.
fn field(base: &str, otherwise: &str, verdict: &Verdict) -> String {
    let message = verdict.message.strip_prefix("Dropped Rule(s): ").unwrap_or(&verdict.message);
    let mut path = base.to_owned();
    for part in message.split(": ").take_while(|part| is_field(part)) {
        path.push('.');
        path.push_str(part);
    }
    if path == base && !otherwise.is_empty() {
        path.push('.');
        path.push_str(otherwise);
    }
    path
}

fn is_field(part: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '[' | ']');
    part.starts_with(|c: char| c.is_ascii_lowercase())
        && part.chars().all(letters)
        && FIELDS.iter().any(|known| part.starts_with(known))
}

/// Fields that messages begin with. A word of a sentence before a colon is none.
const FIELDS: [&str; 16] = [
    "rules", "backendRefs", "filters", "matches", "hostnames", "parentRefs", "targetRefs", "tls",
    "addresses", "infrastructure", "parametersRef", "validation", "timeouts", "retry",
    "sessionPersistence", "rateLimit",
];

fn problem(directory: &Directory, key: &ObjectKey, field: String, verdict: &Verdict) -> Problem {
    let object = SourceKey::new(
        key.kind.group(),
        key.kind.name(),
        &key.name.namespace,
        &key.name.name,
    );
    let written = |placed: &&Placed| placed.object.key == object && !placed.implied;
    let placed = directory.scan.objects.iter().find(written);
    let file = placed.map_or_else(|| "-".into(), |placed| Arc::clone(&placed.origin.file));
    let position =
        placed.map_or(Position::START, |placed| directory.source.locate(placed, &field));
    Problem {
        file,
        position,
        severity: Severity::Error,
        object: Some(object),
        field,
        message: format!("{}: {}", verdict.reason.word(), words(verdict)),
        remedy: remedy(verdict.reason).map(ToOwned::to_owned),
        last_good_counts: false,
    }
}

fn words(verdict: &Verdict) -> &str {
    if verdict.message.is_empty() { "no more is known" } else { &verdict.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_messages() {
        let field = |message: &str| {
            field("spec", "parentRefs[0]", &Verdict::new(Reason::BackendNotFound, message))
        };
        assert_eq!(
            field("rules[0]: backendRefs[1]: Service a/b does not exist"),
            "spec.rules[0].backendRefs[1]"
        );
        assert_eq!(field("Dropped Rule(s): rules[2]: no: such"), "spec.rules[2]");
        assert_eq!(field("Gateway a/b does not exist"), "spec.parentRefs[0]");
        assert_eq!(field("tls.certificateRefs: no"), "spec.tls.certificateRefs");
    }
}
