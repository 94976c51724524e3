//! Key material. Never shown: `Debug` prints `[redacted]`, and only the wire form carries it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a data plane needs to prove who we are, or to check who others are. `translate` has parsed
/// it: the chain is not empty, the key fits the first certificate, a bundle holds a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Secret {
    /// A certificate with its key.
    Certificate {
        /// PEM, the leaf first.
        chain: Arc<str>,
        /// PEM: PKCS#8, PKCS#1 or SEC1.
        key: PrivateKey,
    },
    /// Certificates of authorities, PEM.
    Authorities {
        /// PEM, at least one.
        bundle: Arc<str>,
    },
}

/// A private key in PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrivateKey(Arc<str>);

impl PrivateKey {
    /// Wraps PEM text.
    #[must_use]
    pub fn new(pem: impl Into<Arc<str>>) -> Self {
        Self(pem.into())
    }

    /// Gives the PEM text to who must use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
