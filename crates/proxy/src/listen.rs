//! Where clients arrive: sockets are bound by [`Sockets`] off the data threads, one of each for
//! every thread, and accepted from by each thread for itself.

mod accept;
mod arrive;
mod bind;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

pub(crate) use accept::Doors;

use crate::generation::{Generation, SocketKey};
use crate::settings::Settings;

/// A socket that is bound and not yet served.
pub(crate) enum Bound {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// The sockets that are open, and those that could not be.
#[derive(Default)]
pub(crate) struct Sockets {
    open: BTreeMap<SocketKey, SocketAddr>,
    failed: BTreeMap<SocketKey, String>,
}

impl Sockets {
    /// Takes out the sockets that a generation does not want any more: they must be closed before
    /// others are opened, which may overlap them.
    pub(crate) fn unwanted(&mut self, generation: &Generation) -> Vec<SocketKey> {
        let gone = |key: &SocketKey| generation.port(key).is_none();
        self.failed.retain(|key, _| !gone(key));
        let unwanted: Vec<SocketKey> = self.open.keys().copied().filter(gone).collect();
        self.open.retain(|key, _| !gone(key));
        unwanted
    }

    /// Binds what a generation wants and is not open. Gives for each thread what is new.
    pub(crate) fn bind(
        &mut self,
        generation: &Generation,
        settings: &Settings,
    ) -> Vec<Vec<(SocketKey, Bound)>> {
        let mut by_thread: Vec<Vec<(SocketKey, Bound)>> = Vec::new();
        by_thread.resize_with(settings.threads, Vec::new);
        let wanted: BTreeSet<SocketKey> = generation.sockets().map(|(key, _)| *key).collect();
        for key in wanted {
            if self.open.contains_key(&key) {
                continue;
            }
            match bind::all(key, settings) {
                Ok((address, sockets)) => {
                    self.open.insert(key, address);
                    self.failed.remove(&key);
                    for (thread, socket) in by_thread.iter_mut().zip(sockets) {
                        thread.push((key, socket));
                    }
                }
                Err(why) => {
                    if self.failed.get(&key) != Some(&why) {
                        tracing::warn!("{why}");
                    }
                    self.failed.insert(key, why);
                }
            }
        }
        by_thread
    }

    /// Says whether something could not be bound and is worth another try.
    pub(crate) fn any_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Gives the real address of a socket, or why there is none.
    pub(crate) fn state(&self, key: &SocketKey) -> Result<SocketAddr, &str> {
        match self.open.get(key) {
            Some(address) => Ok(*address),
            None => Err(self.failed.get(key).map_or("not bound yet", String::as_str)),
        }
    }
}

/// Says in words for the user why a socket cannot be bound.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address in use".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; ports below 1024 need a privilege or --port-offset".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
        _ => error.to_string(),
    }
}
