//! Connections to endpoints: made, kept, shared and given back, in HTTP/1.1 and HTTP/2. Which
//! endpoint it is, and whether to try again, is decided elsewhere.
//!
//! A data thread has one [`Pool`]. [`Pool::lease`] gives a connection for one exchange,
//! [`Lease::begin`] sends the head of the request and splits the connection into its two halves. A
//! connection of HTTP/1.1 is used again only if [`Lease::give_back`] is called; dropping the lease
//! closes it (attack A11).

mod connect;
mod lease;
mod pool;
mod reception;

pub(crate) use connect::Destination;
pub(crate) use lease::Lease;
pub(crate) use pool::Pool;
pub(crate) use reception::{Answer, Reception};
