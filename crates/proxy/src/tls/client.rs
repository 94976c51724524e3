//! What clients must prove (`Gateway.spec.tls.frontend`, GEP-91).

use std::fmt;
use std::sync::Arc;

use fairway_model::gateway::{ClientValidation, ClientValidationMode};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::Secrets;

/// Makes the check of clients' certificates.
///
/// # Errors
/// Says why it cannot be made.
pub(super) fn verifier(
    validation: &ClientValidation,
    secrets: &Secrets,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    match validation.mode {
        ClientValidationMode::Required => {
            let roots = secrets.authorities(&validation.authorities)?;
            WebPkiClientVerifier::builder_with_provider(roots, super::provider())
                .build()
                .map_err(|error| format!("clients cannot be validated: {error}"))
        }
        ClientValidationMode::InsecureFallback => {
            // The hints help clients to choose; without authorities all are let in just the same.
            let roots = secrets.authorities(&validation.authorities);
            let hints = roots.map(|roots| roots.subjects()).unwrap_or_default();
            Ok(Arc::new(AnyClient { hints, provider: super::provider() }))
        }
    }
}

/// Asks for a certificate and lets in whoever has none or an invalid one.
struct AnyClient {
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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

impl fmt::Debug for AnyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyClient")
    }
}
