//! The data threads, and what they are told.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::StartError;
use crate::generation::{Generation, SocketKey};
use crate::listen::{Bound, Doors};
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::worker::{Room, Worker};

/// Dropped when an order has been carried out.
type Done = mpsc::Sender<()>;

/// What a data thread is told.
pub(super) enum Order {
    /// Serve this from now on, and close these sockets.
    Serve { generation: Arc<Generation>, close: Vec<SocketKey>, done: Done },
    /// Serve these sockets too.
    Open { sockets: Vec<(SocketKey, Bound)>, done: Done },
    /// Come to an end by then.
    Drain { deadline: Duration, done: Done },
    /// End at once.
    Stop,
}

/// How the data threads are reached.
pub(super) struct Threads(Vec<UnboundedSender<Order>>);

impl Threads {
    /// Tells all threads something, and waits until all have done it.
    pub(super) fn tell(&self, mut order: impl FnMut(Done) -> Order) {
        let (done, waiting) = mpsc::channel();
        for thread in &self.0 {
            // A thread that is gone drops the order, and with it the wait for it.
            drop(thread.send(order(done.clone())));
        }
        drop(done);
        // Nothing is ever sent: this ends when the last `done` is dropped.
        while waiting.recv().is_ok() {}
    }

    /// Ends all threads; does not wait for it.
    pub(super) fn stop(&self) {
        for thread in &self.0 {
            drop(thread.send(Order::Stop));
        }
    }
}

/// Starts the data threads.
pub(super) fn start(
    settings: &Arc<Settings>,
    metrics: &[Arc<Metrics>],
    room: &Arc<Room>,
) -> Result<(Threads, Vec<JoinHandle<()>>), StartError> {
    let mut senders = Vec::new();
    let mut handles = Vec::new();
    for (number, metrics) in metrics.iter().enumerate() {
        let (sender, orders) = unbounded_channel();
        let runtime = runtime().map_err(StartError::Thread)?;
        let (settings, metrics, room) =
            (Arc::clone(settings), Arc::clone(metrics), Arc::clone(room));
        let handle = std::thread::Builder::new()
            .name(format!("fairway-data-{number}"))
            .spawn(move || {
                let worker = || Rc::new(Worker::new(settings, metrics, room));
                LocalSet::new().block_on(&runtime, async { serve(worker(), orders).await });
            })
            .map_err(StartError::Thread)?;
        senders.push(sender);
        handles.push(handle);
    }
    Ok((Threads(senders), handles))
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve(worker: Rc<Worker>, mut orders: UnboundedReceiver<Order>) {
    let doors = Rc::new(Doors::new(Rc::clone(&worker)));
    while let Some(order) = orders.recv().await {
        match order {
            Order::Serve { generation, close, done } => {
                worker.take(generation);
                let deadline = Instant::now() + worker.settings().timeouts.drain;
                doors.close(&close, deadline).await;
                drop(done);
            }
            Order::Open { sockets, done } => {
                for (key, socket) in sockets {
                    if let Err(error) = doors.open(key, socket) {
                        tracing::error!("serving {} port {}: {error}", key.address, key.port);
                    }
                }
                drop(done);
            }
            Order::Drain { deadline, done } => {
                let (worker, doors) = (Rc::clone(&worker), Rc::clone(&doors));
                // Apart from the orders, so that `Stop` can cut it short.
                drop(tokio::task::spawn_local(async move {
                    drain(&worker, &doors, deadline).await;
                    drop(done);
                }));
            }
            Order::Stop => return,
        }
    }
}

async fn drain(worker: &Worker, doors: &Doors, deadline: Duration) {
    let deadline = Instant::now() + deadline;
    worker.draining().raise(deadline);
    doors.close_all(deadline).await;
    // Connections are cut off at the deadline by themselves; a task that does not heed it has a
    // moment longer.
    let last = deadline + Duration::from_secs(1);
    if tokio::time::timeout_at(last, worker.idle()).await.is_err() {
        tracing::warn!("draining: some connections did not end in time");
    }
}
