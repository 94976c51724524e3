//! Durations as Gateway API writes them (GEP-2257): `1h30m`, `250ms`, `0s`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration as the user wrote it. It is parsed where it is used, so that a bad one is a verdict on that
/// field and not a lost object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GepDuration(pub String);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADuration;

impl std::fmt::Display for NotADuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("write one to four groups of digits with a unit, such as 1h30m, 10s or 250ms")
    }
}

impl std::error::Error for NotADuration {}

impl GepDuration {
    /// Parses the text: `^([0-9]{1,5}(h|m|s|ms)){1,4}$`, each unit at most once.
    ///
    /// # Errors
    /// The text is of another form.
    pub fn parse(&self) -> Result<Duration, NotADuration> {
        let mut rest = self.0.as_str();
        let mut total = Duration::ZERO;
        let mut seen = Vec::with_capacity(4);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at_checked(digits).ok_or(NotADuration)?;
            let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, after) = after.split_at_checked(letters).ok_or(NotADuration)?;
            if !(1..=5).contains(&digits) || seen.contains(&unit) || seen.len() == 4 {
                return Err(NotADuration);
            }
            let number: u64 = number.parse().map_err(|_overflow| NotADuration)?;
            total += match unit {
                "h" => Duration::from_secs(number * 3600),
                "m" => Duration::from_secs(number * 60),
                "s" => Duration::from_secs(number),
                "ms" => Duration::from_millis(number),
                _ => return Err(NotADuration),
            };
            seen.push(unit);
            rest = after;
        }
        if seen.is_empty() { Err(NotADuration) } else { Ok(total) }
    }
}

impl schemars::JsonSchema for GepDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": 32,
            "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let parse = |text: &str| GepDuration(text.to_owned()).parse();
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(parse("1s250ms"), Ok(Duration::from_millis(1250)));
        for wrong in ["", "1", "s", "-1s", "1.5s", "1s1s", "123456s", "1d", "10µs", "1s "] {
            assert_eq!(parse(wrong), Err(NotADuration), "{wrong}");
        }
    }
}
