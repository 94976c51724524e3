//! Looks over the bytes of a head as they arrive: finds its end, counts its lines and refuses line
//! ends, control characters and sizes that must not be. What it says does not depend on how the bytes
//! were cut into pieces. What the lines mean is `head`'s.

use super::error::Refusal;
use crate::message::Limits;

/// How far a head was looked over. Goes with one growing buffer that begins where the head does.
#[derive(Clone, Debug)]
pub struct Scan {
    kind: Kind,
    /// The next byte to look at.
    at: usize,
    /// Where the current line begins.
    line: usize,
    /// Where the head begins, after empty lines that were skipped.
    start: usize,
    /// Lines that ended, the first one included.
    lines: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
    Trailers,
}

impl Scan {
    /// Starts at a request line; one empty line may precede it.
    #[must_use]
    pub const fn request() -> Self {
        Self { kind: Kind::Request, at: 0, line: 0, start: 0, lines: 0 }
    }

    /// Starts at a status line.
    #[must_use]
    pub const fn response() -> Self {
        Self { kind: Kind::Response, at: 0, line: 0, start: 0, lines: 0 }
    }

    /// Starts after the last chunk's line: fields only.
    #[must_use]
    pub const fn trailers() -> Self {
        Self { kind: Kind::Trailers, at: 0, line: 0, start: 0, lines: 1 }
    }

    /// Says whether any byte was looked at.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.at > 0
    }

    /// Looks at the bytes that are new since the last call and gives the head's range when its empty
    /// line has come.
    ///
    /// # Errors
    /// What is wrong with the first byte that is wrong.
    pub fn advance(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
    ) -> Result<Option<std::ops::Range<usize>>, Refusal> {
        loop {
            let (end, too_long) = self.bound(limits);
            let visible = buffer.get(self.at..end.min(buffer.len())).unwrap_or_default();
            let plain = visible.iter().position(|byte| *byte < b' ' || *byte == 0x7f);
            self.check_plain(buffer, plain.unwrap_or(visible.len()))?;
            let Some(plain) = plain else {
                self.at += visible.len();
                return if self.at >= end { Err(too_long) } else { Ok(None) };
            };
            self.at += plain;
            if self.odd_byte(buffer, limits)? {
                return Ok(Some(self.start..self.at));
            }
        }
    }

    /// Gives where the current line must have ended, and what it is if it has not.
    fn bound(&self, limits: &Limits) -> (usize, Refusal) {
        let (head, refusal) = match self.kind {
            Kind::Trailers => (self.start + limits.trailers, Refusal::TrailersTooLarge),
            Kind::Request | Kind::Response => (self.start + limits.head, Refusal::HeadTooLarge),
        };
        let line = self.line + limits.first_line + 2;
        if self.lines == 0 && line < head {
            (line, Refusal::FirstLineTooLong)
        } else {
            (head, refusal)
        }
    }

    /// Judges a run of bytes that are no control characters: it must not follow a lone CR, nor begin
    /// a field with a space.
    fn check_plain(&self, buffer: &[u8], length: usize) -> Result<(), Refusal> {
        if length == 0 {
            return Ok(());
        }
        if self.at > self.line && buffer[self.at - 1] == b'\r' {
            return Err(Refusal::LineEnd);
        }
        if self.at == self.line && buffer[self.at] == b' ' {
            return Err(if self.lines == 0 { Refusal::Syntax } else { Refusal::Folded });
        }
        Ok(())
    }

    /// Judges one control character and says whether it ends the head.
    fn odd_byte(&mut self, buffer: &[u8], limits: &Limits) -> Result<bool, Refusal> {
        let after_cr = self.at > self.line && buffer[self.at - 1] == b'\r';
        match buffer[self.at] {
            b'\n' if after_cr => return self.end_line(buffer, limits),
            b'\n' => return Err(Refusal::LineEnd),
            _ if after_cr => return Err(Refusal::LineEnd),
            b'\r' => {}
            b'\t' if self.lines > 0 && self.at == self.line => return Err(Refusal::Folded),
            b'\t' if self.lines > 0 => {}
            _ => return Err(Refusal::ControlCharacter),
        }
        self.at += 1;
        Ok(false)
    }

    fn end_line(&mut self, buffer: &[u8], limits: &Limits) -> Result<bool, Refusal> {
        let empty = self.at - self.line == 1;
        // HTTP/0.9 and other protocols would keep us waiting for an empty line that never comes.
        let first = !empty && self.lines == 0 && self.kind == Kind::Request;
        if first && !ends_in_version(&buffer[self.line..self.at]) {
            return Err(Refusal::Syntax);
        }
        self.at += 1;
        self.line = self.at;
        match (empty, self.lines) {
            // One is forgiven before a request (RFC 9112 2.2): old clients end bodies with it.
            (true, 0) if self.kind == Kind::Request && self.start == 0 => {
                self.start = self.at;
            }
            (true, 0) => return Err(Refusal::Syntax),
            (true, _) => return Ok(true),
            (false, lines) if lines > limits.fields.min(Limits::MAX_FIELDS) => {
                return Err(Refusal::TooManyFields);
            }
            (false, _) => self.lines += 1,
        }
        Ok(false)
    }
}

fn ends_in_version(line: &[u8]) -> bool {
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', _, b'.', _, b'\r'])
}
