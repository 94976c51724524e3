//! Key material: from PEM in a Secret or ConfigMap to what the model carries, once it is known to hold
//! together. Expiry is not looked at: that depends on the clock, and so is the data plane's and `check`'s.

use std::sync::Arc;

use fairway_model::Secret;
use fairway_model::secret::PrivateKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use self::der::Element;

mod der;

/// Checks a certificate chain and its key.
///
/// # Errors
/// Says what is wrong, as the second half of a sentence that begins with the Secret's name.
pub(crate) fn certificate(chain: &[u8], key: &[u8]) -> Result<Secret, String> {
    let chain_text = text(chain, "tls.crt")?;
    let key_text = text(key, "tls.key")?;
    let certificates = certificates(chain, "tls.crt")?;
    let leaf = parse(certificates.first().ok_or("has no certificate in tls.crt")?, "tls.crt")?;
    let private = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("has no private key in PEM form in tls.key ({error})"))?;
    if public_half(&private).is_some_and(|public| !public.fits(&leaf)) {
        return Err("has a key in tls.key that is not the one of the certificate in tls.crt".into());
    }
    Ok(Secret::Certificate { chain: Arc::from(chain_text), key: PrivateKey::new(key_text) })
}

/// Checks a bundle of certificate authorities. `field` is where it stands, for messages.
///
/// # Errors
/// Says what is wrong, as the second half of a sentence that begins with the object's name.
pub(crate) fn authorities(bundle: &[u8], field: &str) -> Result<Secret, String> {
    let bundle_text = text(bundle, field)?;
    let found = certificates(bundle, field)?;
    if found.is_empty() {
        return Err(format!("has no certificate in {field}"));
    }
    for certificate in &found {
        parse(certificate, field)?;
    }
    Ok(Secret::Authorities { bundle: Arc::from(bundle_text) })
}

fn text<'a>(bytes: &'a [u8], field: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|_error| format!("has in {field} what is not PEM text"))
}

fn certificates(pem: &[u8], field: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("has in {field} what is not a certificate in PEM form ({error})"))
}

fn parse<'a>(der: &'a CertificateDer<'_>, field: &str) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| format!("has in {field} what is not an X.509 certificate ({error})"))
}

/// What a private key says of its public half.
enum PublicHalf<'a> {
    /// The modulus of an RSA key, without leading zeros.
    Modulus(&'a [u8]),
    /// The point of an elliptic curve.
    Point(&'a [u8]),
}

impl PublicHalf<'_> {
    fn fits(&self, certificate: &X509Certificate<'_>) -> bool {
        let public: &[u8] = &certificate.public_key().subject_public_key.data;
        match self {
            Self::Point(point) => *point == public,
            Self::Modulus(modulus) => {
                let inside = Element::read(public).and_then(|sequence| sequence.children().next());
                inside.is_some_and(|first| first.unsigned() == *modulus)
            }
        }
    }
}

/// Finds the public half that most private keys carry; `None` when this one does not (Ed25519 of
/// PKCS#8 version 1), and then the data plane finds out.
fn public_half<'a>(key: &'a PrivateKeyDer<'_>) -> Option<PublicHalf<'a>> {
    match key {
        PrivateKeyDer::Pkcs1(der) => rsa(der.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(der) => elliptic(der.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(der) => {
            let outer = Element::read(der.secret_pkcs8_der())?;
            let inner = outer.children().find(|child| child.tag == der::OCTET_STRING)?;
            rsa(inner.content).or_else(|| elliptic(inner.content))
        }
        _ => None,
    }
}

/// RFC 8017 A.1.2: `SEQUENCE { version, modulus, publicExponent, ... }`, nine integers.
fn rsa(der: &[u8]) -> Option<PublicHalf<'_>> {
    let sequence = Element::read(der)?;
    let integers: Vec<Element<'_>> =
        sequence.children().filter(|child| child.tag == der::INTEGER).collect();
    let modulus = integers.get(1)?;
    (integers.len() >= 9).then(|| PublicHalf::Modulus(modulus.unsigned()))
}

/// RFC 5915 3: `SEQUENCE { version, privateKey, [0] parameters, [1] publicKey }`.
fn elliptic(der: &[u8]) -> Option<PublicHalf<'_>> {
    let sequence = Element::read(der)?;
    let tagged = sequence.children().find(|child| child.tag == der::CONTEXT_1)?;
    let bits = tagged.children().next().filter(|child| child.tag == der::BIT_STRING)?;
    let (unused, point) = bits.content.split_first()?;
    (*unused == 0).then_some(PublicHalf::Point(point))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["a.example.com".to_owned()])
            .expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_key_must_fit_its_certificate() {
        let (chain, key) = made();
        let (_, other) = made();
        assert!(certificate(chain.as_bytes(), key.as_bytes()).is_ok());
        let wrong = certificate(chain.as_bytes(), other.as_bytes()).expect_err("another key");
        assert!(wrong.contains("not the one of the certificate"), "{wrong}");
    }

    #[test]
    fn what_is_not_pem_is_said() {
        let (chain, key) = made();
        for (chain, key) in [("", key.as_str()), ("x", &key), (&chain, ""), (&chain, &chain)] {
            certificate(chain.as_bytes(), key.as_bytes()).expect_err("broken");
        }
        authorities(b"", "ca.crt").expect_err("empty");
        authorities(chain.as_bytes(), "ca.crt").expect("a bundle");
    }
}
