//! What follows when both sides have switched protocols: bytes both ways, and no HTTP any more.

use std::time::Duration;

use bytes::Bytes;

use crate::http::wire::Io;
use crate::stream::relay::relay;
use crate::tls::Prefixed;

/// One side of a tunnel: its connection, and what was read from it beyond HTTP.
pub(crate) struct Side {
    pub(crate) io: Box<dyn Io>,
    pub(crate) read: Bytes,
}

/// Bytes that came through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) from_client: u64,
    pub(crate) to_client: u64,
}

/// Carries bytes until both sides have ended, one breaks, or nothing moves for `idle`.
pub(crate) async fn carry(client: Side, endpoint: Side, idle: Duration) -> Carried {
    let mut client = Prefixed::new(client.read.into(), client.io);
    let mut endpoint = Prefixed::new(endpoint.read.into(), endpoint.io);
    let (relayed, _end) = relay(&mut client, &mut endpoint, idle).await;
    Carried { from_client: relayed.forth, to_client: relayed.back }
}
