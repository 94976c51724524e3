//! When an endpoint that answers badly rests for a while.

use fairway_api::own::plugin::PassiveHealthCheck;
use fairway_model::policy::{Millis, PassiveHealth};

use super::millis;

/// Reads the block, defaults filled in.
pub(crate) fn read(written: &PassiveHealthCheck) -> Result<PassiveHealth, String> {
    let count = |field: &str, number: Option<i32>| {
        let read = number.map(|number| u32::try_from(number).ok().filter(|number| *number > 0));
        read.map(|read| read.ok_or_else(|| format!("healthCheck.passive.{field} is below 1")))
            .transpose()
    };
    let mut consecutive_5xx = count("consecutive5xx", written.consecutive_5xx)?;
    let consecutive_gateway_errors =
        count("consecutiveGatewayErrors", written.consecutive_gateway_errors)?;
    if consecutive_5xx.is_none() && consecutive_gateway_errors.is_none() {
        consecutive_5xx = Some(5);
    }
    let time = |field: &str, written, default| {
        let field = format!("healthCheck.passive.{field}");
        let read = millis(&field, written)?;
        let given = read.or_else(|| if written.is_none() { Millis::new(default) } else { None });
        given.ok_or_else(|| format!("{field} is zero"))
    };
    let percent = written.max_ejection_percent.unwrap_or(10);
    let percent = u8::try_from(percent).ok().filter(|percent| (1..=100).contains(percent));
    Ok(PassiveHealth {
        consecutive_5xx,
        consecutive_gateway_errors,
        interval: time("interval", written.interval.as_ref(), 10_000)?,
        base_ejection_time: time("baseEjectionTime", written.base_ejection_time.as_ref(), 30_000)?,
        max_ejection_percent: percent
            .ok_or("healthCheck.passive.maxEjectionPercent is not one of 1 to 100")?,
    })
}
