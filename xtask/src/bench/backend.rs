//! The backend of every benchmark: one fixed answer of 128 bytes over kept-alive connections. It runs
//! inside the benchmark's process, so its time is never counted as a proxy's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

pub(crate) const BODY: [u8; 128] = [b'x'; 128];

pub(crate) struct Backend {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
}

impl Backend {
    /// Starts listening on a free port. Its threads end with the process.
    pub(crate) fn start() -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding the backend")?;
        let address = listener.local_addr()?;
        let served = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || answer_all(stream, &counter));
            }
        });
        Ok(Self { address, served })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives how many requests were answered so far.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

/// Answers until the connection ends. Requests here have no body and are never pipelined, so one ends
/// where the bytes that have come end with an empty line.
fn answer_all(mut stream: TcpStream, served: &AtomicUsize) {
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 128\r\n\r\n".to_vec();
    answer.extend_from_slice(&BODY);
    // Without it each small answer waits for the peer's delayed acknowledgement.
    let mut goes_on = stream.set_nodelay(true).is_ok();
    let mut chunk = [0; 4096];
    let mut tail = Vec::new();
    while goes_on {
        let Ok(count @ 1..) = stream.read(&mut chunk) else { return };
        tail.extend_from_slice(&chunk[..count]);
        if tail.ends_with(b"\r\n\r\n") {
            tail.clear();
            served.fetch_add(1, Ordering::Relaxed);
            goes_on = stream.write_all(&answer).is_ok();
        }
    }
}
