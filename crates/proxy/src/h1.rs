//! A strict HTTP/1.1 codec for both sides: the server side reads requests and writes responses, the
//! client side writes requests and reads responses. It refuses what servers are known to read in
//! different ways and never repairs (attack A11). It has no timers, no pools and no policy.
//!
//! The parts, each usable alone: [`scan`] finds the end of a head and judges its lines, [`head`]
//! makes message types of it, [`framing`] says how long the body is, [`chunked`] takes chunks apart,
//! [`encode`] writes heads. [`Reader`] and [`Writer`] join them to a stream that stays the caller's:
//! each call gets it as an argument, so that one task may read and write in turn.
//!
//! Every method is safe to cancel: what was read stays in the reader, what was not yet written in the
//! writer. Deadlines are the caller's; wait with [`Reader::begin`] while a connection is idle and
//! start the head's deadline when it returns (attack A1).

pub use chunked::Trailers;
pub use error::{Error, Refusal};
pub use framing::Framing;
pub use head::{Request, Response};
pub use reader::{Body, Frame, Reader};
pub use vectors::{decode_chunked, parse_request, parse_response};
pub use writer::{Peer, Writer};

pub mod chunked;
pub mod encode;
pub mod framing;
pub mod head;
pub mod scan;

mod error;
mod reader;
mod scratch;
mod vectors;
mod writer;
