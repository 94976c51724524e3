//! How long a rule waits (GEP-1742; N16).

use fairway_api::own::plugin;
use fairway_model::policy::Timeouts;

use super::millis;

/// Reads the block; zero means for ever.
pub(crate) fn read(written: &plugin::Timeouts) -> Result<Timeouts, String> {
    let read = Timeouts {
        request: millis("timeouts.request", written.request.as_ref())?,
        backend_request: millis("timeouts.backendRequest", written.backend_request.as_ref())?,
        connect: millis("timeouts.connect", written.connect.as_ref())?,
        idle: millis("timeouts.idle", written.idle.as_ref())?,
    };
    let longer = read.request.zip(read.backend_request).is_some_and(|(whole, each)| each > whole);
    if longer {
        return Err("timeouts: backendRequest is longer than request".to_owned());
    }
    Ok(read)
}
