//! SIGINT and SIGTERM, counted: the first asks to end in good order, the second at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// See the module.
pub(crate) struct Signals(watch::Receiver<u32>);

impl Signals {
    /// Takes over both signals for the rest of the process' life.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (count, counted) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(counted))
    }

    /// Waits until so many signals have come.
    pub(crate) fn at_least(&self, wanted: u32) -> impl Future<Output = ()> + use<> {
        let mut counted = self.0.clone();
        async move {
            if counted.wait_for(|count| *count >= wanted).await.is_err() {
                // The runtime is ending, and whoever waits with it.
                std::future::pending::<()>().await;
            }
        }
    }
}
