//! Whether a proxy may get clients, and what it says of its own.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fairway_controller::drivers::embedded::Listeners;
use fairway_stream::grpc::client::Connected;
use tokio::sync::watch;

use super::endpoint::Answer;

/// See the module.
#[derive(Clone)]
pub(super) struct Readiness(Arc<Shared>);

struct Shared {
    connected: watch::Receiver<Connected>,
    /// What the data plane last said of its listeners: whether there are any, and whether one is open.
    listeners: watch::Receiver<Seen>,
    last_good: bool,
    draining: AtomicBool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    any: bool,
    open: bool,
}

impl Readiness {
    /// Watches over the listeners from now on. `last_good` says that there were listeners in the model that it
    /// started from.
    pub(super) fn new(
        connected: watch::Receiver<Connected>,
        mut listeners: Listeners,
        last_good: bool,
    ) -> Self {
        let (told, seen) = watch::channel(Seen::default());
        tokio::spawn(async move {
            loop {
                let (all, open) = listeners.tally();
                told.send_replace(Seen { any: all > 0, open: open > 0 });
                listeners.changed().await;
            }
        });
        let draining = AtomicBool::new(false);
        Self(Arc::new(Shared { connected, listeners: seen, last_good, draining }))
    }

    /// No more clients are wanted.
    pub(super) fn withdraw(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Says why no clients are wanted, if so.
    fn missing(&self) -> Option<&'static str> {
        let Shared { connected, listeners, last_good, draining } = &*self.0;
        if draining.load(Ordering::Relaxed) {
            return Some("it is ending");
        }
        let seen = *listeners.borrow();
        if seen.any {
            return (!seen.open).then_some("no listener is open");
        }
        match (connected.borrow().listeners, last_good) {
            // A gateway without a valid listener: there is nothing to wait for, and a rollout must not.
            (Some(0), _) => None,
            // The data plane has not opened them yet.
            (Some(_), _) | (None, true) => Some("no listener is open yet"),
            (None, false) => Some("the controller has not sent a configuration yet"),
        }
    }

    /// Answers the questions of whoever watches over the process.
    pub(super) fn answer(&self, path: &str) -> Option<Answer> {
        match path {
            "/healthz" => Some(Answer::ok()),
            "/readyz" => Some(match self.missing() {
                None => Answer::ok(),
                Some(why) => Answer::unavailable(why),
            }),
            _ => None,
        }
    }
}

/// Adds how the stream stands to what the data plane counts.
pub(super) fn metrics(connected: &Connected, data_plane: &str) -> String {
    let Connected { connected, connections, received, listeners: _, error: _ } = connected;
    let mut text = data_plane.strip_suffix("# EOF\n").unwrap_or(data_plane).to_owned();
    let mut gauge = |name: &str, kind: &str, help: &str, value: u64| {
        let family = name.strip_suffix("_total").unwrap_or(name);
        write!(text, "# HELP {family} {help}.\n# TYPE {family} {kind}\n{name} {value}\n")
            .expect("writing to a String never fails");
    };
    gauge(
        "fairway_stream_connected",
        "gauge",
        "Whether the controller is connected",
        u64::from(*connected),
    );
    gauge(
        "fairway_stream_connections_total",
        "counter",
        "Connections to a controller",
        *connections,
    );
    gauge("fairway_stream_resources_total", "counter", "Resources received", *received);
    text.push_str("# EOF\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_has_come_is_not_one_that_is_served() {
        let missing = |listeners: Option<usize>, seen: Seen| {
            let connected = Connected { listeners, ..Connected::default() };
            let shared = Shared {
                connected: watch::channel(connected).1,
                listeners: watch::channel(seen).1,
                last_good: false,
                draining: AtomicBool::new(false),
            };
            Readiness(Arc::new(shared)).missing()
        };
        let nothing = Seen::default();
        assert!(missing(None, nothing).is_some_and(|why| why.contains("controller")));
        assert_eq!(missing(Some(1), nothing), Some("no listener is open yet"));
        assert_eq!(missing(Some(1), Seen { any: true, open: false }), Some("no listener is open"));
        assert_eq!(missing(Some(1), Seen { any: true, open: true }), None);
        assert_eq!(missing(Some(0), nothing), None, "a gateway without a valid listener");
    }

    #[test]
    fn the_streams_figures_stand_before_the_end() {
        let connected =
            Connected { connected: true, connections: 2, received: 7, ..Connected::default() };
        let text = metrics(&connected, "a 1\n# EOF\n");
        assert!(text.starts_with("a 1\n") && text.ends_with("# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.contains("\nfairway_stream_connections_total 2\n"), "{text}");
        assert!(text.contains("# TYPE fairway_stream_connections counter\n"), "{text}");
    }
}
