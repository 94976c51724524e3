//! What whoever runs the data plane may set: threads, ports, limits and time-outs that no route sets.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How the data plane runs. [`Settings::default`] is meant for production.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Data threads, at least 1. Default: one for each core this process may use.
    pub threads: usize,
    /// Bound instead of the gateways' own addresses, also while a gateway has none: in a pod, whose
    /// address is not the gateway's. Default: none.
    pub addresses: Option<Vec<IpAddr>>,
    /// Binds [`container_port`](fairway_model::listener::container_port) instead of each declared
    /// port, since those below 1024 need a privilege. Default: no.
    pub container_ports: bool,
    /// Added to each declared port to get the port that is bound. Default: 0.
    pub port_offset: u16,
    /// Binds a port of the kernel's choice instead of each declared one; [`crate::Proxy::bound`]
    /// says which. For tests. Default: no.
    pub ephemeral_ports: bool,
    /// What clients can make grow.
    pub limits: Limits,
    /// How long is waited where no route says otherwise.
    pub timeouts: DefaultTimeouts,
    /// Where the access log goes. Default: nowhere.
    pub access_log: AccessLog,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            addresses: None,
            container_ports: false,
            port_offset: 0,
            ephemeral_ports: false,
            limits: Limits::default(),
            timeouts: DefaultTimeouts::default(),
            access_log: AccessLog::default(),
        }
    }
}

/// Bounds of what clients can make grow. All are per process unless they say otherwise.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of clients at one time; more wait in the kernel's queue. Default: 100,000, or
    /// half of the files that this process may open, if that is less.
    pub connections: usize,
    /// Sessions of UDP at one time; datagrams that would begin one more are dropped.
    /// Default: 65,536.
    pub udp_sessions: usize,
    /// Bytes of a request's head: its first line and all its fields. Default: 64 KiB.
    pub header_bytes: usize,
    /// Fields of a request's head, and of its trailers. Default: 128.
    pub header_fields: usize,
    /// Bytes of a request target. Default: 16 KiB.
    pub target_bytes: usize,
    /// Streams of one HTTP/2 connection at one time. Default: 128.
    pub http2_streams: u32,
    /// Requests on one client connection before it is closed in good order. Default: 1,000,000.
    pub requests_per_connection: u64,
    /// Idle connections to one endpoint that each thread keeps. Default: 128.
    pub idle_upstreams: usize,
    /// Bytes of a request body that are kept so that the request can be tried again.
    /// Default: 64 KiB.
    pub replay_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            udp_sessions: 65_536,
            header_bytes: 64 * 1024,
            header_fields: 128,
            target_bytes: 16 * 1024,
            http2_streams: 128,
            requests_per_connection: 1_000_000,
            idle_upstreams: 128,
            replay_bytes: 64 * 1024,
        }
    }
}

/// Time-outs that hold where no route sets its own.
#[derive(Clone, Debug)]
pub struct DefaultTimeouts {
    /// From a connection's first moment to the end of its TLS handshake, however its bytes are cut
    /// up. Default: 10 s.
    pub handshake: Duration,
    /// From a request's first byte to the end of its head, not extended by bytes. Default: 10 s.
    pub header: Duration,
    /// In which a client must send at least 4 KiB of a body whose length it has announced, as long as
    /// it is the client that is waited for. Default: 30 s.
    pub body: Duration,
    /// Between two requests of a client's connection. Default: 75 s.
    pub keep_alive: Duration,
    /// Between two reads or writes of a body, and of a tunnel's bytes in either direction.
    /// Default: 5 min.
    pub idle: Duration,
    /// Until a connection to an endpoint stands, its TLS handshake included. Default: 5 s.
    pub connect: Duration,
    /// For how long an idle connection to an endpoint is kept. Default: 60 s.
    pub idle_upstream: Duration,
    /// Without bytes in either direction, of a TCP or TLS listener's connection. Default: 1 h.
    pub stream_idle: Duration,
    /// Without a datagram in either direction, of a UDP session. Default: 60 s.
    pub udp_idle: Duration,
    /// How long the connections of a port that is listened on no more may go on. Default: 30 s.
    pub drain: Duration,
    /// Between two tries to bind a port that was in use. Default: 2 s.
    pub bind_retry: Duration,
}

impl Default for DefaultTimeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            idle: Duration::from_secs(5 * 60),
            connect: Duration::from_secs(5),
            idle_upstream: Duration::from_secs(60),
            stream_idle: Duration::from_secs(60 * 60),
            udp_idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            bind_retry: Duration::from_secs(2),
        }
    }
}

/// Where the access log goes.
#[derive(Clone, Default)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    Off,
    /// Each line, without its end, to this function. All data threads call it, so it must not block;
    /// [`AccessLog::to_writer`] makes one that does not.
    Lines(LogFormat, Arc<dyn Fn(&str) + Send + Sync>),
}

/// How a request is told in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The combined log format; behind it `name=value` for duration, route, endpoint and failure.
    Combined,
    /// A JSON object.
    Json,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Lines(..) => "Lines",
        })
    }
}
