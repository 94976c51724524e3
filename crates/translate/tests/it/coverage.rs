//! Every feature of the model and every reason of a verdict occurs in a golden case. There is no list of
//! exceptions: what no case can bring about should not exist.

use std::collections::BTreeSet;
use std::fs;

use fairway_model::feature::{Feature, features};
use fairway_translate::Plan;
use fairway_translate::status::{Status, Statuses};
use fairway_translate::verdict::{Conditions, Reason};

use super::case::{Case, MARK, all};
use super::statuses;

#[test]
fn every_feature_and_every_reason_occurs() {
    let mut used = BTreeSet::new();
    let mut said = BTreeSet::new();
    for path in all().into_values() {
        let text = fs::read_to_string(&path).unwrap();
        let (input, _) = text.split_once(MARK).unwrap();
        let case = Case::read(&path, input);
        let plan = case.plan();
        used.extend(features(&plan.model));
        said.extend(reasons(&plan));
        if let Some(statuses) = statuses::statuses(&case, &plan) {
            said.extend(written(&statuses));
        }
    }
    let unused: Vec<&str> =
        Feature::ALL.iter().filter(|f| !used.contains(f)).map(|f| f.name()).collect();
    let unsaid: Vec<&Reason> = Reason::ALL.iter().filter(|r| !said.contains(r)).collect();
    assert!(
        unused.is_empty() && unsaid.is_empty(),
        "no golden case shows the features {unused:?}, nor the reasons {unsaid:?}"
    );
}

fn reasons(plan: &Plan) -> BTreeSet<Reason> {
    let all = plan.verdicts.values().flat_map(|said| {
        let parents = said.parents.iter().map(|parent| &parent.conditions);
        let listeners = said.listeners.iter().map(|listener| &listener.conditions);
        [&said.conditions].into_iter().chain(parents).chain(listeners)
    });
    all.flat_map(Conditions::iter).map(|verdict| verdict.reason).collect()
}

/// Gives the reasons that rendering adds: they are known by their condition and word.
fn written(statuses: &Statuses) -> BTreeSet<Reason> {
    let conditions = statuses.values().flat_map(|status| match &**status {
        Status::Gateway(status) => {
            let listeners = status.listeners.iter().flat_map(|listener| &listener.conditions);
            status.conditions.iter().chain(listeners).collect::<Vec<_>>()
        }
        Status::Route(status) => {
            status.parents.iter().flat_map(|parent| &parent.conditions).collect()
        }
        Status::Pool(status) => status.conditions.iter().collect(),
        Status::Class(_) | Status::ListenerSet(_) | Status::Policy(_) | Status::Ingress(_) => {
            Vec::new()
        }
    });
    let reason = |condition: &fairway_api::status::Condition| {
        Reason::ALL.iter().copied().find(|reason| {
            let (kind, holds) = reason.condition();
            reason.word() == condition.reason
                && kind.name() == condition.kind
                && holds.name() == condition.status.to_string()
        })
    };
    conditions.filter_map(reason).collect()
}
