//! What series of measurements come to, and what a program's metrics say.

use std::time::{Duration, Instant};

/// Times of one kind, in milliseconds.
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes in the time from one moment to another; none at all when they are the other way round.
    pub(crate) fn add(&mut self, from: Instant, to: Instant) {
        self.0.push(milliseconds(to.saturating_duration_since(from)));
    }

    /// Gives a row of [`HEAD`].
    pub(crate) fn row(&self, what: &str) -> String {
        let [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1.0].map(|share| self.quantile(share));
        format!("| {what} | {p50:.1} | {p90:.1} | {p99:.1} | {most:.1} |")
    }

    /// Gives the time below which a share of them lie: the nearest one that was measured.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let below = |(at, _): &(usize, &f64)| float(*at) < share * float(sorted.len());
        sorted.iter().enumerate().take_while(below).last().map_or(0.0, |(_, time)| *time)
    }
}

/// The head of a table of times.
pub(crate) const HEAD: &str =
    "| milliseconds | p50 | p90 | p99 | most |\n| --- | --: | --: | --: | --: |";

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Gives a count as a float; counts here are far below 2^32.
pub(crate) fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Gives the value of a series in a text of metrics; 0 when it is not there.
pub(crate) fn metric(text: &str, series: &str) -> f64 {
    let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value).unwrap_or_default()
}
