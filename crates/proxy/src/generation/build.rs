//! Builds the next generation from a model and what changed in it, and keeps what outlives generations.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{ClusterId, Delta, ListenerId, Model, SecretId};

use super::Generation;

/// What cannot be served as the model says, with the reason, in words for the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) listeners: BTreeMap<ListenerId, String>,
    pub(crate) clusters: BTreeMap<ClusterId, String>,
    pub(crate) secrets: BTreeMap<SecretId, String>,
}

/// What is kept from generation to generation.
#[derive(Default)]
pub(crate) struct Builder {}

impl Builder {
    /// Builds the generation after `before`.
    pub(crate) fn build(
        &mut self,
        before: &Generation,
        model: &Arc<Model>,
        delta: &Delta,
    ) -> (Generation, Refused) {
        let _ = (before, model, delta);
        (Generation::default(), Refused::default())
    }
}
