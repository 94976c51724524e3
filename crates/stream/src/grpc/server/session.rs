//! One proxy's stream: its first words, then an update at a time, each sent when the one before is
//! acknowledged.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use fairway_model::{GatewayId, ListenerId, Model, delta};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::proxies::{ProxyState, Ticket};
use super::tls::Peer;
use super::{Outgoing, Published, Shared, Stage};
use crate::codec::{self, Digest, Entry, Key, Kind};
use crate::grpc::{HANDSHAKE, PROTOCOL, batch};
use crate::proto;
use crate::proto::from_proxy::Message;

/// What one proxy may say it holds: far more than any gateway has.
const MOST_HELD: usize = 2_000_000;

/// What a proxy said it holds: by kind, also one of a later release, and Id.
type Held = BTreeMap<(i32, String), Vec<u8>>;

/// Keeps one proxy up to date until it is gone, or may not stay.
///
/// # Errors
/// Why the stream ends, in words for the proxy.
pub(super) async fn run(
    shared: &Shared,
    peer: &Peer,
    mut inbound: Streaming<proto::FromProxy>,
    outbound: &mpsc::Sender<Outgoing>,
) -> Result<(), Status> {
    let (gateway, expires) = match &peer.gateway {
        Ok((gateway, expires)) => (gateway, *expires),
        Err(why) => return Err(Status::permission_denied(why)),
    };
    if shared.published.borrow().stage != Stage::Serving {
        return Err(not_serving());
    }
    let hello = in_time(hello(&mut inbound)).await?;
    accepts(&hello, gateway)?;
    let held = in_time(inventory(&mut inbound)).await?;
    let ticket = shared.proxies.come(ProxyState {
        gateway: gateway.clone(),
        name: hello.name,
        address: peer.address,
        version: hello.version,
        connected: true,
        acknowledged: None,
        refused: BTreeMap::new(),
        listeners: BTreeMap::new(),
    });
    let mut session = Session { gateway, outbound, ticket, held, sent: None, in_flight: None };
    let mut published = shared.published.subscribe();
    let vouched = expires.duration_since(SystemTime::now()).unwrap_or_default();
    let mut expiry = std::pin::pin!(tokio::time::sleep(vouched));
    loop {
        let now = published.borrow_and_update().clone();
        if now.stage != Stage::Serving {
            return Err(not_serving());
        }
        session.advance(&now).await?;
        tokio::select! {
            changed = published.changed() => {
                changed.map_err(|_gone| not_serving())?;
            }
            message = inbound.message() => match message? {
                Some(message) => session.heard(message)?,
                None => return Ok(()),
            },
            () = &mut expiry => {
                return Err(Status::unauthenticated(
                    "the proxy's certificate has ended; connect again with the next one",
                ));
            }
        }
    }
}

fn not_serving() -> Status {
    Status::unavailable("this controller does not lead; ask again")
}

async fn in_time<T>(work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late =
        |_elapsed| Status::deadline_exceeded("the proxy does not say who it is and what it holds");
    tokio::time::timeout(HANDSHAKE, work).await.map_err(late)?
}

async fn next(inbound: &mut Streaming<proto::FromProxy>) -> Result<Message, Status> {
    let message = inbound.message().await?.and_then(|message| message.message);
    message.ok_or_else(|| Status::invalid_argument("the proxy's first words are missing"))
}

async fn hello(inbound: &mut Streaming<proto::FromProxy>) -> Result<proto::Hello, Status> {
    match next(inbound).await? {
        Message::Hello(hello) => Ok(hello),
        Message::Inventory(_) | Message::Report(_) => {
            Err(Status::invalid_argument("the proxy does not begin with its hello"))
        }
    }
}

async fn inventory(inbound: &mut Streaming<proto::FromProxy>) -> Result<Held, Status> {
    let mut held = Held::new();
    loop {
        let Message::Inventory(part) = next(inbound).await? else {
            return Err(Status::invalid_argument("the proxy does not say what it holds"));
        };
        held.extend(part.resources.into_iter().map(|it| ((it.kind, it.id), it.digest)));
        if held.len() > MOST_HELD {
            return Err(Status::resource_exhausted("the proxy holds more than there can be"));
        }
        if part.last {
            return Ok(held);
        }
    }
}

/// Says whether a proxy may follow this controller.
///
/// # Errors
/// It speaks another protocol, or asks for what is not its own.
pub(in crate::grpc) fn accepts(hello: &proto::Hello, gateway: &GatewayId) -> Result<(), Status> {
    if hello.protocol != PROTOCOL {
        return Err(Status::failed_precondition(format!(
            "the proxy speaks version {} of the protocol and the controller {PROTOCOL}; use releases next to each other",
            hello.protocol
        )));
    }
    if hello.gateway != gateway.as_str() {
        return Err(Status::permission_denied(format!(
            "the proxy asks for {} and its certificate is for {gateway}",
            hello.gateway
        )));
    }
    Ok(())
}

