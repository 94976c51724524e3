//! The codec as plain functions of bytes, for fuzzing and test vectors.

use bytes::BytesMut;

use super::chunked::{Decoder, Piece, Trailers};
use super::error::Refusal;
use super::head::{self, Request, Response};
use super::scan::Scan;
use crate::message::{Limits, Method, Scheme};

/// Reads one request head from the front of the bytes and says how many it took; `None` when it is
/// not complete.
///
/// # Errors
/// The rule it breaks.
pub fn parse_request(bytes: &[u8], limits: &Limits) -> Result<Option<(Request, usize)>, Refusal> {
    let Some(range) = Scan::request().advance(bytes, limits)? else { return Ok(None) };
    let end = range.end;
    let request = head::request(BytesMut::from(&bytes[range]), Scheme::Http, limits)?;
    Ok(Some((request, end)))
}

/// The same for the head of a response to a request with this method.
///
/// # Errors
/// The rule it breaks.
pub fn parse_response(
    bytes: &[u8],
    method: &Method,
    limits: &Limits,
) -> Result<Option<(Response, usize)>, Refusal> {
    let Some(range) = Scan::response().advance(bytes, limits)? else { return Ok(None) };
    let end = range.end;
    let response = head::response(BytesMut::from(&bytes[range]), method, limits)?;
    Ok(Some((response, end)))
}

/// Reads one chunked body from the front of the bytes: its data, its trailers and how many bytes it
/// took; `None` when it is not complete.
///
/// # Errors
/// The rule it breaks.
pub fn decode_chunked(
    bytes: &[u8],
    limits: &Limits,
) -> Result<Option<(Vec<u8>, Trailers, usize)>, Refusal> {
    let mut buffer = BytesMut::from(bytes);
    let mut decoder = Decoder::new(*limits);
    let mut body = Vec::new();
    while let Some(piece) = decoder.next(&mut buffer)? {
        match piece {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::End(trailers) => {
                return Ok(Some((body, trailers, bytes.len() - buffer.len())));
            }
        }
    }
    Ok(None)
}
