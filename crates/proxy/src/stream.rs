//! Bytes and datagrams: TCP, TLS that ends here or at the backend, UDP. A rule is chosen once, for
//! the whole connection or session.

pub(crate) mod relay;
pub(crate) mod target;
pub(crate) mod tcp;
pub(crate) mod udp;
