//! Which bytes may stand where: tables for tokens, field values and URI characters, and the error
//! that says which rule a message broke. Not a parser.

/// A rule that a message broke. Every one is the sender's fault; on the server side all of them are
/// a 400 but `Connect` and `TooManyHeaders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// RFC 9110 9.1.
    #[error("the method is not a token of at most 32 characters")]
    Method,
    /// RFC 9110 9.3.6; this gateway is no forward proxy.
    #[error("CONNECT is not served")]
    Connect,
    /// RFC 9112 3.2.
    #[error("the request target has none of the forms that are served")]
    TargetForm,
    /// RFC 9112 3.2: a fragment never is sent.
    #[error("the request target has a fragment")]
    Fragment,
    /// A control character, a space, a backslash or a byte outside ASCII, plain or escaped.
    #[error("the request target holds a character that it may not hold")]
    TargetCharacter,
    /// RFC 3986 2.1.
    #[error("the path holds a percent sign without two hexadecimal digits")]
    Escape,
    /// An escaped character in more bytes than UTF-8 allows, read as another one by lax decoders.
    #[error("the path holds an overlong UTF-8 sequence")]
    Overlong,
    /// `..%2F`, `..;`: a parent folder to some servers, a name to others.
    #[error("the path holds dots that some servers take for a parent folder")]
    AmbiguousDots,
    /// RFC 9112 3.2, RFC 3986 3.2.2.
    #[error("the host is not a name, an address or a bracketed IPv6 address")]
    Host,
    /// RFC 3986 3.2.3.
    #[error("the host's port is not a number from 1 to 65535")]
    Port,
    /// RFC 9112 3.2.
    #[error("there is no host")]
    HostMissing,
    /// RFC 9112 3.2.
    #[error("there is more than one host")]
    HostRepeated,
    /// RFC 9112 3.2.2, RFC 9113 8.3.1.
    #[error("the target's authority and the Host field differ")]
    HostDiffers,
    /// RFC 9110 5.1.
    #[error("a field name is not a token")]
    FieldName,
    /// Two names that differ only in `-` and `_` are one name to many servers.
    #[error("a field name has an underscore")]
    Underscore,
    /// RFC 9110 5.5.
    #[error("a field value holds a control character")]
    FieldValue,
    /// RFC 9113 8.2.2.
    #[error("a field belongs to HTTP/1.1 connections only")]
    ConnectionField,
    /// RFC 9110 8.6.
    #[error("the content length is not one plain number")]
    ContentLength,
    /// RFC 9110 15: three digits, 100 or more.
    #[error("the status is not a number from 100 to 999")]
    Status,
    /// `Limits::header_count`.
    #[error("there are too many fields")]
    TooManyHeaders,
}

/// RFC 9110 5.6.2 `tchar`.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
            | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
    )
}

/// RFC 9110 5.5: visible characters, space, tab and bytes beyond ASCII.
pub(crate) const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// RFC 3986 2.3: characters that mean the same escaped and plain.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 3.3 `pchar` without escapes.
pub(crate) const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
        )
}

/// Gives the number that a hexadecimal digit stands for.
pub(crate) const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Takes spaces and tabs off both ends (RFC 9110 5.6.3 `OWS`; `trim_ascii` would take line ends).
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Reads text that was checked to be ASCII when it was taken in.
pub(crate) fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("checked to be ASCII when it was taken in")
}
