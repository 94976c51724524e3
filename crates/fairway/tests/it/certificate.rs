//! TLS Secrets as YAML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

/// A Secret whose certificate was valid in the year 2000.
pub(crate) fn expired(namespace: &str, name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let mut params =
        CertificateParams::new(vec!["shop.example.test".to_owned()]).expect("parameters");
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate");
    let encoded = |text: &str| STANDARD.encode(text);
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         type: kubernetes.io/tls\ndata:\n  tls.crt: {}\n  tls.key: {}\n",
        encoded(&certificate.pem()),
        encoded(&key.serialize_pem()),
    )
}
