//! TLS on both sides: who we say we are, and whom we believe. How clients' connections get here is
//! `listen`'s matter, how backends' are used `upstream`'s.

mod certificate;
mod client;
mod hello;
mod secrets;
mod server;
mod upstream;

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

pub(crate) use hello::{Hello, Prefixed};
pub(crate) use secrets::Secrets;
pub(crate) use server::{Tickets, server_config};
pub(crate) use upstream::{Alpn, GatewayCertificates, UpstreamTls};

/// All cryptography of the process. Named at each use, so that no other crate's choice of a
/// default provider can change it.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}
