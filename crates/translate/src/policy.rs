//! What rules and policies say beyond where traffic goes. `attach` finds which policy holds for which
//! target, once for all kinds of policy; the other files are one block each, named as in the model.

pub(crate) mod attach;
pub(crate) mod ip_access;
pub(crate) mod load_balancing;
pub(crate) mod passive_health;
pub(crate) mod rate_limit;
pub(crate) mod retry;
pub(crate) mod session;
pub(crate) mod timeouts;

use fairway_api::duration::GepDuration;
use fairway_model::policy::Millis;

/// Reads a duration; zero means "off", which is `None`. The error names the field.
pub(crate) fn millis(
    field: &str,
    duration: Option<&GepDuration>,
) -> Result<Option<Millis>, String> {
    let Some(duration) = duration else { return Ok(None) };
    let parsed = duration.parse().map_err(|error| format!("{field}: {:?}: {error}", duration.0))?;
    Ok(Millis::new(u64::try_from(parsed.as_millis()).unwrap_or(u64::MAX)))
}
