//! The transport inside one process: `fairway run` has controller and data plane side by side.
//!
//! The publisher diffs each model against the last one it sent; the subscriber applies the deltas to
//! a model of its own. So the laptop takes the same way as a cluster, only shorter.

use std::sync::Arc;

use fairway_model::{Model, delta};
use tokio::sync::mpsc;

pub use crate::Closed;
use crate::{Ack, Update};

/// The controller's end.
#[derive(Debug)]
pub struct Publisher {
    updates: mpsc::Sender<Update>,
    acks: mpsc::Receiver<Ack>,
    sent: Arc<Model>,
    sequence: u64,
}

/// The data plane's end.
#[derive(Debug)]
pub struct Subscriber {
    updates: mpsc::Receiver<Update>,
    acks: mpsc::Sender<Ack>,
    model: Arc<Model>,
}

/// Updates on their way; a publisher that is further ahead waits.
const WINDOW: usize = 4;

/// Makes a connected pair whose subscriber starts from `model`: empty, or the last good one.
#[must_use]
pub fn connect(model: Arc<Model>) -> (Publisher, Subscriber) {
    let (update_sender, updates) = mpsc::channel(WINDOW);
    let (ack_sender, acks) = mpsc::channel(WINDOW);
    let publisher =
        Publisher { updates: update_sender, acks, sent: Arc::clone(&model), sequence: 0 };
    (publisher, Subscriber { updates, acks: ack_sender, model })
}

impl Publisher {
    /// Sends what `model` changes, and gives the update; an [`Ack`] will name its number. Nothing is sent,
    /// and `None` given, when nothing changed.
    ///
    /// # Errors
    /// The subscriber is gone.
    pub async fn publish(&mut self, model: Arc<Model>) -> Result<Option<Update>, Closed> {
        let delta = delta::diff(&self.sent, &model);
        self.sent = model;
        if delta.is_empty() {
            return Ok(None);
        }
        self.sequence += 1;
        let update = Update { sequence: self.sequence, delta };
        self.updates.send(update.clone()).await.map_err(|_closed| Closed)?;
        Ok(Some(update))
    }

    /// Waits for the next acknowledgement. Cancelling it loses none.
    ///
    /// # Errors
    /// The subscriber is gone.
    pub async fn acknowledged(&mut self) -> Result<Ack, Closed> {
        self.acks.recv().await.ok_or(Closed)
    }
}

impl crate::Subscriber for Subscriber {
    fn model(&self) -> &Arc<Model> {
        &self.model
    }

    async fn next(&mut self) -> Option<Update> {
        let update = self.updates.recv().await?;
        delta::apply(Arc::make_mut(&mut self.model), update.delta.clone());
        Some(update)
    }

    async fn acknowledge(&mut self, ack: Ack) -> Result<(), Closed> {
        self.acks.send(ack).await.map_err(|_closed| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Subscriber as _;
    use fairway_model::{Gateway, GatewayId};

    fn model(names: &[&str]) -> Arc<Model> {
        let mut model = Model::default();
        for name in names {
            let gateway = Gateway {
                namespace: "shop".into(),
                name: (*name).into(),
                addresses: Vec::new(),
                client_certificate: None,
            };
            model.gateways.insert(GatewayId::new(*name), Arc::new(gateway));
        }
        Arc::new(model)
    }

    #[tokio::test]
    async fn subscriber_follows_publisher_by_deltas() {
        let (mut publisher, mut subscriber) = connect(Arc::default());
        let mut publish = async |names: &[&str]| {
            let update = publisher.publish(model(names)).await.expect("the other side is there");
            update.map(|update| update.sequence)
        };
        assert_eq!(publish(&["a", "b"]).await, Some(1));
        assert_eq!(publish(&["a", "b"]).await, None, "nothing changed");
        assert_eq!(publish(&["b", "c"]).await, Some(2));

        let first = subscriber.next().await.expect("an update");
        assert_eq!(first.sequence, 1);
        let second = subscriber.next().await.expect("an update");
        assert_eq!(second.delta.gateways.removed.len(), 1);
        assert_eq!(**subscriber.model(), *model(&["b", "c"]));

        let ack = Ack { sequence: 2, ..Ack::default() };
        assert_eq!(subscriber.acknowledge(ack.clone()).await, Ok(()));
        assert_eq!(publisher.acknowledged().await, Ok(ack));
    }

    #[tokio::test]
    async fn a_lost_side_is_an_error_not_a_hang() {
        let (mut publisher, subscriber) = connect(Arc::default());
        drop(subscriber);
        assert_eq!(publisher.publish(model(&["a"])).await.map(drop), Err(Closed));
        assert_eq!(publisher.acknowledged().await, Err(Closed));
        let (publisher, mut subscriber) = connect(Arc::default());
        drop(publisher);
        assert!(subscriber.next().await.is_none());
    }
}
