//! A small HTTP/1.1 client over one keep-alive connection, and a closed loop of many: each connection
//! sends its next request when it has its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(20);
/// No answer here is larger: heads are some 200 bytes, bodies too, metrics a few KiB.
const LARGEST: usize = 1 << 20;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a whole request and reads the whole answer, which has to say its length.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).context("sending a request")?;
        self.buffer.clear();
        let (status, end, length) = loop {
            self.fill()?;
            if let Some(head) = head_of(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < end + length {
            self.fill()?;
        }
        let body = self.buffer.get(end..end + length).context("an answer's end is read")?.to_vec();
        Ok(Answer { status, body })
    }

    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk).context("reading an answer")?;
        if count == 0 || self.buffer.len() > LARGEST {
            bail!("the connection ended, or the answer does not");
        }
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(())
    }
}

/// Writes a GET request.
pub(crate) fn get(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: fairway-bench\r\naccept: */*\r\n\r\n"
    )
    .into_bytes()
}

/// Gives status, length of the head and length of the body, once the head is whole.
fn head_of(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.split(' ').nth(1).context("an answer has a status")?.parse()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let length = length.context("an answer has a content-length")?;
    Ok(Some((status, end + 4, length)))
}

/// Sends `requests` over `connections` kept-alive connections and checks that each answer is a 200 with
/// a body of `body` bytes.
pub(crate) fn load(
    address: SocketAddr,
    request: &[u8],
    requests: usize,
    connections: usize,
    body: usize,
) -> Result<()> {
    let left = AtomicUsize::new(requests);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| closed_loop(address, request, &left, body)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().expect("the loop returns its errors and does not panic")
        })
    })
}

fn closed_loop(address: SocketAddr, request: &[u8], left: &AtomicUsize, body: usize) -> Result<()> {
    let mut connection = Connection::open(address)?;
    let take = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let answer = connection.exchange(request)?;
        if answer.status != 200 || answer.body.len() != body {
            bail!("{address} answered {} with {} bytes", answer.status, answer.body.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_head_says_where_its_body_ends() -> Result<()> {
        let bytes = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(head_of(bytes)?, Some((404, bytes.len() - 3, 3)));
        assert_eq!(head_of(b"HTTP/1.1 200 OK\r\n")?, None);
        assert!(head_of(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        Ok(())
    }

    #[test]
    fn a_load_counts_its_requests() -> Result<()> {
        let backend = crate::bench::backend::Backend::start()?;
        load(backend.address(), &get("a.test", "/"), 100, 4, crate::bench::backend::BODY.len())?;
        assert_eq!(backend.served(), 100);
        Ok(())
    }
}
