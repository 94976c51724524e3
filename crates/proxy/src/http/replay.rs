//! A request's body with a bounded memory, so that the request can be tried again, and with ears
//! that hear it too.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::mirror::Tap;
use super::pump::Source;
use super::wire::{Incoming, WireError};
use crate::h1::Frame;
use crate::message::Headers;

/// The body of a request.
pub(crate) struct Replay<'b, 'c> {
    source: &'b mut Incoming<'c>,
    kept: Vec<Bytes>,
    trailers: Option<Headers>,
    ended: bool,
    /// Which of the kept pieces is next.
    at: usize,
    /// How many more bytes may be kept; none after the first one that was not.
    room: Option<usize>,
    taps: Vec<Tap>,
    /// Bytes that the client has sent.
    pub(crate) bytes: u64,
}

impl<'b, 'c> Replay<'b, 'c> {
    /// Keeps at most `room` bytes.
    pub(crate) fn new(source: &'b mut Incoming<'c>, room: usize, taps: Vec<Tap>) -> Self {
        let trailers = None;
        Self {
            source,
            kept: Vec::new(),
            trailers,
            ended: false,
            at: 0,
            room: Some(room),
            taps,
            bytes: 0,
        }
    }

    /// Says whether all that was sent is still known.
    pub(crate) fn can_rewind(&self) -> bool {
        self.room.is_some()
    }

    /// See [`Incoming::poll_closed`].
    pub(crate) fn poll_closed(&mut self, task: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.source.poll_closed(task)
    }

    /// Goes back to the start; false when what was sent is not known any more.
    pub(crate) fn rewind(&mut self) -> bool {
        self.at = 0;
        self.room.is_some()
    }

    fn keep(&mut self, data: &Bytes) {
        let left = self.room.and_then(|room| room.checked_sub(data.len()));
        self.room = left;
        if left.is_some() {
            self.kept.push(data.clone());
            self.at = self.kept.len();
        } else {
            self.kept = Vec::new();
            self.at = 0;
        }
    }
}

impl Source for Replay<'_, '_> {
    fn poll_frame(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Frame>, WireError>> {
        if let Some(data) = self.kept.get(self.at) {
            self.at += 1;
            return Poll::Ready(Ok(Some(Frame::Data(data.clone()))));
        }
        if self.ended {
            return Poll::Ready(Ok(self.trailers.clone().map(Frame::Trailers)));
        }
        let frame = std::task::ready!(self.source.poll_frame(task));
        match &frame {
            Ok(Some(Frame::Data(data))) => {
                self.bytes += u64::try_from(data.len()).unwrap_or_default();
                self.keep(data);
                self.taps.iter_mut().for_each(|tap| tap.data(data));
            }
            Ok(Some(Frame::Trailers(trailers))) => {
                self.ended = true;
                self.trailers = Some(trailers.clone());
                self.taps.drain(..).for_each(Tap::end);
            }
            Ok(None) => {
                self.ended = true;
                self.taps.drain(..).for_each(Tap::end);
            }
            Err(_) => self.taps.clear(),
        }
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::task::Waker;

    use super::*;
    use crate::h1::{Framing, Reader};
    use crate::http::wire::{Io, Stream};
    use crate::message::Limits;

    fn read(replay: &mut Replay<'_, '_>) -> Vec<u8> {
        let mut task = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(Ok(Some(Frame::Data(data)))) = replay.poll_frame(&mut task) {
            all.extend_from_slice(&data);
        }
        all
    }

    #[test]
    fn a_short_body_is_read_again_and_a_long_one_is_not_kept() {
        let body = Bytes::from_static(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
        for (room, again) in [(11, true), (10, false), (0, false)] {
            let io: Stream = RefCell::new(Box::new(tokio::io::empty()) as Box<dyn Io>);
            let mut reader =
                Reader::with_bytes(Limits::default(), bytes::BytesMut::from(body.clone()));
            let mut source = Incoming::h1(&io, &mut reader, Framing::Chunked);
            let mut replay = Replay::new(&mut source, room, Vec::new());
            assert!(replay.rewind(), "nothing was taken");
            assert_eq!(read(&mut replay), b"hello world");
            assert_eq!(replay.rewind(), again, "{room}");
            if again {
                assert_eq!(read(&mut replay), b"hello world");
            }
        }
    }
}
