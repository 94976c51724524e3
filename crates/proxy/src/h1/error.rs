//! Why a message was not taken, and what to answer to its sender.

use std::io;

use crate::message::Malformed;

/// A rule of HTTP/1.1 that a message broke; found without I/O, the same for every fragmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// RFC 9112 2.2; also what stands where an end of line must.
    #[error("a line ends otherwise than in CR LF")]
    LineEnd,
    /// NUL and its like.
    #[error("the head holds a control character")]
    ControlCharacter,
    /// RFC 9112 5.2 obs-fold.
    #[error("a field is folded over several lines")]
    Folded,
    /// RFC 9112 3 and 4, 5.1 (a space before the colon).
    #[error("the head does not follow the grammar")]
    Syntax,
    /// `Limits::first_line`.
    #[error("the first line is too long")]
    FirstLineTooLong,
    /// `Limits::head`.
    #[error("the head is too large")]
    HeadTooLarge,
    /// `Limits::fields`.
    #[error("there are too many fields")]
    TooManyFields,
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1")]
    Version,
    /// RFC 9112 6.1; the mark of request smuggling.
    #[error("there are both a transfer encoding and a content length")]
    LengthAndEncoding,
    /// RFC 9112 6.1.
    #[error("HTTP/1.0 has no transfer encodings")]
    EncodingInHttp10,
    /// RFC 9112 6.3.
    #[error("the transfer encoding is not exactly chunked")]
    Encoding,
    /// A registered coding before chunked.
    #[error("transfer encodings other than chunked are not served")]
    UnknownEncoding,
    /// RFC 9112 7.1.
    #[error("a chunk's size line is wrong")]
    ChunkSize,
    /// RFC 9112 7.1.1: no harm, but nobody sends so many.
    #[error("the chunk extensions are too large")]
    ChunkExtensions,
    /// RFC 9112 7.1: CR LF after the data.
    #[error("a chunk is longer than its size")]
    ChunkEnd,
    /// `Limits::trailers`.
    #[error("the trailers are too large")]
    TrailersTooLarge,
    /// RFC 9110 10.1.1.
    #[error("only 100-continue can be expected")]
    Expectation,
}

impl Refusal {
    /// Gives the status to answer a request with; the connection is to be closed after it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::FirstLineTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge
            | Self::TooManyFields
            | Self::TrailersTooLarge
            | Self::Malformed(Malformed::TooManyHeaders) => 431,
            Self::UnknownEncoding | Self::Malformed(Malformed::Connect) => 501,
            Self::Version => 505,
            Self::Malformed(_)
            | Self::LineEnd
            | Self::ControlCharacter
            | Self::Folded
            | Self::Syntax
            | Self::LengthAndEncoding
            | Self::EncodingInHttp10
            | Self::Encoding
            | Self::ChunkSize
            | Self::ChunkExtensions
            | Self::ChunkEnd => 400,
        }
    }
}

/// Why reading or writing a message failed. After any of these the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer broke a rule.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The peer closed before the first byte of a message: on an idle connection no fault, and the
    /// request may be sent again elsewhere.
    #[error("the peer closed the connection before a message began")]
    Closed,
    /// The peer closed inside a message.
    #[error("the peer closed the connection inside a message")]
    Truncated,
    /// The body that was to be written is longer or shorter than its head said.
    #[error("the body is not as long as its head says")]
    WrongLength,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// Gives the status to answer a request with, if there is anybody to answer to.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status()),
            Self::Closed | Self::Truncated | Self::WrongLength | Self::Io(_) => None,
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Refused(malformed.into())
    }
}
