//! A client's first message, read before it is known who will answer it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Read at a time. A ClientHello with post-quantum key shares has about 1,800 bytes.
const READ: usize = 4096;

/// A ClientHello with all bytes that came until its end was seen.
pub(crate) struct Hello {
    /// What the client asked for, lower case, without the final dot.
    pub(crate) server_name: Option<Arc<str>>,
    accepted: Accepted,
    /// Everything read from the client, for a backend that ends TLS itself.
    bytes: Vec<u8>,
    /// How much of `bytes` the ClientHello did not take.
    rest: usize,
}

impl Hello {
    /// Reads until the ClientHello is whole, into however many records and packets it is cut. The
    /// caller sets the time for it; rustls bounds its size.
    ///
    /// # Errors
    /// The connection failed or ended, or it is not TLS. Nothing is written to the client.
    pub(crate) async fn read(io: &TcpStream) -> io::Result<Self> {
        let mut acceptor = Acceptor::default();
        let mut bytes: Vec<u8> = Vec::new();
        let mut fed = 0;
        loop {
            io.readable().await?;
            if !take(io, &mut bytes)? {
                continue;
            }
            while let Some(mut unfed) = bytes.get(fed..).filter(|unfed| !unfed.is_empty()) {
                let taken = acceptor.read_tls(&mut unfed)?;
                if taken == 0 {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                fed += taken;
                let accepted = acceptor.accept();
                let accepted = accepted.map_err(|(error, _)| io::Error::other(error))?;
                if let Some(accepted) = accepted {
                    let name = accepted.client_hello().server_name().map(canonical);
                    let rest = bytes.len() - fed;
                    return Ok(Self { server_name: name, accepted, bytes, rest });
                }
            }
        }
    }

    /// Gives what TLS goes on from, and what follows the ClientHello.
    pub(crate) fn terminate<IO>(mut self, io: IO) -> (Accepted, Prefixed<IO>) {
        self.bytes.drain(..self.bytes.len() - self.rest);
        (self.accepted, Prefixed { prefix: self.bytes, at: 0, io })
    }

    /// Gives all bytes that the client has sent.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes what is there; says whether there was anything. No buffer waits for the bytes.
fn take(io: &TcpStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; READ];
    match io.try_read(&mut buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => {
            bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn canonical(name: &str) -> Arc<str> {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into()
}

/// A connection from which some bytes were already read.
pub(crate) struct Prefixed<IO> {
    prefix: Vec<u8>,
    at: usize,
    io: IO,
}

impl<IO> Prefixed<IO> {
    /// Puts bytes before what `io` will give.
    pub(crate) fn new(prefix: Vec<u8>, io: IO) -> Self {
        Self { prefix, at: 0, io }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Prefixed<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = this.prefix.get(this.at..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut this.io).poll_read(task, buffer);
        }
        let take = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..take).unwrap_or_default());
        this.at += take;
        if this.at == this.prefix.len() {
            // Most connections live much longer than their first bytes.
            this.prefix = Vec::new();
            this.at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Prefixed<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(task)
    }
}
