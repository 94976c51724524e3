//! Who may speak on the stream: a small authority of the controller's own, the certificates that it gives to
//! the controller and to proxies, and how a proxy's certificate names its gateway.
//!
//! Keeping them is not its business, nor is the clock: whoever calls passes the time.

use std::time::{Duration, SystemTime};

use fairway_model::GatewayId;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Begins the URI in a proxy's certificate; its gateway's Id follows.
const TRUST_DOMAIN: &str = "spiffe://fairway.dev/";

/// The name in the controller's certificate that proxies ask for.
pub const SERVER_NAME: &str = "fairway-controller";

/// Clocks may differ so much.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// Why a certificate cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be made.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// It cannot be read.
    #[error("reading a certificate: {0}; delete the Secret that holds it to have it made anew")]
    Read(String),
}

/// A certificate authority of the controller's own.
pub struct Authority {
    certificate: String,
    key: KeyPair,
    life: Life,
}

/// A certificate with its key, as it is kept in a Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// PEM.
    pub certificate: String,
    /// PEM, PKCS#8.
    pub key: String,
    /// From when to when it counts.
    pub life: Life,
}

/// From when to when a certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Not before.
    pub begins: SystemTime,
    /// Not after.
    pub expires: SystemTime,
}

impl Life {
    /// Reads it from the first certificate of a PEM text.
    ///
    /// # Errors
    /// There is none.
    pub fn of_pem(pem: &str) -> Result<Self, IdentityError> {
        let read = |error: String| IdentityError::Read(error);
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .map_err(|error| read(error.to_string()))?;
        let certificate = pem.parse_x509().map_err(|error| read(error.to_string()))?;
        Ok(Self::of(&certificate))
    }

    fn of(certificate: &X509Certificate<'_>) -> Self {
        let at = |timestamp: i64| {
            let seconds = u64::try_from(timestamp).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        };
        let validity = certificate.validity();
        Self {
            begins: at(validity.not_before.timestamp()),
            expires: at(validity.not_after.timestamp()),
        }
    }

    /// Says whether it is time for a new one: after two thirds of its life.
    #[must_use]
    pub fn due(&self, now: SystemTime) -> bool {
        let whole = self.expires.duration_since(self.begins).unwrap_or_default();
        now >= self.begins + whole * 2 / 3
    }
}

impl Authority {
    /// Makes a new one, which counts from `now` on for `lifetime`.
    ///
    /// # Errors
    /// The cryptography library refuses.
    pub fn new(now: SystemTime, lifetime: Duration) -> Result<Self, IdentityError> {
        let key = KeyPair::generate()?;
        let mut params = Self::params();
        params.not_before = (now - SKEW).into();
        params.not_after = (now + lifetime).into();
        let certificate = params.self_signed(&key)?.pem();
        let life = Life::of_pem(&certificate)?;
        Ok(Self { certificate, key, life })
    }

    /// Reads one back that was kept.
    ///
    /// # Errors
    /// The texts are not a certificate and its key.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(key)?;
        let life = Life::of_pem(certificate)?;
        Ok(Self { certificate: certificate.to_owned(), key, life })
    }

    /// What all of them have in common, which is all that a certificate signed by one says of it.
    fn params() -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Fairway configuration stream");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    /// Its certificate, PEM: what both sides must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key, PEM.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.life.expires
    }

    /// Says whether it is time for a new one: after two thirds of its life. Until the old one ends, both sides
    /// trust both: give them the certificates one behind the other.
    #[must_use]
    pub fn due(&self, now: SystemTime) -> bool {
        self.life.due(now)
    }

    /// Makes a certificate for the controller under these DNS names.
    ///
    /// # Errors
    /// One of them is not a name.
    pub fn issue_server(
        &self,
        names: &[&str],
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued, IdentityError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names)?;
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth, now, lifetime)
    }

    /// Makes a certificate for the proxies of a gateway.
    ///
    /// # Errors
    /// Its Id cannot stand in a URI.
    pub fn issue_proxy(
        &self,
        gateway: &GatewayId,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued, IdentityError> {
        let mut params = CertificateParams::default();
        let uri = format!("{TRUST_DOMAIN}{gateway}");
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth, now, lifetime)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued, IdentityError> {
        let key = KeyPair::generate()?;
        params.distinguished_name.push(DnType::CommonName, "Fairway");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params.not_before = (now - SKEW).into();
        // Nobody outlives who vouches for them.
        params.not_after = (now + lifetime).min(self.life.expires).into();
        let own = Self::params();
        let issuer = Issuer::from_params(&own, &self.key);
        let certificate = params.signed_by(&key, &issuer)?.pem();
        let life = Life::of_pem(&certificate)?;
        Ok(Issued { certificate, key: key.serialize_pem(), life })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("life", &self.life).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("life", &self.life).finish_non_exhaustive()
    }
}

/// Reads from a proxy's certificate whose configuration it may have, and until when.
///
/// # Errors
/// In words for the proxy: it names no gateway, or several things.
pub(crate) fn gateway_of(certificate: &[u8]) -> Result<(GatewayId, SystemTime), String> {
    let unreadable = |error: String| format!("the proxy's certificate cannot be read: {error}");
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|error| unreadable(error.to_string()))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| unreadable(error.to_string()))?
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    // One URI and nothing else, as SPIFFE wants it.
    match names {
        [GeneralName::URI(uri)] => match uri.strip_prefix(TRUST_DOMAIN) {
            Some(gateway) if !gateway.is_empty() => {
                Ok((GatewayId::new(gateway), Life::of(&certificate).expires))
            }
            Some(_) | None => {
                Err(format!("the proxy's certificate is for {uri}, which is no gateway"))
            }
        },
        _ => Err("the proxy's certificate names no gateway".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn an_authority_comes_back_and_signs_on() {
        let now = SystemTime::now();
        let made = Authority::new(now, 30 * DAY).expect("made");
        let read = Authority::from_pem(made.certificate(), &made.key()).expect("read");
        assert_eq!(read.expires(), made.expires());
        let gateway = GatewayId::new("gateway/shop/web");
        let issued = read.issue_proxy(&gateway, now, 60 * DAY).expect("issued");
        assert_eq!(issued.life.expires, made.expires(), "it does not outlive the authority");
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(issued.certificate.as_bytes()).expect("PEM");
        let (named, _) = gateway_of(&pem.contents).expect("a gateway");
        assert_eq!(named, gateway);
        let server = read.issue_server(&[SERVER_NAME], now, DAY).expect("issued");
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(server.certificate.as_bytes()).expect("PEM");
        gateway_of(&pem.contents).expect_err("a controller is no gateway");
        assert!(!format!("{issued:?}{read:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_new_one_is_due_after_two_thirds_of_a_life() {
        let now = SystemTime::now();
        let authority = Authority::new(now, 30 * DAY).expect("made");
        assert!(!authority.due(now + 19 * DAY));
        assert!(authority.due(now + 21 * DAY));
        assert!(Authority::from_pem("", &authority.key()).is_err());
    }
}
