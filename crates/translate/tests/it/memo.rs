//! The previous plan is a memo and no more, and a fault in one object's path stays there.

use fairway_translate::snapshot::Snapshot;
use fairway_translate::status::{Outcomes, current};
use fairway_translate::verdict::Reason;
use fairway_translate::{Kind, Name, ObjectKey, Plan, render, translate};

use super::case::{Case, MARK, all, key};
use super::print::shown;

fn cases() -> impl Iterator<Item = (String, Case)> {
    all().into_iter().map(|(name, path)| {
        let text = std::fs::read_to_string(&path).unwrap();
        let input = text.split_once(MARK).map_or(text.as_str(), |(input, _)| input);
        (name, Case::read(&path, input))
    })
}

fn plan(case: &Case, snapshot: &Snapshot, previous: Option<&Plan>) -> Plan {
    translate(snapshot, &case.settings, &case.held, previous)
}

/// Each object of each case comes, and goes again, beside the plan of the others.
#[test]
fn a_plan_is_the_same_with_and_without_the_one_before() {
    for (name, case) in cases() {
        let whole = Snapshot::new(case.objects.iter().cloned());
        let expected = plan(&case, &whole, None);
        for object in &case.objects {
            let key = key(object);
            let without = whole.next([], [key.clone()]);
            let before = plan(&case, &without, None);
            let again = plan(&case, &without.next([object.clone()], []), Some(&before));
            assert_eq!(again.model, expected.model, "{name}: {key} came");
            assert_eq!(again.verdicts, expected.verdicts, "{name}: {key} came");
            assert_eq!(again.wanted, expected.wanted, "{name}: {key} came");
            let gone = plan(&case, &without, Some(&expected));
            assert_eq!(shown(&gone), shown(&before), "{name}: {key} went");
        }
    }
}

#[test]
fn a_fault_in_one_objects_path_stays_there() {
    let (_, mut case) = cases().find(|(name, _)| name == "attach/no_hostname").unwrap();
    let snapshot = Snapshot::new(case.objects.iter().cloned());
    let sound = plan(&case, &snapshot, None);
    let key = ObjectKey { kind: Kind::HttpRoute, name: Name::new("shop", "fits") };
    case.settings.planted_fault = Some(key.clone());
    let plan = plan(&case, &snapshot, None);
    let said = &plan.verdicts[&key];
    assert_eq!(said.parents.len(), 1, "its parent answers");
    let reasons: Vec<Reason> = said.parents[0].conditions.iter().map(|v| v.reason).collect();
    assert_eq!(reasons, [Reason::InternalError]);
    let neighbour = ObjectKey { kind: Kind::HttpRoute, name: Name::new("shop", "cart") };
    assert_eq!(plan.verdicts[&neighbour], sound.verdicts[&neighbour]);
    assert_eq!(plan.model.listeners, sound.model.listeners);
}

/// What was written once is written again, times included, and nothing differs.
#[test]
fn rendering_again_changes_nothing() {
    for (name, case) in cases() {
        let snapshot = Snapshot::new(case.objects.iter().cloned());
        let plan = plan(&case, &snapshot, None);
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let outcomes = Outcomes::default();
        let first = render(&plan, &case.settings, &outcomes, &current(&snapshot), at(1_000));
        let second = render(&plan, &case.settings, &outcomes, &first, at(2_000));
        // What was taken back once is not spoken of again.
        let spoken = first.iter().filter(|(key, _)| plan.verdicts.contains_key(*key));
        assert!(spoken.eq(second.iter()), "{name}: {first:?} became {second:?}");
    }
}
