//! The transport over the network: gRPC with mutual TLS. The contract is `proto/fairway/v1/stream.proto`.
//!
//! The controller is the server; proxies connect to it, say what they hold, and are sent what differs. At
//! most one update is on its way to a proxy: what is published meanwhile is sent as one when it has
//! acknowledged, so that a slow proxy costs nothing but its own delay.

pub mod client;
pub mod server;

mod batch;
mod holding;

use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Raised when one side would misunderstand the other; see `Hello`.
const PROTOCOL: u32 = 1;

/// Raised when something is added that the other side may ignore.
const MINOR: u32 = 0;

/// A peer that is gone without a word is noticed after twice this time.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long the other side may take to say who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A message is about 1 MiB; one resource may be larger than that.
const LARGEST_MESSAGE: usize = 64 << 20;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or not what is expected in it.
    #[error("reading {what}: {why}")]
    Unreadable {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// They do not fit each other.
    #[error("using the certificate for the configuration stream: {0}")]
    Unusable(String),
}

/// A certificate with its key, and the authorities that the other side must be vouched for by. All PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The leaf first.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Several while they are changed.
    pub authorities: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity([redacted])")
    }
}

/// An [`Identity`] in the words of the TLS library.
struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: rustls::RootCertStore,
}

impl Material {
    fn read(identity: &Identity) -> Result<Self, TlsError> {
        let certificates = |pem: &str, what| {
            let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            match all {
                Ok(all) if all.is_empty() => {
                    Err(TlsError::Unreadable { what, why: "there is no certificate".to_owned() })
                }
                Ok(all) => Ok(all),
                Err(error) => Err(TlsError::Unreadable { what, why: error.to_string() }),
            }
        };
        let chain = certificates(&identity.certificate, "the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
            .map_err(|error| TlsError::Unreadable { what: "the key", why: error.to_string() })?;
        let mut roots = rustls::RootCertStore::empty();
        for authority in certificates(&identity.authorities, "the authorities")? {
            roots.add(authority).map_err(|error| TlsError::Unreadable {
                what: "the authorities",
                why: error.to_string(),
            })?;
        }
        Ok(Self { chain, key, roots })
    }
}

fn unusable(error: impl std::fmt::Display) -> TlsError {
    TlsError::Unusable(error.to_string())
}

#[cfg(test)]
mod tests;
