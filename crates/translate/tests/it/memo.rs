//! The previous plan is a memo and no more, and a fault in one object's path stays there.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairway_translate::snapshot::Snapshot;
use fairway_translate::status::{
    Account, ListenerOutcome, Live, News, Outcomes, Standing, Statuses, current,
};
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

/// Says what data planes might: every second time all is served, and once something is refused.
fn outcomes(plan: &Plan, step: usize) -> Outcomes {
    let mut outcomes = Outcomes::default();
    if step.is_multiple_of(2) {
        return outcomes;
    }
    for (key, said) in &plan.verdicts {
        outcomes.live.insert(key.clone(), Live { generation: said.generation, milliseconds: 7 });
    }
    let bound = |id: &fairway_model::ListenerId| (id.clone(), ListenerOutcome::Bound);
    outcomes.listeners.extend(plan.model.listeners.keys().map(bound));
    if let Some(id) = plan.model.routes.keys().next().filter(|_| step.is_multiple_of(3)) {
        outcomes.refused.insert(id.clone(), "no".into());
    }
    outcomes
}

/// Each object of each case comes and goes, while its status is written or not, and data planes say one thing
/// or another.
#[test]
fn statuses_are_the_same_when_only_what_changed_is_looked_at() {
    for (name, case) in cases() {
        let now = jiff::Timestamp::from_second(1_000).unwrap();
        let mut account = Account::default();
        let (mut before, mut live) = (None::<Arc<Plan>>, BTreeSet::new());
        let mut written = Statuses::new();
        let mut whole = Arc::new(Snapshot::new(case.objects.iter().cloned()));
        let mut step = 0;
        for object in &case.objects {
            let without = Arc::new(whole.next([], [key(object)]));
            whole = Arc::new(without.next([object.clone()], []));
            for snapshot in [&without, &whole, &whole] {
                step += 1;
                let plan = Arc::new(plan(&case, snapshot, before.as_deref()));
                let outcomes = outcomes(&plan, step);
                let changed = outcomes.live.keys().cloned().chain(live).collect();
                live = outcomes.live.keys().cloned().collect();
                // What was written counts in every third step, and is seen, or lost, in the next one.
                let lost = std::mem::take(&mut written);
                if step.is_multiple_of(3) {
                    written = account.wanted().clone();
                    written.retain(|key, _| snapshot.contains(key));
                }
                let lost = lost.into_keys().map(|key| (key, None));
                let told = written.iter().map(|(key, status)| (key.clone(), Some(status.clone())));
                let news = News { live: changed, written: lost.chain(told).collect() };
                let mut shown = current(snapshot);
                shown.extend(written.clone());
                let expected = render(&plan, &case.settings, &outcomes, &shown, now);
                let settings = &case.settings;
                let standing = Standing { snapshot, plan: &plan, settings, outcomes: &outcomes };
                let changes = account.follow(&standing, news, now);
                assert_eq!(account.wanted(), &expected, "{name}, step {step}");
                for change in &changes {
                    assert_eq!(change.shown.as_ref(), shown.get(&change.key), "{name}, {step}");
                    assert_eq!(change.wanted.as_ref(), expected.get(&change.key), "{name}, {step}");
                }
                before = Some(plan);
            }
        }
    }
}
