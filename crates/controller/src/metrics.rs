//! What is counted, in Prometheus' text form: the loop's own figures and the data plane's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

pub mod cluster;

use cluster::ClusterFigures;

/// Figures of the loop, as of the last change.
#[derive(Clone, Debug, Default)]
pub struct LoopFigures {
    /// Changes that were worked through.
    pub changes: u64,
    /// Objects that were read.
    pub objects: u64,
    /// Entries for rules in the model.
    pub rules: u64,
    /// Problems of the files.
    pub problems: u64,
    /// Status files that were written or removed.
    pub status_writes: u64,
    /// How long the last reading of the files took.
    pub scan: Duration,
    /// How long the last translation took.
    pub translate: Duration,
    /// How long the last change took from being noticed to being served.
    pub served: Duration,
}

/// Figures of the loop, shared with the admin endpoint.
pub type Figures = Arc<Mutex<LoopFigures>>;

/// Changes the figures.
pub(crate) fn update(figures: &Figures, change: impl FnOnce(&mut LoopFigures)) {
    // Whoever panicked with the lock held left plain numbers.
    change(&mut figures.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Gives all figures as text; `data_plane` collects the data plane's.
pub fn scrape(
    figures: Figures,
    data_plane: Box<dyn Collector>,
) -> impl Fn() -> String + Send + Sync {
    let mut registry = Registry::with_prefix("fairway");
    registry.register_collector(Box::new(Loop(figures)));
    registry.register_collector(data_plane);
    move || {
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(fmt::Error) => "# encoding failed\n".to_owned(),
        }
    }
}

/// Gives the figures of a run on a cluster as text.
pub fn scrape_cluster(
    figures: Figures,
    cluster: ClusterFigures,
) -> impl Fn() -> String + Send + Sync {
    let mut registry = Registry::with_prefix("fairway");
    registry.register_collector(Box::new(Loop(figures)));
    registry.register_collector(Box::new(cluster));
    move || text(&registry)
}

/// Gives the data plane's figures alone as text.
pub fn scrape_data_plane(data_plane: Box<dyn Collector>) -> impl Fn() -> String + Send + Sync {
    let mut registry = Registry::with_prefix("fairway");
    registry.register_collector(data_plane);
    move || text(&registry)
}

fn text(registry: &Registry) -> String {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => text,
        Err(fmt::Error) => "# encoding failed\n".to_owned(),
    }
}

#[derive(Debug)]
struct Loop(Figures);

impl Collector for Loop {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        encode_loop(&figures, &mut encoder)
    }
}

fn encode_loop(figures: &LoopFigures, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let LoopFigures { changes, objects, rules, problems, status_writes, scan, translate, served } =
        figures;
    counter(encoder, "changes", "Changes of the configuration", *changes)?;
    counter(encoder, "status_writes", "Statuses written or removed", *status_writes)?;
    gauge(encoder, "objects", "Objects that are read", *objects)?;
    gauge(encoder, "rules", "Rules that are served", *rules)?;
    gauge(encoder, "problems", "Problems of the files", *problems)?;
    seconds(encoder, "scan", "Reading the files at the last change", *scan)?;
    seconds(encoder, "translate", "Translating at the last change", *translate)?;
    seconds(encoder, "served", "From noticing the last change to serving it", *served)
}

/// Writes a counter without labels.
pub(crate) fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> fmt::Result {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// Writes a gauge without labels.
pub(crate) fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> fmt::Result {
    let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn seconds(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: Duration,
) -> fmt::Result {
    let metric = ConstGauge::new(value.as_secs_f64());
    metric.encode(encoder.encode_descriptor(
        name,
        help,
        Some(&Unit::Seconds),
        metric.metric_type(),
    )?)
}
