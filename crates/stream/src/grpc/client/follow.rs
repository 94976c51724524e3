//! Keeps following: connect, say what is held, take updates in, say what became of them; and again.

use std::time::Duration;

use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;
use tonic::{Status, Streaming};

use super::connection::{connect, innermost};
use super::{Connected, Settings, Step};
use crate::codec::Key;
use crate::grpc::holding::Holding;
use crate::grpc::{LARGEST_MESSAGE, MINOR, PROTOCOL};
use crate::proto;
use crate::proto::configuration_client::ConfigurationClient;
use crate::proto::from_proxy::Message;
use crate::{Ack, Update};

/// The longest wait before the second try to connect; each further one may wait twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait of all: what changes meanwhile is not served.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What outlives connections.
pub(super) struct Follower {
    pub(super) settings: Settings,
    pub(super) holding: Holding,
    pub(super) steps: mpsc::Sender<Step>,
    pub(super) acks: watch::Receiver<Option<Ack>>,
    pub(super) told: watch::Sender<Connected>,
    /// Steps so far.
    pub(super) count: u64,
}

/// Why a connection ended.
enum Ended {
    /// Nobody takes updates any more.
    Unwanted,
    /// What is wrong, in words for whoever runs the proxy.
    Broken(String),
}

/// Follows for ever, or until nobody takes updates any more.
pub(super) async fn run(mut follower: Follower) {
    let mut wait = FIRST_WAIT;
    loop {
        let before = follower.told.borrow().connections;
        let Ended::Broken(why) = follower.connection().await else { return };
        if follower.told.borrow().connections > before {
            wait = FIRST_WAIT;
        }
        let news = follower.told.borrow().error.as_ref() != Some(&why);
        if news {
            tracing::warn!("{why}; what is served goes on");
        }
        follower.told.send_modify(|told| {
            told.connected = false;
            told.error = Some(why);
        });
        // Full jitter: proxies that lost their controller together do not come back together.
        let pause = rand::rng().random_range(Duration::ZERO..=wait);
        tokio::time::sleep(pause).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

impl Follower {
    async fn connection(&mut self) -> Ended {
        let channel = match connect(&self.settings).await {
            Ok(channel) => channel,
            Err(why) => return Ended::Broken(why),
        };
        let mut client =
            ConfigurationClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        let (reports, outgoing) = watch::channel(proto::Report::default());
        let first = self.first_words().into_iter();
        let later = WatchStream::from_changes(outgoing).map(Message::Report);
        let all = tokio_stream::iter(first).chain(later);
        let all = all.map(|message| proto::FromProxy { message: Some(message) });
        let stream = match client.follow(all).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ended::Broken(self.words(&status)),
        };
        Session { follower: self, reports, sent: Vec::new(), acknowledged: None }.run(stream).await
    }

    fn first_words(&self) -> Vec<Message> {
        let hello = proto::Hello {
            protocol: PROTOCOL,
            minor: MINOR,
            version: self.settings.version.clone(),
            name: self.settings.name.clone(),
            gateway: self.settings.gateway.to_string(),
            features: self.holding.known().iter().map(|it| it.name().to_owned()).collect(),
        };
        let inventory = self.holding.inventory().into_iter().map(Message::Inventory);
        std::iter::once(Message::Hello(hello)).chain(inventory).collect()
    }

    fn words(&self, status: &Status) -> String {
        let why = match status.message() {
            "" => innermost(status),
            message => message.to_owned(),
        };
        format!("following the controller at {}: {why}", self.settings.controller)
    }
}

/// What belongs to one connection.
struct Session<'a> {
    follower: &'a mut Follower,
    reports: watch::Sender<proto::Report>,
    /// Steps that came on this connection and are not acknowledged: our number and the controller's.
    sent: Vec<(u64, u64)>,
    acknowledged: Option<u64>,
}

impl Session<'_> {
    async fn run(mut self, mut stream: Streaming<proto::Update>) -> Ended {
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                update = stream.message() => match update {
                    Ok(Some(update)) => {
                        put.extend(update.put);
                        removed.extend(update.removed);
                        if update.end {
                            let (put, removed) = (std::mem::take(&mut put), std::mem::take(&mut removed));
                            if self.take_in(update.sequence, put, removed).await.is_err() {
                                return Ended::Unwanted;
                            }
                        }
                    }
                    Ok(None) => {
                        let to = &self.follower.settings.controller;
                        return Ended::Broken(format!("the controller at {to} ended the stream"));
                    }
                    Err(status) => return Ended::Broken(self.follower.words(&status)),
                },
                changed = self.follower.acks.changed() => {
                    if changed.is_err() {
                        return Ended::Unwanted;
                    }
                    self.report();
                }
            }
        }
    }

    async fn take_in(
        &mut self,
        sequence: u64,
        put: Vec<proto::Resource>,
        removed: Vec<proto::Key>,
    ) -> Result<(), mpsc::error::SendError<Step>> {
        let received = u64::try_from(put.len()).unwrap_or(u64::MAX);
        let delta = self.follower.holding.apply(put, removed);
        self.follower.count += 1;
        let count = self.follower.count;
        self.sent.push((count, sequence));
        let model = std::sync::Arc::clone(self.follower.holding.served());
        self.follower.told.send_modify(|told| {
            told.connections += u64::from(!told.connected);
            told.connected = true;
            told.listeners = Some(model.listeners.len());
            told.received += received;
            told.error = None;
        });
        let update = Update { sequence: count, delta };
        self.follower.steps.send(Step { update, model }).await
    }

    /// Says how things stand at the data plane. Only the newest report counts, so none waits for room.
    fn report(&mut self) {
        let Some(ack) = self.follower.acks.borrow_and_update().clone() else { return };
        for (_, sequence) in self.sent.extract_if(.., |(count, _)| *count <= ack.sequence) {
            self.acknowledged = Some(sequence);
        }
        let refusal = |kind: i32, id: String, reason: &String| {
            let reason = reason.clone();
            proto::Refused { kind, id, reason }
        };
        let unread = self.follower.holding.refused();
        let unread = unread.map(|((kind, id), why)| refusal(*kind, id.to_string(), why));
        let unserved = ack.refused.iter().map(|(resource, why)| {
            let Key { kind, id } = Key::of_resource(resource);
            refusal(kind.encode(), id.to_string(), why)
        });
        let bound = |(id, outcome): (&fairway_model::ListenerId, &Result<(), String>)| {
            let error = outcome.as_ref().err().cloned().unwrap_or_default();
            proto::Bound { listener: id.to_string(), error }
        };
        self.reports.send_replace(proto::Report {
            sequence: self.acknowledged,
            refused: unserved.chain(unread).collect(),
            listeners: ack.listeners.iter().map(bound).collect(),
        });
    }
}