struct Session<'a> {
    gateway: &'a GatewayId,
    outbound: &'a mpsc::Sender<Outgoing>,
    ticket: Ticket,
    /// What the proxy held at first; empty once the first update is made.
    held: Held,
    /// What it has, once what is on its way has come.
    sent: Option<Arc<Model>>,
    /// The update that it has not acknowledged.
    in_flight: Option<u64>,
}

impl Session<'_> {
    /// Sends what has changed, unless an update is on its way.
    async fn advance(&mut self, now: &Published) -> Result<(), Status> {
        if self.in_flight.is_some() || now.sequence == 0 {
            return Ok(());
        }
        let sequence = now.sequence;
        let Some(slice) = now.slices.get(self.gateway).cloned() else {
            // A gateway that is not served any more: its class was deleted, or it has gone itself, and its proxies
            // go with it unless they shall stay. Nobody's traffic is cut off by taking a configuration away.
            self.serves(sequence);
            return Ok(());
        };
        match &self.sent {
            Some(sent) if Arc::ptr_eq(sent, &slice) => {
                self.serves(sequence);
                return Ok(());
            }
            Some(sent) => {
                let delta = delta::diff(sent, &slice);
                if delta.is_empty() {
                    self.serves(sequence);
                } else {
                    let put = batch::write(codec::put(&delta));
                    self.send(batch::Updates::new(sequence, put, codec::removed(&delta))).await?;
                    self.in_flight = Some(sequence);
                }
            }
            None => {
                let held = std::mem::take(&mut self.held);
                let model = Arc::clone(&slice);
                let compared = tokio::task::spawn_blocking(move || compare(held, &model)).await;
                let (put, removed) =
                    compared.map_err(|_panicked| Status::internal("comparing what is held"))?;
                self.send(batch::Updates::new(sequence, batch::write(put), removed)).await?;
                self.in_flight = Some(sequence);
            }
        }
        self.sent = Some(slice);
        Ok(())
    }

    async fn send(&self, updates: impl Iterator<Item = proto::Update>) -> Result<(), Status> {
        for update in updates {
            let gone = |_closed| Status::cancelled("the proxy is gone");
            self.outbound.send(Ok(update)).await.map_err(gone)?;
        }
        Ok(())
    }

    fn serves(&self, sequence: u64) {
        self.ticket.update(|proxy| proxy.acknowledged = Some(sequence));
    }

    fn heard(&mut self, message: proto::FromProxy) -> Result<(), Status> {
        let report = match message.message {
            Some(Message::Report(report)) => report,
            // What a later release may say besides.
            None => return Ok(()),
            Some(Message::Hello(_) | Message::Inventory(_)) => {
                return Err(Status::invalid_argument("the proxy says its first words again"));
            }
        };
        let done = self.in_flight.filter(|sent| report.sequence.is_some_and(|it| it >= *sent));
        if done.is_some() {
            self.in_flight = None;
        }
        let refused = report.refused.into_iter().filter_map(|it| {
            let kind = Kind::decode(it.kind)?;
            Some((Key { kind, id: it.id.into() }.resource(), it.reason))
        });
        let refused = refused.collect();
        let outcome = |it: proto::Bound| {
            let outcome = if it.error.is_empty() { Ok(()) } else { Err(it.error) };
            (ListenerId::new(it.listener), outcome)
        };
        let listeners = report.listeners.into_iter().map(outcome).collect();
        self.ticket.update(|proxy| {
            proxy.acknowledged = done.or(proxy.acknowledged);
            proxy.refused = refused;
            proxy.listeners = listeners;
        });
        Ok(())
    }
}

/// Gives what a proxy lacks, and what it has too much of.
fn compare(mut held: Held, model: &Model) -> (Vec<(Key, Entry)>, Vec<Key>) {
    let mut put = Vec::new();
    for (key, entry) in codec::entries(model) {
        let digest: Digest = codec::digest(&entry.encode(&key.id));
        let has = held.remove(&(key.kind.encode(), key.id.to_string()));
        if has.as_deref() != Some(digest.as_slice()) {
            put.push((key, entry));
        }
    }
    let removed = held.into_keys().filter_map(|(kind, id)| {
        // What only a later release has, it takes care of itself.
        Kind::decode(kind).map(|kind| Key { kind, id: id.into() })
    });
    (put, removed.collect())
}
