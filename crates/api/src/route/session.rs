//! How clients stay with an endpoint (GEP-1619), under the names of v1.6 and of v1.7.

use serde::{Deserialize, Serialize};

use crate::duration::GepDuration;

/// How clients stay with an endpoint. v1.7 has renamed fields; both names are read, see
/// [`SessionPersistence::name`] and [`SessionPersistence::cookie`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionPersistence {
    /// Name of the cookie or header, in v1.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// After so long a session ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_timeout: Option<GepDuration>,
    /// After so long without a request a session ends (until v1.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<GepDuration>,
    /// `Cookie` when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<SessionPersistenceType>,
    /// The cookie, in v1.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_config: Option<CookieConfig>,
    /// The cookie, in v1.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<CookieConfig>,
    /// The header, in v1.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<SessionHeader>,
}

open_enum! {
    /// Where a session's mark travels.
    SessionPersistenceType {
        /// In a cookie.
        Cookie = "Cookie",
        /// In a header.
        Header = "Header",
    }
}

/// What a session's cookie is like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CookieConfig {
    /// How long it lives; `Session` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_type: Option<CookieLifetime>,
    /// Its name (v1.7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its path (v1.7); `/` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

open_enum! {
    /// How long a cookie lives.
    CookieLifetime {
        /// Until its time is up.
        Permanent = "Permanent",
        /// As long as the browser's session.
        Session = "Session",
    }
}

/// A session's header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionHeader {
    /// Its name.
    pub name: String,
}

impl SessionPersistence {
    /// Gives the name of the cookie or header under whichever field it is written.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let header = self.header.as_ref().map(|header| header.name.as_str());
        let cookie = self.cookie.as_ref().and_then(|cookie| cookie.name.as_deref());
        header.or(cookie).or(self.session_name.as_deref())
    }

    /// Gives what the cookie is like under whichever field it is written.
    #[must_use]
    pub fn cookie(&self) -> Option<&CookieConfig> {
        self.cookie.as_ref().or(self.cookie_config.as_ref())
    }
}
