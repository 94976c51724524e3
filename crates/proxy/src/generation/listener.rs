//! A listener as it is served.

use std::fmt;
use std::sync::Arc;

use fairway_model::{Listener, ListenerId};
use rustls::ServerConfig;

/// One listener, made ready.
pub(crate) struct ListenerState {
    pub(crate) id: ListenerId,
    pub(crate) listener: Arc<Listener>,
    pub(crate) mode: ListenerMode,
}

/// What is done with a listener's connections once it is known that they are its.
#[derive(Clone)]
pub(crate) enum ListenerMode {
    /// HTTP in clear text.
    Http,
    /// HTTP inside TLS.
    Https(Arc<ServerConfig>),
    /// Bytes inside TLS that ends here.
    TlsTerminate(Arc<ServerConfig>),
    /// Bytes inside TLS that the backend ends.
    TlsPassthrough,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
    /// Its TLS could not be made ready: connections are closed.
    Refused(Arc<str>),
}

impl fmt::Debug for ListenerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerState").field("id", &self.id).finish_non_exhaustive()
    }
}
