//! Copies of requests that go to a second backend, whose answers are thrown away. A copy never holds
//! its original up: what it cannot take at once, it does not get.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fairway_model::GatewayId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attempt::send;
use super::deadlines::Deadlines;
use super::pump::Source;
use super::wire::WireError;
use crate::generation::{ClusterState, EndpointState};
use crate::h1::{self, Frame, Framing};
use crate::message::RequestHead;
use crate::upstream::{Destination, Lease};
use crate::worker::Worker;

/// Bytes of one copy's body that may wait.
const WAITING: usize = 1 << 20;

/// Copies at one time in one thread; more are left out.
const AT_ONCE: usize = 1024;

/// How long a copy may take.
const TIME: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read so that the connection can be used again.
const ANSWER: u64 = 1 << 20;

thread_local! {
    static COPIES: Cell<usize> = const { Cell::new(0) };
}

/// What hears a request's body too.
pub(crate) struct Tap {
    pieces: mpsc::UnboundedSender<Piece>,
    /// Bytes that wait.
    waiting: Rc<Cell<usize>>,
    broken: bool,
}

enum Piece {
    Data(Bytes),
    End,
}

impl Tap {
    /// Passes on a piece. A copy that is too slow is cut off.
    pub(crate) fn data(&mut self, data: &Bytes) {
        let waiting = self.waiting.get() + data.len();
        self.broken |= waiting > WAITING;
        if !self.broken {
            self.waiting.set(waiting);
            self.broken = self.pieces.send(Piece::Data(data.clone())).is_err();
        }
    }

    /// Says that the body is whole.
    pub(crate) fn end(self) {
        if !self.broken {
            // A copy that has ended before does not care.
            self.pieces.send(Piece::End).unwrap_or_default();
        }
    }
}

/// A copy's body.
struct Copy {
    pieces: mpsc::UnboundedReceiver<Piece>,
    waiting: Rc<Cell<usize>>,
    ended: bool,
}

impl Source for Copy {
    fn poll_frame(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Frame>, WireError>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        match std::task::ready!(self.pieces.poll_recv(task)) {
            Some(Piece::Data(data)) => {
                self.waiting.set(self.waiting.get().saturating_sub(data.len()));
                Poll::Ready(Ok(Some(Frame::Data(data))))
            }
            Some(Piece::End) => {
                self.ended = true;
                Poll::Ready(Ok(None))
            }
            None => Poll::Ready(Err(h1::Error::Truncated.into())),
        }
    }
}

/// Counts a copy under way.
struct Counted;

impl Counted {
    fn new() -> Option<Self> {
        COPIES.with(|copies| {
            let count = copies.get();
            (count < AT_ONCE).then(|| copies.set(count + 1)).map(|()| Self)
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COPIES.with(|copies| copies.set(copies.get().saturating_sub(1)));
    }
}

/// Where a copy goes.
pub(crate) struct Target {
    pub(crate) cluster: Arc<ClusterState>,
    pub(crate) endpoint: Arc<EndpointState>,
    pub(crate) gateway: GatewayId,
}

/// Starts a copy of a request, ready to be sent as it is.
pub(crate) fn start(
    worker: &Rc<Worker>,
    target: Target,
    head: &RequestHead,
    framing: Framing,
) -> Option<Tap> {
    let counted = Counted::new()?;
    let (pieces, receiver) = mpsc::unbounded_channel();
    let waiting = Rc::new(Cell::new(0));
    let copy = Copy { pieces: receiver, waiting: Rc::clone(&waiting), ended: false };
    let mut head = head.clone();
    head.upgrade = None;
    let on = Rc::clone(worker);
    worker.spawn(async move {
        let run = Box::pin(run(&on, target, head, framing, copy));
        if tokio::time::timeout(TIME, run).await.is_err() {
            tracing::debug!("a mirrored request was cut off");
        }
        drop(counted);
    });
    Some(Tap { pieces, waiting, broken: false })
}

async fn run(worker: &Worker, target: Target, head: RequestHead, framing: Framing, copy: Copy) {
    let destination = Destination::new(&target.cluster, &target.endpoint, &target.gateway, false);
    let Ok(destination) = destination else { return };
    let (settings, metrics) = (worker.settings(), worker.metrics());
    let lease = worker.pool().lease(&destination, false, settings, metrics).await;
    let Ok(mut lease) = lease else { return };
    if exchange(&mut lease, &head, framing, copy).await.is_some() {
        lease.give_back();
    }
}

/// Sends a copy and reads what comes; `None` when the connection is of no more use.
async fn exchange(
    lease: &mut Lease,
    head: &RequestHead,
    framing: Framing,
    mut copy: Copy,
) -> Option<()> {
    let (mut out, mut reception) = lease.begin(head, framing).await.ok()?;
    let deadlines = Deadlines {
        request: None,
        attempt: None,
        head: Cell::new(None),
        closed: Cell::new(None),
        idle: TIME,
        moved: Cell::new(Instant::now()),
        on_client: Cell::new(false),
        body: TIME,
        owed: Cell::new(None),
    };
    send(&mut copy, &mut out, &deadlines).await.ok()?;
    let answer = loop {
        let answer = std::future::poll_fn(|task| reception.poll_head(task)).await.ok()?;
        if !answer.head.status.is_interim() {
            break answer;
        }
    };
    let mut incoming = reception.into_body(answer.framing);
    let mut read = 0;
    while let Some(frame) = std::future::poll_fn(|task| incoming.poll_frame(task)).await.ok()? {
        read += match frame {
            Frame::Data(data) => u64::try_from(data.len()).unwrap_or_default(),
            Frame::Trailers(_) => 0,
        };
        if read > ANSWER {
            return None;
        }
    }
    (answer.keep_alive && copy.ended).then_some(())
}
