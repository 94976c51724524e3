//! A request on its way to a backend: endpoints are chosen, attempts made and repeated, what is
//! learnt of the endpoints is kept.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bytes::Bytes;
use fairway_model::GatewayId;
use fairway_model::policy::Millis;
use fairway_model::route::Forward;
use tokio::time::Instant;

use super::attempt::{Attempt, Failed, Outcome};
use super::deadlines::Deadlines;
use super::exchange::{After, Exchange};
use super::mirror::Tap;
use super::passage::Passage;
use super::replay::Replay;
use super::wire::Incoming;
use crate::balance;
use crate::failure::{Blame, Failure};
use crate::generation::{ClusterState, EndpointState};
use crate::h1::Framing;
use crate::health::{self, Answer};
use crate::message::{Method, ResponseHead};
use crate::metrics::Counter;
use crate::retry::{self, Cause};
use crate::stream::target::InFlight;
use crate::tunnel::{self, Side};
use crate::upstream::{Destination, Lease};
use crate::worker::Worker;

/// A request with the backend that was chosen for it.
pub(super) struct Forwarding<'r> {
    pub(super) worker: &'r Worker,
    pub(super) gateway: &'r GatewayId,
    pub(super) forward: &'r Forward,
    pub(super) cluster: &'r ClusterState,
    pub(super) turn: &'r AtomicU32,
    /// What the endpoint is chosen by, if by anything.
    pub(super) hash: Option<u64>,
    /// The endpoint that holds the client's session.
    pub(super) pinned: Option<Arc<EndpointState>>,
    pub(super) passage: Passage<'r>,
    /// When the request's head was complete.
    pub(super) began: Instant,
}

/// What there is to say of a request afterwards.
#[derive(Default)]
pub(crate) struct Told {
    /// The endpoint that was tried last.
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) tries: u32,
    /// Tries that were lost to connections closed while idle, which do not count as the rule's.
    unseen: u32,
    pub(crate) failure: Option<Failure>,
    /// Bytes of bodies, a tunnel's included.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Told {
    fn counted(&self) -> u32 {
        self.tries - self.unseen
    }
}

/// Why a request is tried again.
struct Again {
    wait: Duration,
    /// Not with an idle connection, which may be as dead as the last one.
    fresh: bool,
    /// Not with the same endpoint, if there are others.
    elsewhere: bool,
}

