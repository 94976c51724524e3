//! A client's connection on its way to who serves it: by its port, and with TLS by its server name.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use fairway_model::filter::Scheme;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use crate::downstream;
use crate::drain::DrainSignal;
use crate::generation::{ListenerMode, ListenerState, Port, PortKind};
use crate::metrics::Counter;
use crate::stream::tcp;
use crate::tls::{Hello, Prefixed};
use crate::worker::Worker;

/// Begins to serve a connection that was accepted on a port.
pub(super) fn connection(
    worker: &Rc<Worker>,
    io: TcpStream,
    peer: SocketAddr,
    port: Arc<Port>,
    drain: DrainSignal,
    room: OwnedSemaphorePermit,
) {
    // A client that has gone already has no address here.
    let arrival = Arrival { worker: Rc::clone(worker), peer, port, drain };
    let kind = arrival.port.kind;
    match kind {
        PortKind::Http => spawn(arrival, room, |arrival| arrival.http(io)),
        PortKind::Tls => spawn(arrival, room, |arrival| arrival.tls(io)),
        // Datagrams have no connections.
        PortKind::Tcp | PortKind::Udp => spawn(arrival, room, |arrival| arrival.tcp(io)),
    }
}

/// Each kind of port has a future of its own size, so that an idle connection takes no more than
/// its own kind needs.
fn spawn<F: Future<Output = ()> + 'static>(
    arrival: Arrival,
    room: OwnedSemaphorePermit,
    serve: impl FnOnce(Arrival) -> F,
) {
    let worker = Rc::clone(&arrival.worker);
    let drain = arrival.drain.clone();
    // Boxed, since a future that is awaited in another takes its room there twice.
    let serving = Box::pin(serve(arrival));
    let open = Open::new(Rc::clone(&worker), room);
    worker.spawn(async move {
        tokio::select! {
            biased;
            () = serving => {}
            () = drain.expired() => open.worker.metrics().count(Counter::ConnectionsAborted),
        }
        drop(open);
    });
}

/// Counts a connection for as long as it is open.
struct Open {
    worker: Rc<Worker>,
    _room: OwnedSemaphorePermit,
}

impl Open {
    fn new(worker: Rc<Worker>, room: OwnedSemaphorePermit) -> Self {
        worker.metrics().count(Counter::Connections);
        Self { worker, _room: room }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.metrics().count(Counter::ConnectionsEnded);
    }
}

/// A connection that has arrived.
struct Arrival {
    worker: Rc<Worker>,
    peer: SocketAddr,
    port: Arc<Port>,
    drain: DrainSignal,
}

impl Arrival {
    async fn http(self, io: TcpStream) {
        let connection = downstream::Connection {
            peer: self.peer,
            gateway: self.port.gateway.clone(),
            port: self.port.number,
            scheme: Scheme::Http,
            listener: None,
            server_name: None,
            alpn_h2: false,
            drain: self.drain,
        };
        downstream::serve(io, connection, self.worker).await;
    }

    async fn tcp(self, io: TcpStream) {
        let generation = self.worker.generation();
        let listener = self.port.listeners.first().and_then(|id| generation.listener(id)).cloned();
        drop(generation);
        let Some(listener) = listener else { return };
        let client = self.client(listener, None);
        if let Some(target) = client.target(&self.worker) {
            tcp::serve(io, client, target, &self.worker).await;
        }
    }

    /// Reads the ClientHello and lets the listener that it means go on. Without one the
    /// connection just ends: an alert would tell a stranger that TLS is spoken here, and Gateway
    /// API's conformance tests ask for the end of the stream.
    ///
    /// Each step is boxed: most connections are idle in the last one, and should not take the
    /// room that the largest needs.
    async fn tls(self, io: TcpStream) {
        let deadline = Instant::now() + self.worker.settings().timeouts.handshake;
        let hello = Box::pin(tokio::time::timeout_at(deadline, Hello::read(&io))).await;
        let Ok(Ok(hello)) = hello else { return self.handshake_failed() };
        let Some(listener) = self.listener(hello.server_name.as_deref()) else {
            return self.handshake_failed();
        };
        match listener.mode.clone() {
            ListenerMode::Https(config) => {
                Box::pin(self.https(io, hello, &listener, (config, deadline))).await;
            }
            ListenerMode::TlsTerminate(config) => {
                Box::pin(self.terminated(io, hello, listener, (config, deadline))).await;
            }
            ListenerMode::TlsPassthrough => {
                let client = self.client(listener, hello.server_name.clone());
                let Some(target) = client.target(&self.worker) else { return };
                let io = Prefixed::new(hello.into_bytes(), io);
                Box::pin(tcp::serve(io, client, target, &self.worker)).await;
            }
            ListenerMode::Refused(_) => self.handshake_failed(),
            // Not on a port of TLS, which a generation has checked.
            ListenerMode::Http | ListenerMode::Tcp | ListenerMode::Udp => {}
        }
    }

    fn listener(&self, server_name: Option<&str>) -> Option<Arc<ListenerState>> {
        let generation = self.worker.generation();
        let port = generation.table.port(self.port.gateway.as_str(), self.port.number)?;
        let id = port.listener_for_server_name(server_name)?.id();
        generation.listener(id).cloned()
    }

    async fn handshake(
        &self,
        io: TcpStream,
        hello: Hello,
        (config, deadline): (Arc<ServerConfig>, Instant),
    ) -> Option<TlsStream<Prefixed<TcpStream>>> {
        let (accepted, io) = hello.terminate(io);
        let accept = StartHandshake::from_parts(accepted, io).into_stream(config);
        let Ok(Ok(io)) = tokio::time::timeout_at(deadline, accept).await else {
            self.handshake_failed();
            return None;
        };
        self.worker.metrics().count(Counter::TlsHandshakes);
        Some(io)
    }

    fn handshake_failed(&self) {
        self.worker.metrics().count(Counter::TlsFailures);
    }

    async fn https(
        self,
        io: TcpStream,
        hello: Hello,
        listener: &ListenerState,
        how: (Arc<ServerConfig>, Instant),
    ) {
        let server_name = hello.server_name.clone();
        let Some(io) = Box::pin(self.handshake(io, hello, how)).await else { return };
        let alpn_h2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
        let connection = downstream::Connection {
            peer: self.peer,
            gateway: self.port.gateway.clone(),
            port: self.port.number,
            scheme: Scheme::Https,
            listener: Some(listener.id.clone()),
            server_name,
            alpn_h2,
            drain: self.drain,
        };
        downstream::serve(io, connection, self.worker).await;
    }

    /// What leads nowhere is closed before the handshake, like an unknown server name: afterwards
    /// the client would take it for a backend that hangs up.
    async fn terminated(
        self,
        io: TcpStream,
        hello: Hello,
        listener: Arc<ListenerState>,
        how: (Arc<ServerConfig>, Instant),
    ) {
        let client = self.client(listener, hello.server_name.clone());
        let Some(target) = client.target(&self.worker) else { return };
        if let Some(io) = Box::pin(self.handshake(io, hello, how)).await {
            tcp::serve(io, client, target, &self.worker).await;
        }
    }

    fn client(&self, listener: Arc<ListenerState>, server_name: Option<Arc<str>>) -> tcp::Client {
        tcp::Client { peer: self.peer, listener, server_name }
    }
}
