//! When something is to end, as an operator writes it: a day, a time, or a length of time from now.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use thiserror::Error;

/// An end that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// `2026-12-24`: the whole of that day still counts.
    Day(Date),
    /// `2026-12-24T18:00`, by the clocks of the site.
    Clock(DateTime),
    /// `2026-12-24T18:00:00Z`, `2026-12-24T18:00:00+01:00`: RFC 3339.
    Moment(Timestamp),
    /// `2h`, `7d`: from now on; a day has 24 hours.
    In(SignedDuration),
}

/// A text that says no end.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "{0:?} is not a time: write a day (2026-12-24), a time (2026-12-24T18:00 or 2026-12-24T18:00:00Z) or a length of time from now (2h, 7d)"
)]
pub struct UntilError(String);

impl Until {
    /// The first moment at which it is over, for somebody who asks now, by the clocks of a zone.
    /// `None`: beyond the end of time.
    pub fn ends_at(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let on_the_clock = |time: DateTime| {
            let time = zone.to_ambiguous_timestamp(time);
            time.compatible().ok()
        };
        match self {
            Until::Day(day) => on_the_clock(day.tomorrow().ok()?.to_datetime(Time::midnight())),
            Until::Clock(time) => on_the_clock(time),
            Until::Moment(time) => Some(time),
            Until::In(length) => now.checked_add(length).ok(),
        }
    }
}

impl FromStr for Until {
    type Err = UntilError;

    fn from_str(text: &str) -> Result<Until, UntilError> {
        let text = text.trim();
        // A day would read as its own midnight, and a time as its day: what is written decides.
        let is_day = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let read = if text.contains('[') {
            // The name of a zone, which would be passed over.
            None
        } else if is_day {
            text.parse().map(Until::Day).ok()
        } else if let Ok(moment) = text.parse() {
            Some(Until::Moment(moment))
        } else if text.contains(':') {
            text.parse().map(Until::Clock).ok()
        } else {
            let length = length(text).filter(SignedDuration::is_positive);
            length.map(Until::In)
        };
        read.ok_or_else(|| UntilError(text.to_owned()))
    }
}

/// A length of time that is the same whenever it begins: `90s`, `2h`, `7d`; a day has 24 hours.
pub fn length(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return None;
    }
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it is over for somebody in Berlin who asks at noon, UTC.
    fn end(text: &str) -> Option<String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let until: Until = text.parse().ok()?;
        until.ends_at(now, &zone).map(|time| time.to_string())
    }

    #[test]
    fn days_times_and_lengths() {
        for (text, expected) in [
            // The day is whole, and as long as it is there.
            ("2026-12-24", "2026-12-24T23:00:00Z"),
            ("2026-10-25", "2026-10-25T23:00:00Z"),
            ("2026-07-01", "2026-07-01T22:00:00Z"),
            ("2026-12-24T18:00", "2026-12-24T17:00:00Z"),
            ("2026-12-24 18:00:30", "2026-12-24T17:00:30Z"),
            ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
            ("2026-12-24 18:00:00+05:30", "2026-12-24T12:30:00Z"),
            ("2h", "2026-11-25T14:00:00Z"),
            ("7d", "2026-12-02T12:00:00Z"),
            ("1d 12h", "2026-11-27T00:00:00Z"),
            ("90m", "2026-11-25T13:30:00Z"),
            (" 2w ", "2026-12-09T12:00:00Z"),
            // A time that the clock skips is the one an hour on.
            ("2026-03-29T02:30", "2026-03-29T01:30:00Z"),
            // What is over is a time too; whether it will do is not decided here.
            ("2020-01-01", "2020-01-01T23:00:00Z"),
        ] {
            assert_eq!(end(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_no_time() {
        for text in [
            "",
            " ",
            "tomorrow",
            "24.12.2026",
            "2026-13-01",
            "2026-02-30",
            "2026-12-24T",
            "2026-12-24T25:00",
            "2026",
            "7",
            "0d",
            "-2h",
            "2h ago",
            "1 month",
            "1y",
            "2h; reboot",
            "2026-12-24T18:00[Mars/Base]",
        ] {
            assert_eq!(text.parse::<Until>().ok(), None, "{text:?}");
        }
        assert_eq!(end("9999-12-31"), None);
    }
}
