//! What is counted of a run on a cluster. docs/metrics.md names the series.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairway_translate::Plan;
use fairway_translate::verdict::{Conditions, Reason};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use super::{counter, gauge};
use crate::status::cluster::Counts;

/// Bounds of the propagation histogram, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Default)]
struct State {
    leading: bool,
    proxies: usize,
    statuses: Counts,
    plan: Option<Arc<Plan>>,
    expired: Arc<AtomicU64>,
}

/// Figures of a run on a cluster, shared with the admin endpoint.
#[derive(Clone, Debug)]
pub struct ClusterFigures {
    state: Arc<Mutex<State>>,
    propagation: Histogram,
}

impl Default for ClusterFigures {
    fn default() -> Self {
        Self { state: Arc::default(), propagation: Histogram::new(BUCKETS) }
    }
}

impl ClusterFigures {
    fn update(&self, change: impl FnOnce(&mut State)) {
        // Whoever panicked with the lock held left plain numbers.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes in whether this replica leads.
    pub fn leads(&self, leading: bool) {
        self.update(|state| state.leading = leading);
    }

    /// Shows a count of watches that expired.
    pub fn expired(&self, count: Arc<AtomicU64>) {
        self.update(|state| state.expired = count);
    }

    /// Takes in how many proxies are connected.
    pub fn connected(&self, proxies: usize) {
        self.update(|state| state.proxies = proxies);
    }

    /// Takes in how long routes took from being noticed to being served by every proxy.
    pub fn propagated(&self, took: &[Duration]) {
        for took in took {
            self.propagation.observe(took.as_secs_f64());
        }
    }

    /// Takes in what is said and written now. What is said is counted when somebody asks.
    pub fn settled(&self, plan: &Arc<Plan>, statuses: Counts) {
        self.update(|state| {
            state.plan = Some(Arc::clone(plan));
            state.statuses = statuses;
        });
    }
}

impl Collector for ClusterFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (leading, proxies, statuses, plan, expired) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let expired = state.expired.load(Ordering::Relaxed);
            (state.leading, state.proxies, state.statuses, state.plan.clone(), expired)
        };
        let number = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        let encoder = &mut encoder;
        gauge(encoder, "leader", "Whether this replica writes", u64::from(leading))?;
        gauge(encoder, "proxies_connected", "Proxies that follow this replica", number(proxies))?;
        let help = "Watches that the API server had forgotten the history of";
        counter(encoder, "watches_expired", help, expired)?;
        let Counts { written: _, conflicts, failed, queued } = statuses;
        counter(
            encoder,
            "status_conflicts",
            "Statuses that another writer came before",
            conflicts,
        )?;
        counter(encoder, "status_failures", "Statuses that could not be written", failed)?;
        gauge(encoder, "status_queue", "Statuses that are still to be written", number(queued))?;
        let help = "From noticing a route's change to all its proxies serving it";
        let kind = MetricType::Histogram;
        let propagation =
            encoder.encode_descriptor("propagation", help, Some(&Unit::Seconds), kind)?;
        self.propagation.encode(propagation)?;
        plan.map_or(Ok(()), |plan| encode_plan(&plan, encoder))
    }
}

fn encode_plan(plan: &Plan, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut kinds: BTreeMap<&str, i64> = BTreeMap::new();
    let mut reasons: BTreeMap<Reason, i64> = BTreeMap::new();
    for (key, said) in &plan.verdicts {
        *kinds.entry(key.kind.name()).or_default() += 1;
        let parents = said.parents.iter().map(|parent| &parent.conditions);
        let listeners = said.listeners.iter().map(|listener| &listener.conditions);
        let all = parents.chain(listeners).chain([&said.conditions]);
        for verdict in all.flat_map(Conditions::iter) {
            *reasons.entry(verdict.reason).or_default() += 1;
        }
    }
    let help = "Objects that are answered, by kind";
    let mut family = encoder.encode_descriptor("answered", help, None, MetricType::Gauge)?;
    for (kind, count) in kinds {
        ConstGauge::new(count).encode(family.encode_family(&[("kind", kind)])?)?;
    }
    let help = "What is said about objects, by condition and reason";
    let mut family = encoder.encode_descriptor("verdicts", help, None, MetricType::Gauge)?;
    for (reason, count) in reasons {
        let (condition, holds) = reason.condition();
        let labels =
            [("condition", condition.name()), ("status", holds.name()), ("reason", reason.word())];
        ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Figures, scrape_cluster};
    use fairway_api::kind::decode;
    use fairway_translate::{Held, Settings, Snapshot, translate};
    use serde_json::json;

    #[test]
    fn what_happened_is_in_the_text() {
        let gateway = json!({
            "apiVersion": "fairway.dev/v1alpha1", "kind": "Gateway",
            "metadata": {"namespace": "shop", "name": "web", "generation": 1},
            "spec": {"listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        });
        let snapshot = Snapshot::new([decode(gateway).expect("a Gateway")]);
        let plan = translate(&snapshot, &Settings::for_files(), &Held::default(), None);
        let cluster = ClusterFigures::default();
        let scrape = scrape_cluster(Figures::default(), cluster.clone());
        assert!(scrape().contains("fairway_leader 0"), "{}", scrape());
        cluster.leads(true);
        cluster.connected(2);
        cluster.expired(Arc::new(AtomicU64::new(5)));
        cluster.propagated(&[Duration::from_millis(7), Duration::from_millis(40)]);
        let counts = Counts { written: 9, conflicts: 3, failed: 1, queued: 4 };
        cluster.settled(&Arc::new(plan), counts);
        let text = scrape();
        for line in [
            "fairway_leader 1",
            "fairway_proxies_connected 2",
            "fairway_watches_expired_total 5",
            "fairway_status_conflicts_total 3",
            "fairway_status_failures_total 1",
            "fairway_status_queue 4",
            "fairway_propagation_seconds_count 2",
            "fairway_propagation_seconds_bucket{le=\"0.01\"} 1",
            "fairway_answered{kind=\"Gateway\"} 1",
            "fairway_verdicts{condition=\"Accepted\",status=\"True\",reason=\"Accepted\"} 2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn every_series_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let documented =
            std::fs::read_to_string(path).expect("the document is part of the project");
        let text = scrape_cluster(Figures::default(), ClusterFigures::default())();
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let names: Vec<&str> = names.filter_map(|line| line.split(' ').next()).collect();
        assert!(names.len() > 10, "{text}");
        for name in names {
            assert!(documented.contains(&format!("`{name}")), "{name} is not in docs/metrics.md");
        }
    }
}
