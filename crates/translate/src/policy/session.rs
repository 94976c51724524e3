//! How clients stay with an endpoint (GEP-1619; N23).

use std::sync::Arc;

use fairway_api::route::session::{
    CookieLifetime, SessionPersistence as Written, SessionPersistenceType,
};
use fairway_model::policy::{SessionCarrier, SessionPersistence};

use super::millis;
use crate::route::fields::{header_name, header_value};

/// Reads the block. `rule` tells rules apart: without a name of the user's each rule gets its own cookie,
/// the same one in every plan.
pub(crate) fn read(written: &Written, rule: &str) -> Result<SessionPersistence, String> {
    let absolute_timeout =
        millis("sessionPersistence.absoluteTimeout", written.absolute_timeout.as_ref())?;
    let idle_timeout = millis("sessionPersistence.idleTimeout", written.idle_timeout.as_ref())?;
    let name = match written.name() {
        Some(name) => header_name(name).map(|lower| (Arc::<str>::from(name), lower)),
        None => {
            let name: Arc<str> = format!("fairway-{:08x}", fnv(rule)).into();
            Ok((Arc::clone(&name), name))
        }
    };
    let (name, lower) = name.map_err(|why| format!("sessionPersistence: {why}"))?;
    let (name, carrier) = match written.kind.as_ref().unwrap_or(&SessionPersistenceType::Cookie) {
        SessionPersistenceType::Cookie => {
            let cookie = written.cookie();
            let path = cookie.and_then(|cookie| cookie.path.as_deref()).unwrap_or("/");
            let path = header_value(path).ok().filter(|path| !path.contains(';'));
            let path =
                path.ok_or("sessionPersistence.cookie.path: it holds control characters or ;")?;
            let lifetime = cookie.and_then(|cookie| cookie.lifetime_type.as_ref());
            let permanent = match lifetime.unwrap_or(&CookieLifetime::Session) {
                CookieLifetime::Session => false,
                CookieLifetime::Permanent => true,
                CookieLifetime::Other(word) => {
                    return Err(format!("sessionPersistence: lifetimeType {word} is not known"));
                }
            };
            if permanent && absolute_timeout.is_none() {
                return Err(
                    "sessionPersistence: a Permanent cookie needs absoluteTimeout".to_owned()
                );
            }
            (name, SessionCarrier::Cookie { path, permanent })
        }
        SessionPersistenceType::Header => (lower, SessionCarrier::Header),
        SessionPersistenceType::Other(word) => {
            return Err(format!("sessionPersistence: type {word} is not known"));
        }
    };
    Ok(SessionPersistence { name, carrier, absolute_timeout, idle_timeout })
}

/// FNV-1a: short, and the same in every release.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
