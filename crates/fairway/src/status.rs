//! `fairway status`: what a running Fairway says of itself, fetched from its admin endpoint.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::StatusArgs;
use crate::output;
use crate::run::table;

/// Larger answers than this are not read.
const LIMIT: u64 = 256 << 20;

const PATIENCE: Duration = Duration::from_secs(10);

/// # Errors
/// Nothing answers there, or not what an admin endpoint would.
pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let view = get(args.admin, "/api/gateways")?;
    output::show(&view, args.output, table::of_json)?;
    Ok(ExitCode::SUCCESS)
}

/// Fetches JSON by HTTP/1.0: one answer, until the connection closes.
fn get(admin: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let asking = || format!("asking http://{admin}{path}; is `fairway run` there?");
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE).with_context(asking)?;
    stream.set_read_timeout(Some(PATIENCE)).with_context(asking)?;
    stream.set_write_timeout(Some(PATIENCE)).with_context(asking)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(asking)?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer).with_context(asking)?;
    body(&answer).with_context(asking)
}

fn body(answer: &[u8]) -> anyhow::Result<Value> {
    let end = b"\r\n\r\n";
    let head = answer.windows(end.len()).position(|window| window == end);
    let Some((head, body)) = head.and_then(|at| answer.split_at_checked(at)) else {
        bail!("the answer is not HTTP");
    };
    let head = String::from_utf8_lossy(head);
    let first = head.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        bail!("the answer is {first:?}");
    }
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let json = body(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{\"a\":1}").expect("good");
        assert_eq!(json["a"], 1);
        assert!(body(b"HTTP/1.0 404 Not Found\r\n\r\n{}").is_err());
        assert!(body(b"SSH-2.0").is_err());
    }
}
