//! The sockets that one data thread serves: opened and closed while it runs, without touching others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Bound, arrive};
use crate::drain::DrainSignal;
use crate::generation::{Port, SocketKey};
use crate::metrics::Counter;
use crate::stream::udp;
use crate::worker::Worker;

/// How long `accept` rests when the process or the machine has run out of something.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The sockets of a data thread.
pub(crate) struct Doors {
    worker: Rc<Worker>,
    open: RefCell<BTreeMap<SocketKey, Door>>,
}

struct Door {
    /// Answered once nothing more is taken from the socket, and it is closed.
    close: oneshot::Sender<oneshot::Sender<()>>,
    drain: DrainSignal,
}

impl Doors {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        Self { worker, open: RefCell::default() }
    }

    /// Begins to serve a socket.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub(crate) fn open(&self, key: SocketKey, socket: Bound) -> io::Result<()> {
        let (close, closing) = oneshot::channel();
        let drain = self.worker.draining().child();
        let Some(port) = self.worker.generation().port(&key).cloned() else { return Ok(()) };
        let worker = Rc::clone(&self.worker);
        match socket {
            Bound::Tcp(socket) => {
                let entrance = Entrance {
                    socket: TcpListener::from_std(socket)?,
                    key,
                    port: RefCell::new(port),
                    worker,
                    drain: drain.clone(),
                };
                drop(tokio::task::spawn_local(entrance.serve(closing)));
            }
            Bound::Udp(socket) => {
                let socket = UdpSocket::from_std(socket)?;
                let door = udp::Door::new(socket, key, port, worker, drain.clone());
                drop(tokio::task::spawn_local(door.serve(closing)));
            }
        }
        self.open.borrow_mut().insert(key, Door { close, drain });
        Ok(())
    }

    /// Takes what still waits on these sockets and closes them; their connections have until
    /// `deadline`.
    pub(crate) async fn close(&self, keys: &[SocketKey], deadline: Instant) {
        let mut closed = Vec::new();
        for key in keys {
            let Some(door) = self.open.borrow_mut().remove(key) else { continue };
            let (answer, answered) = oneshot::channel();
            if door.close.send(answer).is_ok() {
                closed.push((door.drain, answered));
            }
        }
        for (drain, answered) in closed {
            // An error means that the socket's task is gone, and the socket with it.
            drop(answered.await);
            drain.raise(deadline);
        }
    }

    /// Does that with all sockets.
    pub(crate) async fn close_all(&self, deadline: Instant) {
        let keys: Vec<SocketKey> = self.open.borrow().keys().copied().collect();
        self.close(&keys, deadline).await;
    }
}

/// One listening socket of one thread.
struct Entrance {
    socket: TcpListener,
    key: SocketKey,
    /// What it speaks for; the last answer, in case that nothing wants it any more.
    port: RefCell<Arc<Port>>,
    worker: Rc<Worker>,
    drain: DrainSignal,
}

impl Entrance {
    async fn serve(self, mut closing: oneshot::Receiver<oneshot::Sender<()>>) {
        loop {
            tokio::select! {
                biased;
                closed = &mut closing => {
                    self.close();
                    if let Ok(answer) = closed {
                        // Nobody may be waiting any more.
                        answer.send(()).unwrap_or_default();
                    }
                    return;
                }
                accepted = self.accept() => match accepted {
                    Ok((io, peer)) => self.arrive(io, peer).await,
                    Err(error) => self.rest(&error).await,
                },
            }
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }

    /// Serves a connection; waits first while there is no room, and so accepts no other.
    async fn arrive(&self, io: TcpStream, peer: SocketAddr) {
        let Some(room) = self.worker.room().connection().await else { return };
        let port = self.port();
        arrive::connection(&self.worker, io, peer, port, self.drain.clone(), room);
    }

    fn port(&self) -> Arc<Port> {
        if let Some(port) = self.worker.generation().port(&self.key) {
            self.port.replace(Arc::clone(port));
        }
        Arc::clone(&self.port.borrow())
    }

    async fn rest(&self, error: &io::Error) {
        let one_connection = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        );
        if one_connection {
            return;
        }
        self.worker.metrics().count(Counter::AcceptErrors);
        tracing::warn!("accepting on {} port {}: {error}", self.key.address, self.key.port);
        tokio::time::sleep(EXHAUSTED).await;
    }

    /// Accepts what the kernel has already promised to clients: closing would reset it. The
    /// runtime may not have heard of all of it yet, so the kernel itself is asked.
    fn close(self) {
        let Self { socket, key, port, worker, drain } = self;
        let Ok(socket) = socket.into_std() else { return };
        let port = worker.generation().port(&key).cloned().unwrap_or_else(|| port.into_inner());
        while let Ok((io, peer)) = socket.accept() {
            let accepted = io.set_nonblocking(true).and_then(|()| TcpStream::from_std(io));
            let room = Arc::clone(&worker.room().connections).try_acquire_owned();
            let (Ok(io), Ok(room)) = (accepted, room) else { continue };
            arrive::connection(&worker, io, peer, Arc::clone(&port), drain.clone(), room);
        }
    }
}
