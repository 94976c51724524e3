//! How many requests pass (N22).

use fairway_api::own::plugin::{self, RateLimitRule, RateLimitUnit};
use fairway_model::policy::{Millis, RateLimit, RateLimitKey};

use crate::route::fields::header_name;

/// Reads the block.
pub(crate) fn read(written: &plugin::RateLimit) -> Result<Vec<RateLimit>, String> {
    let rules = written.local.iter().flat_map(|local| &local.rules).enumerate();
    let one = |(index, rule): (usize, &RateLimitRule)| {
        one(rule).map_err(|why| format!("rateLimit.local.rules[{index}]: {why}"))
    };
    rules.map(one).collect()
}

fn one(rule: &RateLimitRule) -> Result<RateLimit, String> {
    let key = match &rule.key {
        plugin::RateLimitKey::ClientIp => RateLimitKey::ClientIp,
        plugin::RateLimitKey::Constant => RateLimitKey::Constant,
        plugin::RateLimitKey::Header => {
            RateLimitKey::Header(header_name(rule.header.as_deref().ok_or("header is missing")?)?)
        }
        plugin::RateLimitKey::Other(word) => return Err(format!("key {word} is not known")),
    };
    let period = match &rule.unit {
        RateLimitUnit::Second => 1_000,
        RateLimitUnit::Minute => 60_000,
        RateLimitUnit::Hour => 3_600_000,
        RateLimitUnit::Day => 86_400_000,
        RateLimitUnit::Other(word) => return Err(format!("unit {word} is not known")),
    };
    let positive = |field: &str, number: i32| {
        let read = u32::try_from(number).ok().filter(|number| *number > 0);
        read.ok_or_else(|| format!("{field}: {number} is below 1"))
    };
    let requests = positive("requests", rule.requests)?;
    let status = u16::try_from(rule.status_code.unwrap_or(429)).ok();
    Ok(RateLimit {
        key,
        requests,
        period: Millis::new(period).ok_or("the unit is empty")?,
        burst: rule.burst.map_or(Ok(requests), |burst| positive("burst", burst))?,
        status: status
            .filter(|status| (400..=599).contains(status))
            .ok_or("statusCode is not one of 400 to 599")?,
    })
}
