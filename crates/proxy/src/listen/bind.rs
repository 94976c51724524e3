//! Binding: for each data thread a socket of its own on the same address (`SO_REUSEPORT`), among
//! which the kernel spreads clients.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use fairway_model::listener::container_port;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::{Bound, reason};
use crate::generation::{SocketKey, Transport};
use crate::settings::Settings;

/// Connections that wait for `accept`; the kernel takes less if `net.core.somaxconn` says so.
const BACKLOG: i32 = 4096;

/// Bytes of datagrams that wait to be read. The kernel takes less if `net.core.rmem_max` says so.
const DATAGRAM_BUFFER: usize = 1 << 20;

/// Binds one socket for each thread; all or none.
///
/// # Errors
/// Says which address could not be bound and why, in words for the user.
pub(super) fn all(key: SocketKey, settings: &Settings) -> Result<(SocketAddr, Vec<Bound>), String> {
    let port = if settings.ephemeral_ports {
        0
    } else {
        let port = if settings.container_ports { container_port(key.port) } else { key.port };
        port.checked_add(settings.port_offset).ok_or_else(|| {
            format!("binding {} port {}: the port offset leads past 65535", key.address, key.port)
        })?
    };
    let address = SocketAddr::new(key.address, port);
    let transport = match key.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    attempt(address, key.transport, settings.threads)
        .map_err(|error| format!("binding {transport} {address}: {}", reason(&error)))
}

fn attempt(
    address: SocketAddr,
    transport: Transport,
    threads: usize,
) -> io::Result<(SocketAddr, Vec<Bound>)> {
    // Another process of the same user that sets SO_REUSEPORT would share its clients with us
    // without a word. A socket that does not set it finds out.
    let probe = socket(address, transport)?;
    probe.bind(&address.into())?;
    let real = probe.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    drop(probe);
    let mut sockets = Vec::with_capacity(threads);
    for _ in 0..threads {
        let socket = socket(address, transport)?;
        socket.set_reuse_port(true)?;
        socket.bind(&real.into())?;
        sockets.push(socket);
    }
    let open = |socket: Socket| match transport {
        Transport::Tcp => {
            // Both are inherited by the connections that are accepted from it. A peer that has
            // vanished without a word is found out after two minutes.
            socket.set_tcp_nodelay(true)?;
            socket.set_tcp_keepalive(&keepalive())?;
            socket.listen(BACKLOG)?;
            Ok(Bound::Tcp(socket.into()))
        }
        Transport::Udp => {
            // Best effort: more room only means fewer datagrams lost in a burst.
            drop(socket.set_recv_buffer_size(DATAGRAM_BUFFER));
            Ok(Bound::Udp(socket.into()))
        }
    };
    let sockets: io::Result<Vec<Bound>> = sockets.into_iter().map(open).collect();
    Ok((real, sockets?))
}

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4)
}

fn socket(address: SocketAddr, transport: Transport) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `::` and `0.0.0.0` are two addresses of a gateway like any others.
        socket.set_only_v6(true)?;
    }
    if transport == Transport::Tcp {
        // Connections of an earlier process that linger in TIME_WAIT are no reason not to start.
        socket.set_reuse_address(true)?;
    }
    Ok(socket)
}
