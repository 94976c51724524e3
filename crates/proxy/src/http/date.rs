//! Dates as people and protocols write them, and the `Date` of answers.

use std::cell::RefCell;
use std::time::SystemTime;

use crate::message::{HeaderName, HeaderValue, Headers};

thread_local! {
    /// The text for one second, which is that of thousands of answers.
    static NOW: RefCell<(u64, HeaderValue)> = RefCell::new((0, HeaderValue::from_static("")));
}

/// Adds `Date` to the head of an answer that has none, ours or an endpoint's (RFC 9110 6.6.1).
pub(crate) fn stamp(headers: &mut Headers) {
    if headers.contains("date") {
        return;
    }
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let value = NOW.with_borrow_mut(|(known, value)| {
        if *known != second
            && let Ok(fresh) = HeaderValue::parse(Date::of(now).http())
        {
            (*known, *value) = (second, fresh);
        }
        value.clone()
    });
    headers.append(HeaderName::from_static("date"), value);
}

/// A moment in UTC, as the calendar has it.
pub(crate) struct Date {
    /// From Sunday, 0.
    weekday: usize,
    year: i64,
    month: usize,
    day: i64,
    /// Seconds of the day.
    second: u64,
    millis: u32,
}

impl Date {
    /// Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day comes last.
    pub(crate) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let whole_days = since.as_secs() / 86_400;
        let days = i64::try_from(whole_days).unwrap_or_default() + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        Self {
            // The first day of 1970 was a Thursday.
            weekday: usize::try_from((whole_days + 4) % 7).unwrap_or_default(),
            year: year + era * 400 + i64::from(month <= 2),
            month: usize::try_from(month).unwrap_or(1),
            day: of_year - (153 * march + 2) / 5 + 1,
            second: since.as_secs() % 86_400,
            millis: since.subsec_millis(),
        }
    }

    fn clock(&self) -> String {
        let (hour, minute) = (self.second / 3600, self.second / 60 % 60);
        format!("{hour:02}:{minute:02}:{:02}", self.second % 60)
    }

    fn month(&self) -> &'static str {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        MONTHS.get(self.month - 1).copied().unwrap_or_default()
    }

    /// As the fields of HTTP have it (RFC 9110 5.6.7).
    pub(crate) fn http(&self) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        let day = DAYS.get(self.weekday).copied().unwrap_or_default();
        let (number, month, year) = (self.day, self.month(), self.year);
        format!("{day}, {number:02} {month} {year:04} {} GMT", self.clock())
    }

    /// As the common log format has it.
    pub(crate) fn common(&self) -> String {
        let month = self.month();
        format!("{:02}/{month}/{:04}:{} +0000", self.day, self.year, self.clock())
    }

    /// As JSON has it.
    pub(crate) fn rfc3339(&self) -> String {
        let (year, month, day) = (self.year, self.month, self.day);
        format!("{year:04}-{month:02}-{day:02}T{}.{:03}Z", self.clock(), self.millis)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| Date::of(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds));
        assert_eq!(at(0).common(), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(at(951_782_400_000).common(), "29/Feb/2000:00:00:00 +0000");
        assert_eq!(at(951_868_800_000).common(), "01/Mar/2000:00:00:00 +0000");
        assert_eq!(at(1_767_225_599_999).rfc3339(), "2025-12-31T23:59:59.999Z");
        assert_eq!(at(971_186_136_000).common(), "10/Oct/2000:13:55:36 +0000");
        assert_eq!(at(784_111_777_000).http(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(0).http(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn an_answer_gets_one_date() {
        let mut headers = Headers::new();
        stamp(&mut headers);
        stamp(&mut headers);
        assert_eq!(headers.len(), 1);
        let date = headers.first_str("date").expect("there is one");
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    }
}
