//! Bytes both ways between two connections: each direction ends by itself (half-close), a slow
//! reader slows its writer down, and an idle pair of connections holds no buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Read at a time. Fewer, larger reads are what makes long bodies cheap.
const SCRATCH: usize = 256 * 1024;

/// How often a direction is served before others get their turn.
const TURNS: usize = 16;

thread_local! {
    /// Where bytes stand between a read and the write right after it; one for all of a thread's
    /// connections.
    static SCRATCH_SPACE: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// What came through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relayed {
    /// Bytes from the first to the second.
    pub(crate) forth: u64,
    /// Bytes from the second to the first.
    pub(crate) back: u64,
}

/// Why it came to an end.
#[derive(Debug)]
pub(crate) enum End {
    /// Both sides have finished.
    Finished,
    /// No byte came from either side for so long.
    Idle,
    /// A connection broke.
    Broken(#[expect(dead_code, reason = "for whoever logs it")] io::Error),
}

/// Copies until both directions have ended, one of them breaks, or nothing comes for `idle`.
pub(crate) async fn relay<A, B>(first: &mut A, second: &mut B, idle: Duration) -> (Relayed, End)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut forth = Direction::default();
    let mut back = Direction::default();
    let mut seen = 0;
    let mut timer = std::pin::pin!(tokio::time::sleep(idle));
    let mut last = Instant::now();
    let end = poll_fn(|task| {
        let one = forth.poll(first, second, task);
        let other = back.poll(second, first, task);
        match (one, other) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                return Poll::Ready(End::Broken(error));
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Finished),
            (Poll::Pending, _) | (_, Poll::Pending) => {}
        }
        // The timer is not moved at each byte: when it goes off, the time of the last one counts.
        let moved = forth.bytes + back.bytes;
        if moved != seen {
            seen = moved;
            last = Instant::now();
        }
        while timer.as_mut().poll(task).is_ready() {
            if last.elapsed() >= idle {
                return Poll::Ready(End::Idle);
            }
            timer.as_mut().reset(last + idle);
        }
        Poll::Pending
    })
    .await;
    (Relayed { forth: forth.bytes, back: back.bytes }, end)
}

/// One way.
#[derive(Default)]
struct Direction {
    /// What the writer did not take yet.
    left: Vec<u8>,
    at: usize,
    bytes: u64,
    unflushed: bool,
    state: State,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The reader has ended; the writer is to be told.
    Ending,
    Done,
}

impl Direction {
    fn poll<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..TURNS {
            std::task::ready!(self.write_left(writer, task))?;
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Ending => {
                    // A peer that has gone needs no end of stream.
                    let ended = std::task::ready!(Pin::new(&mut *writer).poll_shutdown(task));
                    self.state = State::Done;
                    return Poll::Ready(ended.or_else(gone));
                }
                State::Open => match self.step(reader, writer, task)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => return self.flush(writer, task),
                },
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and writes at once what was read.
    fn step<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        task: &mut Context<'_>,
    ) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SCRATCH_SPACE.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(reader).poll_read(task, &mut buffer)? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(()) => {}
            }
            let read = buffer.filled();
            if read.is_empty() {
                self.state = State::Ending;
                return Ok(Poll::Ready(()));
            }
            self.bytes += u64::try_from(read.len()).unwrap_or_default();
            self.unflushed = true;
            let written = match Pin::new(writer).poll_write(task, read)? {
                Poll::Ready(written) => written,
                Poll::Pending => 0,
            };
            self.left.extend_from_slice(read.get(written..).unwrap_or_default());
            Ok(Poll::Ready(()))
        })
    }

    fn write_left<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(left) = self.left.get(self.at..).filter(|left| !left.is_empty()) {
            let written = std::task::ready!(Pin::new(&mut *writer).poll_write(task, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at += written;
        }
        if self.at > 0 {
            self.left = Vec::new();
            self.at = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// TLS keeps what it has not sent; nothing more will push it out before the next read.
    fn flush<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unflushed && Pin::new(writer).poll_flush(task)?.is_ready() {
            self.unflushed = false;
        }
        Poll::Pending
    }
}

fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (mut client, mut inner) = duplex(16);
        let (mut outer, mut server) = duplex(16);
        let relayed = async { relay(&mut inner, &mut outer, IDLE).await.0 };
        let clients = async {
            client.write_all(&[1; 1000]).await.expect("it is read");
            client.shutdown().await.expect("it is open");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("it ends");
            answer.len()
        };
        let servers = async {
            let mut request = Vec::new();
            server.read_to_end(&mut request).await.expect("it ends");
            server.write_all(&[2; 500]).await.expect("it is read");
            server.shutdown().await.expect("it is open");
            request.len()
        };
        let (relayed, answer, request) = tokio::join!(relayed, clients, servers);
        assert_eq!((request, answer), (1000, 500));
        assert_eq!(relayed, Relayed { forth: 1000, back: 500 });
    }

    #[tokio::test]
    async fn silence_ends_it_and_bytes_put_that_off() {
        let idle = Duration::from_millis(200);
        let (mut client, mut inner) = duplex(16);
        let (mut outer, _server) = duplex(16);
        let began = Instant::now();
        let talk = async {
            tokio::time::sleep(idle / 2).await;
            client.write_all(&[1]).await.expect("it is read");
        };
        let ((relayed, end), ()) = tokio::join!(relay(&mut inner, &mut outer, idle), talk);
        assert!(matches!(end, End::Idle), "{end:?}");
        assert_eq!(relayed.forth, 1);
        assert!(began.elapsed() >= idle + idle / 2);
    }

    #[tokio::test]
    async fn a_slow_reader_holds_back_its_writer() {
        let (mut client, mut inner) = duplex(16);
        let (mut outer, _server) = duplex(16);
        let flood = async {
            let mut sent = 0;
            while client.write_all(&[0; 1024]).await.is_ok() {
                sent += 1024;
            }
            sent
        };
        let idle = Duration::from_millis(50);
        let both = async {
            let mut pair = (inner, outer);
            let end = relay(&mut pair.0, &mut pair.1, idle).await;
            inner = pair.0;
            outer = pair.1;
            drop((inner, outer));
            end
        };
        let (sent, (relayed, _)) = tokio::join!(flood, both);
        assert!(sent <= 4096 && relayed.forth <= 64, "{sent} {relayed:?}");
    }
}
