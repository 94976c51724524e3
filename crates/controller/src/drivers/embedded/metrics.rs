//! The data plane's counts in Prometheus' text form. Series are bounded as the counts are: by the number
//! of listeners, classes of status and words of failures.

use std::fmt;

use fairway_proxy::{Counter, MetricsSnapshot};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

use crate::metrics::{counter, gauge};

/// Classes of status, as the data plane counts them.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Collects the counts at each scrape.
pub(super) struct Counts<F>(pub(super) F);

impl<F> fmt::Debug for Counts<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counts")
    }
}

impl<F: Fn() -> MetricsSnapshot + Send + Sync + 'static> Collector for Counts<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_all(&(self.0)(), &mut encoder)
    }
}

fn words(what: Counter) -> (&'static str, &'static str) {
    match what {
        Counter::Connections => ("proxy_connections", "Connections of clients"),
        Counter::ConnectionsEnded => {
            ("proxy_connections_ended", "Connections of clients that ended")
        }
        Counter::ConnectionsAborted => {
            ("proxy_connections_aborted", "Connections cut off at a drain's end")
        }
        Counter::AcceptErrors => ("proxy_accept_errors", "Failures to take a connection"),
        Counter::TlsHandshakes => ("proxy_tls_handshakes", "TLS handshakes that succeeded"),
        Counter::TlsFailures => ("proxy_tls_failures", "TLS handshakes that failed"),
        Counter::UpstreamConnections => ("proxy_upstream_connections", "Connections to endpoints"),
        Counter::UpstreamReuses => {
            ("proxy_upstream_reuses", "Requests that took an idle connection")
        }
        Counter::Retries => ("proxy_retries", "Requests tried again"),
        Counter::UdpSessions => ("proxy_udp_sessions", "UDP sessions begun"),
        Counter::UdpSessionsEnded => ("proxy_udp_sessions_ended", "UDP sessions that ended"),
        Counter::UdpDropped => ("proxy_udp_dropped", "Datagrams dropped"),
        Counter::Panics => ("proxy_panics", "Tasks of connections that panicked"),
    }
}

fn encode_all(all: &MetricsSnapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    gauge(encoder, "proxy_generation", "Model that the data plane serves", all.generation)?;
    for (what, count) in &all.counters {
        let (name, help) = words(*what);
        counter(encoder, name, help, *count)?;
    }
    let help = "Requests that failed at a backend, by the access log's word";
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor("proxy_upstream_failures", help, None, kind)?;
    for (word, count) in &all.upstream_failures {
        ConstCounter::new(*count).encode(family.encode_family(&[("word", *word)])?)?;
    }
    encode_listeners(all, encoder)
}

fn encode_listeners(all: &MetricsSnapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = || ConstCounter::new(0_u64).metric_type();
    let help = "Requests by listener and class of status";
    let mut family = encoder.encode_descriptor("proxy_requests", help, None, kind())?;
    for (listener, counts) in &all.listeners {
        for (class, count) in CLASSES.into_iter().zip(counts.requests) {
            let labels = [("listener", listener.as_str()), ("class", class)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    let help = "Bytes by listener and direction";
    let mut family =
        encoder.encode_descriptor("proxy_traffic", help, Some(&Unit::Bytes), kind())?;
    for (listener, counts) in &all.listeners {
        for (direction, count) in [("in", counts.bytes_received), ("out", counts.bytes_sent)] {
            let labels = [("listener", listener.as_str()), ("direction", direction)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
