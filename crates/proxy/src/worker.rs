//! A data thread: one current-thread runtime with its own sockets, connections, pools and counters.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::drain::DrainSignal;
use crate::generation::Generation;
use crate::metrics::{Counter, Metrics};
use crate::settings::{Limits, Settings};
use crate::upstream;

/// What a data thread's connections have in common. It never leaves its thread.
pub(crate) struct Worker {
    settings: Arc<Settings>,
    generation: RefCell<Current>,
    metrics: Arc<Metrics>,
    pool: upstream::Pool,
    draining: DrainSignal,
    tasks: Rc<Tasks>,
    room: Arc<Room>,
}

/// What there is room for in the whole process.
pub(crate) struct Room {
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) udp_sessions: Arc<Semaphore>,
    idle: Idle,
}

/// Connections that wait for a request, which make room for those that have one.
#[derive(Default)]
struct Idle {
    waiting: AtomicUsize,
    /// Its waiters are woken in the order in which they came: the longest idle one goes.
    close_one: Notify,
}

/// How soon a connection without room looks for one to take the place of again.
const ROOM_LOOK: Duration = Duration::from_millis(20);

impl Room {
    pub(crate) fn new(limits: &Limits) -> Self {
        let room = |limit: usize| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        Self {
            connections: room(limits.connections),
            udp_sessions: room(limits.udp_sessions),
            idle: Idle::default(),
        }
    }

    /// Waits for room for one more connection; while there is none, the one that is idle for the
    /// longest time is closed. Never `None`, since the semaphore is never closed.
    pub(crate) async fn connection(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(room) = Arc::clone(&self.connections).try_acquire_owned() {
                return Some(room);
            }
            if self.idle.waiting.load(Ordering::Relaxed) > 0 {
                self.idle.close_one.notify_one();
            }
            let room = Arc::clone(&self.connections).acquire_owned();
            if let Ok(room) = tokio::time::timeout(ROOM_LOOK, room).await {
                return room.ok();
            }
        }
    }

    /// Is over when an idle connection should go, to make room. Poll it only while idle.
    pub(crate) async fn wanted(&self) {
        self.idle.waiting.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(&self.idle.waiting);
        self.idle.close_one.notified().await;
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The generation that a thread serves. Clones count in the thread alone, so that threads do not
/// wait for each other's counters.
#[derive(Clone)]
#[expect(clippy::redundant_allocation, reason = "the inner count is shared between threads")]
pub(crate) struct Current(Rc<Arc<Generation>>);

impl Deref for Current {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        &self.0
    }
}

impl Worker {
    pub(crate) fn new(settings: Arc<Settings>, metrics: Arc<Metrics>, room: Arc<Room>) -> Self {
        Self {
            settings,
            generation: RefCell::new(Current(Rc::default())),
            metrics,
            pool: upstream::Pool::new(),
            draining: DrainSignal::default(),
            tasks: Rc::default(),
            room,
        }
    }

    /// Gives what bounds connections and sessions.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// Gives the generation to serve the next request by. A request keeps it to its end.
    pub(crate) fn generation(&self) -> Current {
        self.generation.borrow().clone()
    }

    /// Gives this thread's counters.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Gives this thread's idle connections to endpoints.
    pub(crate) fn pool(&self) -> &upstream::Pool {
        &self.pool
    }

    /// Gives the signal of the whole thread; a connection heeds that of its port
    /// ([`crate::downstream::Connection::drain`]), which is raised with this one too.
    pub(crate) fn draining(&self) -> &DrainSignal {
        &self.draining
    }

    /// Gives limits and default time-outs.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs a future on this thread. Draining waits for it, and stopping cuts it off.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let running = Running::new(Rc::clone(&self.tasks), Arc::clone(&self.metrics));
        // Nobody awaits the handle: `Running` tells of the end, of a panic too.
        drop(tokio::task::spawn_local(async move {
            future.await;
            drop(running);
        }));
    }

    /// Takes over the next generation.
    pub(crate) fn take(&self, generation: Arc<Generation>) {
        self.generation.replace(Current(Rc::new(generation)));
    }

    /// Waits until no spawned future is left.
    pub(crate) async fn idle(&self) {
        while self.tasks.running.get() > 0 {
            self.tasks.ended.notified().await;
        }
    }
}

#[derive(Default)]
struct Tasks {
    running: Cell<usize>,
    ended: Notify,
}

/// Counts a task for as long as it exists.
struct Running {
    tasks: Rc<Tasks>,
    metrics: Arc<Metrics>,
}

impl Running {
    fn new(tasks: Rc<Tasks>, metrics: Arc<Metrics>) -> Self {
        tasks.running.set(tasks.running.get() + 1);
        Self { tasks, metrics }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.metrics.count(Counter::Panics);
            tracing::error!("a connection's task panicked; its connection is closed");
        }
        self.tasks.running.set(self.tasks.running.get() - 1);
        if self.tasks.running.get() == 0 {
            self.tasks.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MetricsSnapshot;

    #[tokio::test]
    async fn a_panic_ends_one_task_alone_and_is_counted() {
        let metrics = Arc::new(Metrics::new());
        let settings = Arc::new(Settings::default());
        let room = Arc::new(Room::new(&settings.limits));
        let worker = Worker::new(settings, Arc::clone(&metrics), room);
        let finished = Rc::new(Cell::new(false));
        tokio::task::LocalSet::new()
            .run_until(async {
                let finished = Rc::clone(&finished);
                worker.spawn(async { panic!("a bug") });
                worker.spawn(async move { finished.set(true) });
                worker.idle().await;
            })
            .await;
        assert!(finished.get());
        let mut counts = MetricsSnapshot::default();
        counts.add(&metrics, |_| true);
        assert_eq!(counts.counter(Counter::Panics), 1);
    }

    #[tokio::test]
    async fn the_longest_idle_connection_makes_room() {
        let room = Rc::new(Room::new(&Limits { connections: 2, ..Limits::default() }));
        let closed = Rc::new(RefCell::new(Vec::new()));
        let test = async {
            for name in ["first", "second"] {
                let held = room.connection().await.expect("there is room");
                let (room, closed) = (Rc::clone(&room), Rc::clone(&closed));
                tokio::task::spawn_local(async move {
                    room.wanted().await;
                    closed.borrow_mut().push(name);
                    drop(held);
                });
                tokio::task::yield_now().await;
            }
            let third = room.connection().await;
            assert!(third.is_some());
            assert_eq!(*closed.borrow(), ["first"]);
            assert_eq!(room.connections.available_permits(), 0);
        };
        tokio::task::LocalSet::new().run_until(test).await;
    }
}
