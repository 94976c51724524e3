//! Sockets of clients: bound, accepted from, closed.
