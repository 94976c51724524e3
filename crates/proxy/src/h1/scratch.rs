//! Read and write buffers that are shared by all connections of a thread, so that a connection that
//! waits holds none.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

thread_local! {
    static READ: Cell<BytesMut> = Cell::default();
    static WRITE: Cell<BytesMut> = Cell::default();
}

/// The largest write buffer that is kept for the next message, in bytes.
const KEPT: usize = 64 << 10;

/// What was read up to this size is copied out, so that a few bytes never hold a large buffer.
const COPIED: usize = 16 << 10;

/// Reads once, at most `want` bytes, and adds them to `buffer`; 0 bytes mean the end. Takes no memory
/// while nothing has come.
pub(super) fn poll_read<R: AsyncRead + Unpin>(
    io: &mut R,
    cx: &mut Context<'_>,
    want: usize,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    // Taken out meanwhile, so that a stream that reads through a reader of its own finds another one.
    let mut scratch = READ.take();
    scratch.clear();
    scratch.reserve(want);
    let mut limited = (&mut scratch).limit(want);
    // A new future for every poll is right: `read_buf` has no state of its own.
    let outcome = pin!(io.read_buf(&mut limited)).poll(cx);
    if let Poll::Ready(Ok(count)) = &outcome {
        if buffer.is_empty() && *count > COPIED {
            *buffer = scratch.split();
        } else {
            buffer.extend_from_slice(&scratch);
        }
    }
    READ.set(scratch);
    outcome
}

/// Gives an empty write buffer.
pub(super) fn take() -> BytesMut {
    WRITE.take()
}

/// Takes a write buffer back.
pub(super) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if (1..=KEPT).contains(&buffer.capacity()) {
        WRITE.set(buffer);
    }
}
