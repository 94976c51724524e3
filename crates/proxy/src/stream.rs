//! Bytes and datagrams: TCP, TLS passthrough, UDP.
