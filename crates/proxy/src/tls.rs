//! TLS on both sides: who we say we are, and whom we believe.

mod upstream;

pub(crate) use upstream::{Alpn, UpstreamTls};
