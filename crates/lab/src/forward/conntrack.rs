//! Forgets UDP flows to endpoints that are gone, so that the next datagram finds a new one.
//!
//! TCP needs no such thing: its peer says that it is gone, and the client connects anew.

mod sys;

use std::collections::BTreeSet;

use super::rules::Endpoint;

/// Deletes the tracked UDP flows of this network namespace that were led to one of these endpoints.
pub(super) fn forget(gone: &BTreeSet<Endpoint>) {
    if gone.is_empty() {
        return;
    }
    if let Err(error) =
        sys::delete_udp_flows(&|address, port| gone.contains(&Endpoint { address, port }))
    {
        tracing::warn!(
            "forget UDP flows to endpoints that are gone: {error}; they end when they are silent"
        );
    }
}
