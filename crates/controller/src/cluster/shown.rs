//! What the admin endpoint shows of a run on a cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairway_model::Model;
use fairway_translate::Plan;
use fairway_translate::status::{Account, ListenerOutcome, Outcomes};

use crate::admin::{Admin, Run, View};
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
    pub(super) account: &'a Arc<Mutex<Account>>,
    pub(super) took: Duration,
}

impl Shown {
    pub(super) const fn new(admin: Admin) -> Self {
        Self { admin, sequence: 0 }
    }

    pub(super) fn show(&mut self, state: &State<'_>) {
        self.sequence += 1;
        let (sequence, took, bound) = (self.sequence, state.took, bound(state.outcomes));
        let (plan, model) = (Arc::clone(state.plan), Arc::clone(state.model));
        let account = Arc::clone(state.account);
        let run = move || RunView {
            sequence,
            took,
            gateways: view::gateways(&plan.verdicts, &model, &bound),
            routes: view::routes(&plan.verdicts),
            problems: Vec::new(),
            last_good: false,
            statuses: {
                // Whoever panicked with the lock held left whole statuses.
                let account = account.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::new(account.wanted().clone())
            },
        };
        self.admin.show(View {
            ready: true,
            model: Arc::clone(state.model),
            plan: Some(Arc::clone(state.plan)),
            run: Run::new(run),
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
