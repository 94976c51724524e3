//! Who may call, by address.

use fairway_model::policy::IpAccess;

use crate::route::matches::networks;

/// Reads both lists.
pub(crate) fn read(allow: &[String], deny: &[String]) -> Result<IpAccess, String> {
    Ok(IpAccess { allow: networks("ipAllow", allow)?, deny: networks("ipDeny", deny)? })
}
