//! What a rule changes in answers before the client gets them.

use fairway_model::filter::{Cors, HeaderModifier};
use fairway_model::policy::SessionPersistence;

use super::date::stamp;
use crate::filter::{cors, headers};
use crate::generation::{ClusterState, EndpointState};
use crate::message::ResponseHead;
use crate::session::Mark;

/// The changes to all answers of one request.
#[derive(Clone, Copy)]
pub(crate) struct Passage<'r> {
    /// The chosen backend's own.
    pub(crate) backend: Option<&'r HeaderModifier>,
    pub(crate) rule: &'r HeaderModifier,
    /// The rule's CORS, with the origin of the request.
    pub(crate) cors: Option<(&'r Cors, Option<&'r [u8]>)>,
    pub(crate) session: Option<Session<'r>>,
}

/// The session that a request belongs to or begins.
#[derive(Clone, Copy)]
pub(crate) struct Session<'r> {
    pub(crate) policy: &'r SessionPersistence,
    pub(crate) before: Option<Mark>,
    /// In seconds since 1970.
    pub(crate) now: u64,
    /// The client came by TLS.
    pub(crate) secure: bool,
}

/// The changes to the answer of one endpoint.
pub(crate) struct Finish<'r> {
    passage: Passage<'r>,
    mark: Option<Mark>,
}

impl<'r> Passage<'r> {
    /// Fixes the endpoint that answers.
    pub(crate) fn to(&self, cluster: &ClusterState, endpoint: &EndpointState) -> Finish<'r> {
        let mark = self.session.map(|session| {
            let before = session.before.as_ref();
            Mark::new(before, cluster.id.as_str(), endpoint.address, session.now)
        });
        Finish { passage: *self, mark }
    }

    /// Changes the head of an answer that is no backend's.
    pub(crate) fn change(&self, head: &mut ResponseHead) {
        headers::apply(self.rule, &mut head.headers);
        if let Some((policy, origin)) = self.cors {
            cors::answer(policy, origin, &mut head.headers);
        }
    }
}

impl Finish<'_> {
    /// Changes the head of the endpoint's answer.
    pub(crate) fn change(&self, head: &mut ResponseHead) {
        if let Some(own) = self.passage.backend {
            headers::apply(own, &mut head.headers);
        }
        stamp(&mut head.headers);
        self.passage.change(head);
        let (Some(session), Some(mark)) = (&self.passage.session, &self.mark) else { return };
        if let Some((name, value)) =
            mark.field(session.policy, session.before.as_ref(), session.secure)
        {
            head.headers.append(name, value);
        }
    }
}