impl Forwarding<'_> {
    /// Forwards the request and passes on the answer.
    ///
    /// # Errors
    /// The failure that is to be answered: the client has got nothing yet.
    pub(super) async fn run(
        &self,
        exchange: &mut Exchange<'_>,
        taps: Vec<Tap>,
        told: &mut Told,
    ) -> Result<After, Failure> {
        let mut body = std::mem::replace(&mut exchange.body, Incoming::Empty);
        let outcome = self.tries(exchange, &mut body, taps, told).await;
        exchange.body = body;
        match outcome {
            Ok(Ended::Done) if exchange.reply.keeps_alive() => Ok(After::Next),
            Ok(Ended::Done) => Ok(After::Close),
            Ok(Ended::Switched(to)) => Ok(Box::pin(self.switch(exchange, to, told)).await),
            Err(failure) if exchange.reply.has_begun() => {
                told.failure = Some(failure);
                exchange.reply.abort();
                Ok(if failure == Failure::ClientGone { After::Gone } else { After::Abort })
            }
            Err(failure) => Err(failure),
        }
    }

    async fn tries(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Incoming<'_>,
        taps: Vec<Tap>,
        told: &mut Told,
    ) -> Result<Ended, Failure> {
        let may_repeat = self.forward.retry.is_some() || exchange.head.method.is_idempotent();
        let room = if may_repeat { self.worker.settings().limits.replay_bytes } else { 0 };
        let mut body = Replay::new(body, room, taps);
        let mut avoid = Vec::new();
        let mut fresh = false;
        loop {
            let endpoint = self.endpoint(&avoid)?;
            told.endpoint = Some(endpoint.address);
            told.tries += 1;
            let outcome = self.try_once(exchange, &mut body, &endpoint, fresh, told).await;
            told.received = body.bytes;
            let tried = told.counted();
            let again = match outcome {
                Ok(Tried::Ended(ended)) => return Ok(ended),
                Ok(Tried::Again(status)) => {
                    self.again(exchange, tried, Cause::Status(status)).ok_or(Failure::Reset)?
                }
                Err(failed) => {
                    if failed.failure.blame() == Blame::Backend {
                        self.worker.metrics().upstream_failure(failed.failure.word());
                    }
                    let again = self.after(exchange, &failed, told);
                    told.unseen += u32::from(again.as_ref().is_some_and(|again| !again.elsewhere));
                    again.filter(|_| body.rewind()).ok_or(failed.failure)?
                }
            };
            if !body.rewind() {
                return Err(Failure::Reset);
            }
            if again.elsewhere {
                avoid.push(endpoint.address);
            }
            fresh = again.fresh;
            self.worker.metrics().count(Counter::Retries);
            self.pause(exchange, again.wait).await?;
        }
    }

    /// Gives the endpoint for the next try.
    fn endpoint(&self, avoid: &[SocketAddr]) -> Result<Arc<EndpointState>, Failure> {
        if let Some(pinned) = &self.pinned
            && !avoid.contains(&pinned.address)
        {
            return Ok(Arc::clone(pinned));
        }
        let way = &self.forward.load_balancing;
        let chosen = balance::choose(self.cluster, way, self.turn, self.hash, avoid);
        chosen.cloned().ok_or(Failure::NoEndpoint)
    }

    async fn try_once(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Replay<'_, '_>,
        endpoint: &Arc<EndpointState>,
        fresh: bool,
        told: &mut Told,
    ) -> Result<Tried, Failed> {
        let in_flight = InFlight::new(endpoint);
        let upgrade = exchange.head.upgrade.is_some();
        let destination = Destination::new(self.cluster, endpoint, self.gateway, upgrade)?;
        let deadlines = self.deadlines();
        let mut lease = self
            .lease(exchange, &destination, fresh, &deadlines)
            .await
            .inspect_err(|failed| self.learn(endpoint, *failed))?;
        deadlines.moved.set(Instant::now());
        let passage = self.passage.to(self.cluster, endpoint);
        let tried = told.counted();
        let method = exchange.head.method.clone();
        let mut attempt = Attempt {
            head: &exchange.head,
            framing: exchange.framing,
            body,
            reply: &mut exchange.reply,
            deadlines: &deadlines,
            passage: &passage,
            refuses: &|status| self.again_at(&method, tried, Cause::Status(status)).is_some(),
        };
        let running = attempt.run(&mut lease);
        let outcome = exchange.clock.until(|| deadlines.next(), running).await;
        let outcome = outcome.unwrap_or_else(|| Err(deadlines.passed().into()));
        match &outcome {
            Ok(Outcome::Done { status, .. } | Outcome::Again(status)) => {
                self.record(endpoint, Answer::Status(*status));
            }
            Ok(Outcome::Switched(_)) => self.record(endpoint, Answer::Status(101)),
            Err(failed) => self.learn(endpoint, failed.failure),
        }
        match outcome? {
            Outcome::Done { reuse, bytes, .. } => {
                told.sent += bytes;
                if reuse {
                    lease.give_back();
                }
                Ok(Tried::Ended(Ended::Done))
            }
            Outcome::Again(status) => Ok(Tried::Again(status)),
            Outcome::Switched(head) => {
                Ok(Tried::Ended(Ended::Switched(Switched { head, lease, _in_flight: in_flight })))
            }
        }
    }

    fn deadlines(&self) -> Deadlines {
        let timeouts = &self.forward.timeouts;
        let now = Instant::now();
        let after = |from: Instant, time: Option<Millis>| time.map(|time| from + time.duration());
        let try_time = self.forward.retry.as_ref().and_then(|retry| retry.per_try_timeout);
        let idle = timeouts.idle.map_or(self.worker.settings().timeouts.idle, Millis::duration);
        Deadlines {
            request: after(self.began, timeouts.request),
            attempt: after(now, timeouts.backend_request),
            head: Cell::new(after(now, try_time)),
            closed: Cell::new(None),
            idle,
            moved: Cell::new(now),
            on_client: Cell::new(false),
            body: self.worker.settings().timeouts.body,
            owed: Cell::new(None),
        }
    }

    async fn lease(
        &self,
        exchange: &Exchange<'_>,
        destination: &Destination,
        fresh: bool,
        deadlines: &Deadlines,
    ) -> Result<Lease, Failure> {
        let (settings, metrics) = (self.worker.settings(), self.worker.metrics());
        let own = self.forward.timeouts.connect;
        let time = own.map_or(settings.timeouts.connect, Millis::duration);
        let connected = Instant::now() + time;
        let lease = self.worker.pool().lease(destination, fresh, settings, metrics);
        let by = || connected.min(deadlines.next());
        exchange.clock.until(by, lease).await.unwrap_or_else(|| {
            let is_own = connected <= deadlines.next();
            Err(if is_own { Failure::ConnectTimeout } else { deadlines.passed() })
        })
    }

    /// Says whether and how a failed try is repeated.
    fn after(&self, exchange: &Exchange<'_>, failed: &Failed, told: &Told) -> Option<Again> {
        if exchange.reply.has_begun() {
            return None;
        }
        // RFC 9110 9.2.2 lets a request be repeated when it was not processed, as far as one can
        // know: a stream that was refused surely was not, a connection that was closed while idle
        // probably, which will do for idempotent methods.
        let certain = failed.failure == Failure::RefusedStream;
        if failed.unseen && told.unseen == 0 && (certain || exchange.head.method.is_idempotent()) {
            return Some(Again { wait: Duration::ZERO, fresh: true, elsewhere: false });
        }
        self.again(exchange, told.counted(), Cause::Failure(failed.failure.retry_on()?))
    }

    fn again(&self, exchange: &Exchange<'_>, tried: u32, cause: Cause) -> Option<Again> {
        let wait = self.again_at(&exchange.head.method, tried, cause)?;
        Some(Again { wait, fresh: false, elsewhere: true })
    }

    fn again_at(&self, method: &Method, tried: u32, cause: Cause) -> Option<Duration> {
        retry::wait(self.forward.retry.as_ref()?, tried, method, cause)
    }

    /// Waits before the next try, though not beyond the request's time.
    async fn pause(&self, exchange: &Exchange<'_>, wait: Duration) -> Result<(), Failure> {
        if wait.is_zero() {
            return Ok(());
        }
        let until = Instant::now() + wait;
        let request = self.forward.timeouts.request.map(|time| self.began + time.duration());
        match request {
            Some(end) if end <= until => Err(Failure::RequestTimeout),
            Some(_) | None => {
                let never = std::future::pending::<()>();
                exchange.clock.until(|| until, never).await.unwrap_or_default();
                Ok(())
            }
        }
    }

    /// Takes note of a failure, if it is the endpoint's.
    fn learn(&self, endpoint: &EndpointState, failure: Failure) {
        let its = match failure {
            Failure::Connect
            | Failure::ConnectTimeout
            | Failure::BackendTls
            | Failure::Reset
            | Failure::RefusedStream
            | Failure::BadResponse
            | Failure::Truncated
            | Failure::BackendTimeout
            | Failure::BackendStalled
            | Failure::RequestTimeout => true,
            Failure::Refused(_)
            | Failure::ClientGone
            | Failure::ClientStalled
            | Failure::NoRoute
            | Failure::Misdirected
            | Failure::Forbidden
            | Failure::RateLimited(_)
            | Failure::Broken(_)
            | Failure::Rewrite
            | Failure::NoEndpoint => false,
        };
        if its {
            self.record(endpoint, Answer::Failed);
        }
    }

    fn record(&self, endpoint: &EndpointState, answer: Answer) {
        if let Some(policy) = &self.forward.passive_health {
            let all = self.cluster.endpoints();
            if endpoint.health.record(answer, policy, all, health::now()) {
                tracing::info!(endpoint = %endpoint.address, "an endpoint gets no traffic for a while");
            }
        }
    }

    /// Carries what follows a change of protocols (attack A13: nothing before the endpoint's 101).
    async fn switch(&self, exchange: &mut Exchange<'_>, to: Switched, told: &mut Told) -> After {
        let Switched { head, lease, _in_flight } = to;
        let Some((io, read)) = lease.into_tunnel() else { return After::Abort };
        let endpoint = Side { io, read };
        let timeouts = &self.worker.settings().timeouts;
        let idle = self.forward.timeouts.idle.map_or(timeouts.idle, Millis::duration);
        let deadline = Instant::now() + idle;
        let told_so = exchange.reply.whole(&head, Framing::Empty, Bytes::new());
        let told_so = exchange.clock.until(|| deadline, told_so).await;
        if !matches!(told_so, Some(Ok(()))) {
            return After::Abort;
        }
        let Some((io, read)) = exchange.body.take_connection() else { return After::Abort };
        let carried = tunnel::carry(Side { io, read }, endpoint, idle).await;
        told.received += carried.from_client;
        told.sent += carried.to_client;
        After::Abort
    }
}

/// How the last try ended.
enum Ended {
    Done,
    Switched(Switched),
}

/// A connection that is HTTP no more.
struct Switched {
    head: Box<ResponseHead>,
    lease: Lease,
    _in_flight: InFlight,
}

enum Tried {
    Ended(Ended),
    /// The answer's status calls for another try.
    Again(u16),
}
