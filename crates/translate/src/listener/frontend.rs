//! How clients' certificates are checked (`Gateway.spec.tls.frontend`, GEP-91): the entry of the
//! listener's port, or the default. Only HTTPS listeners are concerned.

use fairway_api::gateway::{FrontendValidationMode, GatewayTls};
use fairway_model::gateway::{ClientValidation, ClientValidationMode};

use super::certificate::{Key, Keyring, Trouble};
use crate::refs::Asker;
use crate::verdict::{Conditions, Reason};

/// What is asked of clients on one port.
pub(crate) enum Frontend {
    /// Nothing.
    Open,
    /// A certificate, by these authorities.
    Validated(ClientValidation, Vec<Key>),
    /// It cannot be asked as written, so nobody is let in.
    Closed,
}

/// Reads what holds for a port, and says what is wrong with it.
pub(crate) fn frontend(
    tls: Option<&GatewayTls>,
    port: u16,
    asker: Asker<'_>,
    keyring: &mut Keyring<'_>,
    conditions: &mut Conditions,
) -> Frontend {
    let Some(frontend) = tls.and_then(|tls| tls.frontend.as_ref()) else {
        return Frontend::Open;
    };
    let own = frontend.per_port.iter().find(|entry| entry.port == i32::from(port));
    let config = own.map_or(&frontend.default, |entry| &entry.tls);
    let Some(validation) = &config.validation else {
        return Frontend::Open;
    };
    let mode = match &validation.mode {
        None | Some(FrontendValidationMode::AllowValidOnly) => ClientValidationMode::Required,
        Some(FrontendValidationMode::AllowInsecureFallback) => {
            ClientValidationMode::InsecureFallback
        }
        Some(FrontendValidationMode::Other(word)) => {
            let message = format!("tls.frontend: mode {word} is not known");
            conditions.say(Reason::UnsupportedValue, message);
            return Frontend::Closed;
        }
    };
    let mut keys = Vec::new();
    for reference in &validation.ca_certificate_refs {
        let kind = (reference.group.as_str(), reference.kind.as_str());
        let name = (reference.namespace.as_deref(), reference.name.as_str());
        match keyring.authorities(asker, kind, name) {
            Ok(key) => keys.push(key),
            Err(trouble) => {
                let message = format!("tls.frontend: {}", trouble.message());
                conditions.say(reason(&trouble), message);
            }
        }
    }
    if keys.is_empty() {
        let message = "tls.frontend: none of caCertificateRefs can be used, so no client is let in";
        conditions.say(Reason::NoValidCaCertificate, message);
        return Frontend::Closed;
    }
    let authorities = keys.iter().map(|(id, _)| id.clone()).collect();
    Frontend::Validated(ClientValidation { authorities, mode }, keys)
}

/// Says whether any port lets clients in without a valid certificate.
pub(crate) fn is_insecure(tls: Option<&GatewayTls>) -> bool {
    let Some(frontend) = tls.and_then(|tls| tls.frontend.as_ref()) else { return false };
    let configs = frontend.per_port.iter().map(|entry| &entry.tls).chain([&frontend.default]);
    let mut modes = configs.filter_map(|config| config.validation.as_ref()?.mode.as_ref());
    modes.any(|mode| *mode == FrontendValidationMode::AllowInsecureFallback)
}

fn reason(trouble: &Trouble) -> Reason {
    match trouble {
        Trouble::Kind(_) => Reason::InvalidCaCertificateKind,
        Trouble::NotPermitted(_) => Reason::RefNotPermitted,
        Trouble::Broken(_) => Reason::InvalidCaCertificateRef,
    }
}
