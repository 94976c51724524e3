//! Request methods: the registered ones as an enum, others as their token.

use std::fmt;

use bytes::Bytes;

use super::text::{Malformed, ascii, is_token_byte};

/// A request method. Case matters (RFC 9110 9.1): `get` is `Other`, not `Get`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// A token that is none of the above.
    Other(OtherMethod),
}

/// A method token that is none of the named ones; made by [`Method::parse`] only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherMethod(Bytes);

impl Method {
    /// The longest method that is accepted, in bytes.
    pub const MAX_LENGTH: usize = 32;

    /// Reads a method token; allocates for unknown methods only.
    ///
    /// # Errors
    /// `Malformed::Method` when it is not a token or longer than [`Self::MAX_LENGTH`].
    pub fn parse(token: &[u8]) -> Result<Self, Malformed> {
        Ok(match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            other => {
                let fits = !other.is_empty() && other.len() <= Self::MAX_LENGTH;
                if !fits || !other.iter().all(|byte| is_token_byte(*byte)) {
                    return Err(Malformed::Method);
                }
                Self::Other(OtherMethod(Bytes::copy_from_slice(other)))
            }
        })
    }

    /// Gives the method as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other(OtherMethod(token)) => ascii(token),
        }
    }

    /// Says whether sending it twice means the same as once (RFC 9110 9.2.2), so that it may be retried.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace => true,
            Self::Post | Self::Connect | Self::Patch | Self::Other(_) => false,
        }
    }

    /// Says whether it asks for nothing to be changed (RFC 9110 9.2.1).
    #[must_use]
    pub const fn is_safe(&self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Options | Self::Trace => true,
            Self::Post
            | Self::Put
            | Self::Delete
            | Self::Connect
            | Self::Patch
            | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_matters_and_tokens_are_checked() {
        for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
        {
            let method = Method::parse(name.as_bytes()).expect("a method");
            assert_eq!(method.as_str(), name);
            assert!(!matches!(method, Method::Other(_)));
        }
        assert!(matches!(Method::parse(b"get"), Ok(Method::Other(_))));
        assert_eq!(Method::parse(b"M-SEARCH").expect("a method").as_str(), "M-SEARCH");
        for bad in [&b""[..], b"G ET", b"G\0T", b"GET/", b"(GET)", &[b'A'; 33], b"G\xc3\x89T"] {
            assert_eq!(Method::parse(bad), Err(Malformed::Method));
        }
    }
}
