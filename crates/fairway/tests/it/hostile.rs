//! Hostile clients: each is refused or bounded, memory stays bounded, and others are served meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::rig::{Loopback, Process, poll, shop};
use crate::wire::{Connection, get};

const HOST: &str = "shop.example.test";
/// What needs no backend.
const PATH: &str = "/robots.txt";

/// Memory that all of this may cost the process, in KiB.
const BOUND: u64 = 192 * 1024;

fn start() -> (Process, SocketAddr, tempfile::TempDir) {
    let (at, state) = (Loopback::new(), tempfile::tempdir().expect("a folder"));
    let process = Process::run(&shop(), &at, state.path(), &[]);
    let to = at.bound(80);
    poll("the first answer", || get(to, HOST, PATH).ok().filter(|answer| answer.status == 200));
    (process, to, state)
}

fn others_are_served(to: SocketAddr) {
    let answer = get(to, HOST, PATH).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Resident memory in KiB.
fn memory(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Sends bytes and gives the status; none when the connection was closed without one.
fn status(to: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut connection = Connection::open(to).expect("it listens");
    // The other side may have closed before it was all sent: that is the point.
    connection.send(bytes).unwrap_or_default();
    connection.answer().ok().map(|answer| answer.status)
}

#[test]
fn oversized_and_ambiguous_requests_are_refused() {
    let (mut process, to, _state) = start();
    let before = memory(&process);
    let head = format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n");
    let many: String = (0..100_000).map(|nth| format!("x-{nth}: 1\r\n")).collect();
    let vectors: [(&str, Vec<u8>, &[u16]); 8] = [
        ("a header of 1 MiB", format!("{head}x: {}\r\n\r\n", "a".repeat(1 << 20)).into(), &[431]),
        (
            "a request line of 1 MiB",
            format!("GET /{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", "a".repeat(1 << 20)).into(),
            &[414, 431],
        ),
        ("100,000 headers", format!("{head}{many}\r\n").into(), &[431]),
        ("bare line feeds", format!("GET {PATH} HTTP/1.1\nHost: {HOST}\n\n").into(), &[400]),
        (
            "two framings",
            format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                .into(),
            &[400],
        ),
        (
            "two lengths",
            format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n").into(),
            &[400],
        ),
        ("a folded header", format!("{head}x: a\r\n b\r\n\r\n").into(), &[400]),
        ("no host", format!("GET {PATH} HTTP/1.1\r\n\r\n").into(), &[400]),
    ];
    for (what, bytes, expected) in vectors {
        // Some systems throw an answer away when more arrives after the connection was closed.
        if let Some(status) = status(to, &bytes) {
            assert!(expected.contains(&status), "{what}: {status}");
        }
        others_are_served(to);
        assert!(process.is_alive(), "{what} ended the process");
    }
    assert_eq!(status(to, format!("GET {PATH} HTTP/1.1\nHost: {HOST}\n\n").as_bytes()), Some(400));
    let grown = memory(&process).saturating_sub(before);
    assert!(grown < BOUND, "grown by {grown} KiB");
}

#[test]
fn slow_headers_and_idle_connections_hold_nobody_up() {
    let (mut process, to, _state) = start();
    let before = memory(&process);
    let mut slow = Connection::open(to).expect("it listens");
    slow.send(b"GET / HTTP/1.1\r\n").expect("sent");
    let began = Instant::now();

    let idle = idle_connections(to);
    println!("{} idle connections", idle.len());
    assert!(idle.len() > 200, "only {} connections could be opened", idle.len());
    let fast = Instant::now();
    others_are_served(to);
    assert!(fast.elapsed() < Duration::from_secs(5), "{:?}", fast.elapsed());
    let grown = memory(&process).saturating_sub(before);
    assert!(grown < BOUND, "grown by {grown} KiB");

    // One byte after the other never extends the time for a head.
    let mut closed = false;
    while !closed && began.elapsed() < Duration::from_secs(25) {
        std::thread::sleep(Duration::from_millis(250));
        closed = slow.send(b"x").is_err();
    }
    assert!(closed, "a head may take for ever");
    others_are_served(to);
    assert!(process.is_alive());
}

/// Opens 10,000, or as many as this process may.
fn idle_connections(to: SocketAddr) -> Vec<Connection> {
    let limits = fs::read_to_string("/proc/self/limits").expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let soft = line.split_whitespace().nth(3).and_then(|number| number.parse::<usize>().ok());
    let wanted = soft.unwrap_or(usize::MAX).saturating_sub(300).min(10_000);
    (0..wanted).map_while(|_| Connection::open(to).ok()).collect()
}
