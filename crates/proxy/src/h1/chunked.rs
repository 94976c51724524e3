//! Takes a chunked body apart (RFC 9112 7.1), without I/O and without looking back: it does not matter
//! how the bytes were cut. Strict: CR LF only, no space around a size, at most 16 digits, extensions
//! by the grammar only (they are dropped), nothing between data and CR LF.

use bytes::{Buf, Bytes, BytesMut};

use super::error::Refusal;
use super::head;
use super::scan::Scan;
use crate::message::text::{hex_digit, is_token_byte};
use crate::message::{Headers, Limits};

/// The fields after the last chunk; empty for nearly every body.
pub type Trailers = Headers;

/// The state between two bytes of one body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    limits: Limits,
    /// Bytes of extensions in all chunks so far.
    extensions: usize,
    /// Trailers as far as they have come.
    block: BytesMut,
    scan: Scan,
}

/// What the next bytes of a body are.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Never empty.
    Data(Bytes),
    /// The body has ended.
    End(Trailers),
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Digits so far, and their value.
    Size {
        digits: u8,
        size: u64,
    },
    Extension {
        size: u64,
        part: Part,
    },
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// Where in `;name=value` or `;name="value"` we are.
#[derive(Clone, Copy, Debug)]
enum Part {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    AfterQuoted,
}

/// Extensions of all chunks of a body together, in bytes: nobody uses them, but floods have (Go's
/// CVE-2023-39326).
const MAX_EXTENSIONS: usize = 4 << 10;

impl Decoder {
    /// Starts before the first chunk.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            state: State::Size { digits: 0, size: 0 },
            limits,
            extensions: 0,
            block: BytesMut::new(),
            scan: Scan::trailers(),
        }
    }

    /// Takes bytes from the front of the buffer until it has something to say; `None` when the buffer
    /// is empty. After `End` the buffer holds what follows the body, and the decoder is not used again.
    ///
    /// # Errors
    /// The rule that the first wrong byte breaks.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, Refusal> {
        while !buffer.is_empty() {
            match self.state {
                State::Data(left) => return Ok(Some(Piece::Data(self.data(left, buffer)))),
                State::Trailers => return self.trailers(buffer),
                State::Done => return Ok(None),
                State::Size { .. }
                | State::Extension { .. }
                | State::SizeEnd(_)
                | State::DataCr
                | State::DataLf => {
                    self.state = self.step(buffer[0])?;
                    buffer.advance(1);
                }
            }
        }
        Ok(None)
    }

    fn data(&mut self, left: u64, buffer: &mut BytesMut) -> Bytes {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let rest = left - u64::try_from(length).unwrap_or(left);
        self.state = if rest == 0 { State::DataCr } else { State::Data(rest) };
        buffer.split_to(length).freeze()
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size { digits, size }, byte) => match (hex_digit(byte), byte) {
                (Some(_), _) if digits == 16 => Err(Refusal::ChunkSize),
                (Some(digit), _) => {
                    Ok(State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
                }
                (None, _) if digits == 0 || size > i64::MAX.unsigned_abs() => {
                    Err(Refusal::ChunkSize)
                }
                (None, b'\r') => Ok(State::SizeEnd(size)),
                (None, b';') => Ok(State::Extension { size, part: Part::NameStart }),
                (None, b'\n') => Err(Refusal::LineEnd),
                (None, _) => Err(Refusal::ChunkSize),
            },
            (State::Extension { size, part }, byte) => {
                self.extensions += 1;
                if self.extensions > MAX_EXTENSIONS {
                    return Err(Refusal::ChunkExtensions);
                }
                extension(size, part, byte)
            }
            (State::SizeEnd(0), b'\n') => Ok(State::Trailers),
            (State::SizeEnd(size), b'\n') => Ok(State::Data(size)),
            (State::SizeEnd(_), _) => Err(Refusal::LineEnd),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0, size: 0 }),
            (State::DataCr | State::DataLf, _) => Err(Refusal::ChunkEnd),
            (state @ (State::Data(_) | State::Trailers | State::Done), _) => Ok(state),
        }
    }

    fn trailers(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, Refusal> {
        let before = self.block.len();
        // One byte more than is allowed is enough to find out that it is too much.
        let room = (self.limits.trailers + 1).saturating_sub(before);
        self.block.extend_from_slice(&buffer[..buffer.len().min(room)]);
        let Some(range) = self.scan.advance(&self.block, &self.limits)? else {
            buffer.advance(self.block.len() - before);
            return Ok(None);
        };
        buffer.advance(range.end - before);
        self.block.truncate(range.end);
        self.state = State::Done;
        if range.len() == 2 {
            return Ok(Some(Piece::End(Trailers::new())));
        }
        head::trailers(std::mem::take(&mut self.block), &self.limits)
            .map(|fields| Some(Piece::End(fields)))
    }
}

/// One byte of `*( ";" name [ "=" ( token / quoted-string ) ] )`.
fn extension(size: u64, part: Part, byte: u8) -> Result<State, Refusal> {
    let go = |part| Ok(State::Extension { size, part });
    let token = is_token_byte(byte);
    match (part, byte) {
        (Part::NameStart | Part::Name, _) if token => go(Part::Name),
        (Part::ValueStart | Part::Value, _) if token => go(Part::Value),
        (Part::Name, b'=') => go(Part::ValueStart),
        (Part::ValueStart, b'"') | (Part::Escaped, b'\t' | b' '..=b'~' | 0x80..) => {
            go(Part::Quoted)
        }
        (Part::Quoted, b'"') => go(Part::AfterQuoted),
        (Part::Quoted, b'\\') => go(Part::Escaped),
        (Part::Quoted, b'\t' | b' '..=b'~' | 0x80..) => go(Part::Quoted),
        (Part::Name | Part::Value | Part::AfterQuoted, b';') => go(Part::NameStart),
        (Part::Name | Part::Value | Part::AfterQuoted, b'\r') => Ok(State::SizeEnd(size)),
        (_, b'\n') => Err(Refusal::LineEnd),
        _ => Err(Refusal::ChunkSize),
    }
}

/// Writes a chunk's size line; the data and CR LF are the caller's. A size of 0 would end the body,
/// so empty chunks are never written.
pub fn write_size(out: &mut BytesMut, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = [0; 18];
    line[16..].copy_from_slice(b"\r\n");
    let mut rest = size;
    let mut start = 16;
    loop {
        start -= 1;
        line[start] = DIGITS[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&line[start..]);
}

/// Writes the last chunk and the trailers.
pub fn write_end(out: &mut BytesMut, trailers: Option<&Trailers>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        super::encode::fields(out, trailers, |_| true);
    }
    out.extend_from_slice(b"\r\n");
}
