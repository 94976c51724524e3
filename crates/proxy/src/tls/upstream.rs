//! TLS towards backends: who may have signed, which names count, which certificate we show.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use fairway_model::cluster::{Authorities, BackendTls, SubjectAltName};
use fairway_model::{Gateway, GatewayId};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Secrets;
use super::certificate::Certificate;

/// What is spoken inside TLS to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// `h2`, else `http/1.1`.
    Http,
    /// `http/1.1` alone: for what HTTP/2 cannot carry, such as an upgrade.
    Http1,
    /// No ALPN: bytes.
    None,
}

/// The certificates that gateways show to backends.
#[derive(Default)]
pub(crate) struct GatewayCertificates(BTreeMap<GatewayId, Result<Arc<Certificate>, String>>);

impl GatewayCertificates {
    /// Takes them from the model's gateways.
    pub(crate) fn of(gateways: &BTreeMap<GatewayId, Arc<Gateway>>, secrets: &Secrets) -> Self {
        let shown = gateways.iter().filter_map(|(id, gateway)| {
            let secret = gateway.client_certificate.as_ref()?;
            Some((id.clone(), secrets.certificate(secret)))
        });
        Self(shown.collect())
    }
}

/// How TLS is spoken to the endpoints of one cluster.
pub(crate) struct UpstreamTls {
    /// Sent as server name.
    pub(crate) server_name: ServerName<'static>,
    plain: Configs,
    /// Of gateways that show a certificate of their own; none if theirs cannot be used.
    by_gateway: BTreeMap<GatewayId, Option<Configs>>,
}

struct Configs {
    http: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    bytes: Arc<ClientConfig>,
}

impl UpstreamTls {
    /// Makes it ready.
    ///
    /// # Errors
    /// Says why TLS cannot be spoken as it must: then nothing is sent at all.
    pub(crate) fn new(
        tls: &BackendTls,
        gateways: &GatewayCertificates,
        secrets: &Secrets,
    ) -> Result<Self, String> {
        let server_name = ServerName::try_from(tls.hostname.to_string())
            .map_err(|_invalid| format!("{:?} is not a server name", tls.hostname))?;
        let roots = match &tls.authorities {
            Authorities::System => system_roots()?,
            Authorities::Bundles(ids) => secrets.authorities(ids)?,
        };
        let provider = super::provider();
        let verifier = Arc::new(Verifier { roots, names: tls.subject_alt_names.clone(), provider });
        let plain = Configs::new(&verifier, None)?;
        let mut by_gateway = BTreeMap::new();
        for (id, certificate) in &gateways.0 {
            let configs = match certificate {
                Ok(certificate) => Some(Configs::new(&verifier, Some(certificate))?),
                Err(_) => None,
            };
            by_gateway.insert(id.clone(), configs);
        }
        Ok(Self { server_name, plain, by_gateway })
    }

    /// Gives the configuration for connections made on behalf of this gateway; `None` when the
    /// certificate that it must show cannot be used. Connections of different configurations
    /// (compared by pointer) must not be shared.
    pub(crate) fn config(&self, gateway: &GatewayId, alpn: Alpn) -> Option<&Arc<ClientConfig>> {
        let configs = match self.by_gateway.get(gateway) {
            Some(own) => own.as_ref()?,
            None => &self.plain,
        };
        Some(match alpn {
            Alpn::Http => &configs.http,
            Alpn::Http1 => &configs.http1,
            Alpn::None => &configs.bytes,
        })
    }
}

impl Configs {
    fn new(verifier: &Arc<Verifier>, shown: Option<&Arc<Certificate>>) -> Result<Self, String> {
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(verifier) as Arc<dyn ServerCertVerifier>);
        let bytes = match shown {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let key = SingleCertAndKey::from(Arc::clone(&certificate.key));
                builder.with_client_cert_resolver(Arc::new(key))
            }
        };
        let with = |alpn: &[&str]| {
            let mut config = bytes.clone();
            config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
            Arc::new(config)
        };
        let (http, http1) = (with(&["h2", "http/1.1"]), with(&["http/1.1"]));
        Ok(Self { http, http1, bytes: Arc::new(bytes) })
    }
}

/// The authorities that the machine trusts, read once, when first asked for.
fn system_roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if !roots.is_empty() {
            return Ok(Arc::new(roots));
        }
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        Err(format!("this system has no certificate authorities{why}"))
    };
    ROOTS.get_or_init(load).clone()
}

/// Checks a backend's certificate as BackendTLSPolicy says: with `names`, one of them must be in
/// it and the server name is sent only; without, it must be good for the server name.
#[derive(Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    names: Vec<SubjectAltName>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        if self.names.is_empty() {
            verify_server_name(&certificate, server_name)?;
        } else if !carries(end_entity, &self.names) {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Says whether a certificate carries one of the names.
fn carries(certificate: &CertificateDer<'_>, wanted: &[SubjectAltName]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return false };
    extension.value.general_names.iter().any(|name| match name {
        GeneralName::DNSName(name) => wanted.iter().any(|wanted| match wanted {
            SubjectAltName::Dns(wanted) => same_dns_name(wanted, name),
            SubjectAltName::Uri(_) => false,
        }),
        GeneralName::URI(uri) => wanted.iter().any(|wanted| match wanted {
            SubjectAltName::Uri(wanted) => **wanted == **uri,
            SubjectAltName::Dns(_) => false,
        }),
        _ => false,
    })
}

/// A star on either side stands for one label (RFC 9525 section 6.3).
fn same_dns_name(wanted: &str, carried: &str) -> bool {
    let (wanted, carried) = (wanted.to_ascii_lowercase(), carried.to_ascii_lowercase());
    let covers = |pattern: &str, name: &str| {
        let rest = pattern.strip_prefix('*');
        rest.and_then(|rest| name.strip_suffix(rest))
            .is_some_and(|label| !label.is_empty() && !label.contains(['.', '*']))
    };
    wanted == carried || covers(&carried, &wanted) || covers(&wanted, &carried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(same_dns_name("a.example.com", "A.example.com"));
        assert!(same_dns_name("a.example.com", "*.example.com"));
        assert!(same_dns_name("*.example.com", "a.example.com"));
        assert!(same_dns_name("*.example.com", "*.example.com"));
        assert!(!same_dns_name("a.b.example.com", "*.example.com"));
        assert!(!same_dns_name("example.com", "*.example.com"));
        assert!(!same_dns_name("b.example.com", "a.example.com"));
    }
}
