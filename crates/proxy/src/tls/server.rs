//! How a listener ends TLS.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::ListenerId;
use fairway_model::gateway::TlsTermination;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use super::certificate::ByServerName;
use super::{Secrets, client};

/// The keys with which session tickets are made: one set for each listener, so that a session
/// begun at one is never resumed at another, which may ask more of its clients. They outlive a
/// change of certificates.
#[derive(Default)]
pub(crate) struct Tickets(BTreeMap<ListenerId, Arc<dyn ProducesTickets>>);

impl Tickets {
    fn of(&mut self, id: &ListenerId) -> Option<Arc<dyn ProducesTickets>> {
        if let Some(known) = self.0.get(id) {
            return Some(Arc::clone(known));
        }
        let fresh = Ticketer::new().ok()?;
        self.0.insert(id.clone(), Arc::clone(&fresh));
        Some(fresh)
    }

    /// Drops the keys of a listener that is gone.
    pub(crate) fn forget(&mut self, id: &ListenerId) {
        self.0.remove(id);
    }
}

/// Makes a listener's side of TLS; `alpn` names what may be spoken inside, the preferred one first.
/// Certificates that cannot be used are passed over as long as one can.
///
/// # Errors
/// Says why the listener cannot be served: no certificate, or clients could not be validated as
/// they must.
pub(crate) fn server_config(
    id: &ListenerId,
    tls: &TlsTermination,
    alpn: &[&str],
    secrets: &Secrets,
    tickets: &mut Tickets,
) -> Result<Arc<ServerConfig>, String> {
    let mut certificates = Vec::new();
    let mut why = "no certificate is named".to_owned();
    for secret in &tls.certificates {
        match secrets.certificate(secret) {
            Ok(certificate) => certificates.push(certificate),
            Err(error) => why = error,
        }
    }
    if certificates.is_empty() {
        return Err(why);
    }
    let builder = ServerConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = match &tls.client_validation {
        None => builder.with_no_client_auth(),
        Some(rules) => builder.with_client_cert_verifier(client::verifier(rules, secrets)?),
    };
    let mut config = builder.with_cert_resolver(Arc::new(ByServerName { certificates }));
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // A resumed session skips the client's certificate, whose authority may be trusted no more.
    match &tls.client_validation {
        Some(_) => config.send_tls13_tickets = 0,
        None => {
            if let Some(ticketer) = tickets.of(id) {
                config.ticketer = ticketer;
            }
        }
    }
    Ok(Arc::new(config))
}
