//! What a series of measurements comes to.

use std::time::Duration;

/// Gives the value below which `share` (0 to 1) of the values lie: the nearest one that was measured.
/// Zero for no values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut rank = 0;
    // Counted up instead of computed, so that no cast can cut anything off.
    while rank + 1 < sorted.len() && (f64_of(rank + 1)) < share * f64_of(sorted.len()) {
        rank += 1;
    }
    sorted.get(rank).copied().unwrap_or_default()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let (low, high) = (quantile(values, 0.5), -quantile(&negated(values), 0.5));
    f64::midpoint(low, high)
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Gives a count as a float; counts here are far below 2^32.
pub(crate) fn f64_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn negated(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| -value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the values are given out as they came in")]
    fn quantiles_are_measured_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), 50.0);
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&values, 1.0), 100.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(median(&values), 50.5);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
