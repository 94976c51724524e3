//! What the admin endpoint shows of a run on a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::Model;
use fairway_translate::Plan;
use fairway_translate::status::{ListenerOutcome, Outcomes, Statuses};

use crate::admin::{Admin, View};
use crate::view::{self, Bound, BoundListener, RunView};

/// The admin endpoint's view, brought up to date after each change.
pub(super) struct Shown {
    admin: Admin,
    sequence: u64,
}

/// How things stand.
pub(super) struct State<'a> {
    pub(super) plan: &'a Arc<Plan>,
    pub(super) model: &'a Arc<Model>,
    pub(super) outcomes: &'a Outcomes,
    pub(super) statuses: &'a Arc<Statuses>,
    pub(super) took: Duration,
}

impl Shown {
    pub(super) const fn new(admin: Admin) -> Self {
        Self { admin, sequence: 0 }
    }

    pub(super) fn show(&mut self, state: &State<'_>) {
        self.sequence += 1;
        let verdicts = &state.plan.verdicts;
        let run = RunView {
            sequence: self.sequence,
            took: state.took,
            gateways: view::gateways(verdicts, state.model, &bound(state.outcomes)),
            routes: view::routes(verdicts),
            problems: Vec::new(),
            last_good: false,
            statuses: Arc::clone(state.statuses),
        };
        self.admin.show(View {
            ready: true,
            model: Arc::clone(state.model),
            plan: Some(Arc::clone(state.plan)),
            run: Arc::new(run),
        });
    }
}

/// The proxies' sockets are elsewhere: only whether they are open is shown.
fn bound(outcomes: &Outcomes) -> Bound {
    let one = |outcome: &ListenerOutcome| BoundListener {
        addresses: Vec::new(),
        error: match outcome {
            ListenerOutcome::Bound => None,
            ListenerOutcome::Failed(why) => Some(why.as_ref().to_owned()),
        },
    };
    let all = outcomes.listeners.iter().map(|(id, outcome)| (id.clone(), one(outcome)));
    all.collect::<BTreeMap<_, _>>()
}
