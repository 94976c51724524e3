//! TLS towards backends: who may have signed, which names count, which certificate we show.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::GatewayId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

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

/// How TLS is spoken to the endpoints of one cluster.
#[derive(Clone)]
pub(crate) struct UpstreamTls {
    /// Sent as server name.
    pub(crate) server_name: ServerName<'static>,
    plain: Configs,
    /// Of gateways that show a certificate of their own.
    by_gateway: BTreeMap<GatewayId, Configs>,
}

#[derive(Clone)]
struct Configs {
    http: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    bytes: Arc<ClientConfig>,
}

impl UpstreamTls {
    /// Gives the configuration for connections made on behalf of this gateway. Connections of
    /// gateways that show different certificates must not be shared.
    pub(crate) fn config(&self, gateway: &GatewayId, alpn: Alpn) -> &Arc<ClientConfig> {
        let configs = self.by_gateway.get(gateway).unwrap_or(&self.plain);
        match alpn {
            Alpn::Http => &configs.http,
            Alpn::Http1 => &configs.http1,
            Alpn::None => &configs.bytes,
        }
    }
}
