//! What every route stands on: all inputs of lowering but the route itself. When they are the same as
//! for the plan before, what that plan knows of an unchanged route still holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_api::core::Service;

use crate::backend::tls::TlsStage;
use crate::listener::ListenerStage;
use crate::object::Name;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// See the module.
pub(crate) struct Ground<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    pub(crate) stage: Arc<ListenerStage>,
    pub(crate) tls: Arc<TlsStage>,
    /// Whether the table of Services is the one of the plan before.
    pub(crate) services_unchanged: bool,
}

impl Ground<'_> {
    /// Says whether these Services are still what they were.
    pub(crate) fn same_services(&self, known: &BTreeMap<Name, Option<Arc<Service>>>) -> bool {
        let same = |(name, before): (&Name, &Option<Arc<Service>>)| match (
            self.snapshot.services.get(name),
            before,
        ) {
            (None, None) => true,
            (Some(now), Some(before)) => Arc::ptr_eq(now, before),
            (None, Some(_)) | (Some(_), None) => false,
        };
        self.services_unchanged || known.iter().all(same)
    }
}
