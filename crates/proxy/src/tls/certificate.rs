//! Our own certificates, and the choice among them by server name. They are not validated beyond
//! what serving them takes: an expired or oddly named certificate is the client's to refuse.

use std::fmt;
use std::sync::Arc;

use fairway_model::host::HostPattern;
use fairway_model::secret::PrivateKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A certificate with its key, and the names it is good for.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    names: Vec<HostPattern>,
}

impl Certificate {
    /// Reads PEM.
    ///
    /// # Errors
    /// Says in words for the user what is wrong.
    pub(super) fn load(chain: &str, key: &PrivateKey) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("the certificate is not PEM: {error}"))?;
        let leaf = chain.first().ok_or("there is no certificate in it")?;
        let names = names(leaf);
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|error| format!("the private key is not PEM: {error}"))?;
        let key = super::provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| format!("the private key cannot be used: {error}"))?;
        let key = CertifiedKey::new(chain, key);
        // A certificate too odd to be read here is served all the same; only a key that certainly
        // belongs to another one would fail every handshake.
        if let Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) = key.keys_match() {
            return Err("the private key does not belong to the certificate".to_owned());
        }
        Ok(Self { key: Arc::new(key), names })
    }

    /// Says how exactly it is good for a name: the lesser the better.
    fn fit(&self, name: &str) -> Option<fairway_model::host::HostRank> {
        self.names.iter().filter(|pattern| pattern.matches(name)).map(HostPattern::rank).min()
    }
}

/// The names of a certificate; its wildcards stand for one label (RFC 9525 section 6.3). The common
/// name counts when there is no other.
fn names(leaf: &CertificateDer<'_>) -> Vec<HostPattern> {
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return Vec::new() };
    let mut found: Vec<String> = Vec::new();
    if let Ok(Some(extension)) = leaf.subject_alternative_name() {
        found.extend(extension.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        }));
    }
    if found.is_empty() {
        let common = leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        found.extend(common.map(str::to_owned));
    }
    let patterns = found.iter().map(|name| name.to_ascii_lowercase()).map(|name| {
        let one_label = name.strip_prefix('*').map(|suffix| format!("?{suffix}"));
        HostPattern::parse(&one_label.unwrap_or(name))
    });
    patterns.flatten().filter(|pattern| *pattern != HostPattern::Any).collect()
}

/// A listener's certificates.
pub(super) struct ByServerName {
    /// Never empty; the first one is shown when none fits.
    pub(super) certificates: Vec<Arc<Certificate>>,
}

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let able = |certificate: &&Arc<Certificate>| {
            certificate.key.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        let best = name.as_deref().and_then(|name| {
            let fits = self.certificates.iter().filter(able);
            fits.filter_map(|certificate| Some((certificate.fit(name)?, certificate)))
                .min_by_key(|(fit, _)| *fit)
                .map(|(_, certificate)| certificate)
        });
        let chosen = best
            .or_else(|| self.certificates.iter().find(able))
            .or_else(|| self.certificates.first());
        chosen.map(|certificate| Arc::clone(&certificate.key))
    }
}

impl fmt::Debug for ByServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.certificates.iter().map(|one| &one.names)).finish()
    }
}
