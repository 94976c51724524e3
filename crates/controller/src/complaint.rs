//! From verdicts to problems: what translation has to complain of, with the place of the field that is
//! to blame, for people who look at files.

mod remedy;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fairway_translate::ObjectKey;
use fairway_translate::verdict::{
    Condition, Conditions, ObjectVerdicts, Reason, Verdict, Verdicts,
};

use crate::sources::{
    AdmittedObject, FileSource, ObjectKey as SourceKey, Origin, Placed, Position, Problem, Severity,
};
use crate::view::is_bad;
use remedy::remedy;

/// Fields whose places are looked up at one time: each costs reading its file.
const LOOKED_UP: usize = 100;

/// Complaints, kept from change to change: what is the same `Arc` is not looked up again.
#[derive(Default)]
pub struct Complaints(HashMap<ObjectKey, Complaint>);

struct Complaint {
    about: Arc<ObjectVerdicts>,
    object: Option<(Arc<AdmittedObject>, Origin)>,
    problems: Vec<Problem>,
}

impl Complaints {
    /// Lists what is wrong with objects once they are seen together.
    pub fn follow(
        &mut self,
        source: &FileSource,
        objects: &[Placed],
        verdicts: &Verdicts,
    ) -> Vec<Problem> {
        let ill = verdicts.iter().filter(|(_, said)| !complaints(said).is_empty());
        let ill: Vec<_> = ill.collect();
        let mut before = std::mem::take(&mut self.0);
        if ill.is_empty() {
            return Vec::new();
        }
        let written = objects.iter().filter(|placed| !placed.implied);
        let written: HashMap<&SourceKey, &Placed> =
            written.map(|placed| (&placed.object.key, placed)).collect();
        let mut lookups = LOOKED_UP;
        for (key, said) in ill {
            let object = source_key(key);
            let placed = written.get(&object).copied();
            let known = before.remove(key).filter(|known| known.is_of(said, placed));
            let complaint = known.unwrap_or_else(|| Complaint {
                about: Arc::clone(said),
                object: placed.map(|placed| (Arc::clone(&placed.object), placed.origin.clone())),
                problems: problems(source, placed, &object, said, &mut lookups),
            });
            self.0.insert(key.clone(), complaint);
        }
        let mut all: Vec<Problem> =
            self.0.values().flat_map(|complaint| complaint.problems.clone()).collect();
        all.sort();
        all
    }
}

impl Complaint {
    fn is_of(&self, said: &Arc<ObjectVerdicts>, placed: Option<&Placed>) -> bool {
        let same_object = match (&self.object, placed) {
            (Some((object, origin)), Some(placed)) => {
                Arc::ptr_eq(object, &placed.object) && *origin == placed.origin
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_object && Arc::ptr_eq(&self.about, said)
    }
}

fn problems(
    source: &FileSource,
    placed: Option<&Placed>,
    object: &SourceKey,
    said: &ObjectVerdicts,
    lookups: &mut usize,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (field, verdict) in complaints(said) {
        // A fault of a rule is said to each parent, and is one fault.
        if !seen.insert((field.clone(), &verdict.message)) {
            continue;
        }
        let position = placed.map(|placed| {
            let looks = lookups.checked_sub(1);
            *lookups = looks.unwrap_or_default();
            looks.map_or(placed.origin.position, |_| source.locate(placed, &field))
        });
        problems.push(Problem {
            file: placed.map_or_else(|| "-".into(), |placed| Arc::clone(&placed.origin.file)),
            position: position.unwrap_or(Position::START),
            severity: Severity::Error,
            object: Some(object.clone()),
            field,
            message: format!("{}: {}", verdict.reason.word(), words(verdict)),
            remedy: remedy(verdict.reason).map(ToOwned::to_owned),
            last_good_counts: false,
        });
    }
    problems
}

fn source_key(key: &ObjectKey) -> SourceKey {
    SourceKey::new(key.kind.group(), key.kind.name(), &key.name.namespace, &key.name.name)
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
    let mut path = base.to_owned();
    for part in split(verdict).0 {
        path.push('.');
        path.push_str(part);
    }
    if path == base && !otherwise.is_empty() {
        path.push('.');
        path.push_str(otherwise);
    }
    path
}

/// Splits a message into the fields that it begins with, and what it says of them.
fn split(verdict: &Verdict) -> (Vec<&str>, &str) {
    let mut rest = verdict.message.strip_prefix(DROPPED).unwrap_or(&verdict.message);
    let mut fields = Vec::new();
    while let Some((part, after)) = rest.split_once(": ").filter(|(part, _)| is_field(part)) {
        fields.push(part);
        rest = after;
    }
    (fields, rest)
}

/// How the specification wants the message about rules that are not served to begin.
const DROPPED: &str = "Dropped Rule(s): ";

fn is_field(part: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '[' | ']');
    part.starts_with(|c: char| c.is_ascii_lowercase())
        && part.chars().all(letters)
        && FIELDS.iter().any(|known| part.starts_with(known))
}

/// Fields that messages begin with. A word of a sentence before a colon is none.
const FIELDS: [&str; 18] = [
    "rules",
    "backendRefs",
    "filters",
    "matches",
    "hostnames",
    "parentRefs",
    "targetRefs",
    "tls",
    "addresses",
    "infrastructure",
    "parametersRef",
    "validation",
    "timeouts",
    "retry",
    "sessionPersistence",
    "rateLimit",
    "ranges",
    "namespaceSelector",
];

fn words(verdict: &Verdict) -> &str {
    match split(verdict).1 {
        "" => "no more is known",
        said => said,
    }
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
