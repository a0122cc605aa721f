//! A point in time, as people give one: so long ago, a time, or a day.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::value::Duration;

/// As it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum When {
    /// `2h`: so long ago.
    Ago(Duration),
    /// `2026-11-24T10:00:00Z`
    At(Timestamp),
    /// `2026-11-24`: all of that day, by the clocks of the site.
    Day(Date),
    /// `2026-11-24 10:00`, by the clocks of the site.
    Local(DateTime),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        let text = text.trim();
        if let Ok(time) = text.parse() {
            return Ok(When::At(time));
        }
        let is_day = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if let (true, Ok(day)) = (is_day, text.parse()) {
            return Ok(When::Day(day));
        }
        if let (false, Ok(local)) = (is_day, text.parse()) {
            return Ok(When::Local(local));
        }
        text.parse().map(When::Ago).map_err(|_| {
            "write e.g. 2h, 7d, 2026-11-24, \"2026-11-24 10:00\" or 2026-11-24T10:00:00Z".to_owned()
        })
    }
}

impl When {
    /// When it begins. What is longer ago than time goes is the beginning of time.
    pub fn begin(&self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            When::At(time) => *time,
            When::Ago(Duration(length)) => {
                let length = SignedDuration::try_from(*length).unwrap_or(SignedDuration::MAX);
                now.checked_sub(length).unwrap_or(Timestamp::UNIX_EPOCH)
            }
            When::Day(day) => on_the_clock(day.to_datetime(Time::midnight()), zone),
            When::Local(time) => on_the_clock(*time, zone),
        }
    }

    /// When it ends: a day lasts until the next one.
    pub fn end(&self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            When::Day(day) => match day.tomorrow() {
                Ok(tomorrow) => When::Day(tomorrow).begin(now, zone),
                Err(_) => Timestamp::MAX,
            },
            When::Ago(_) | When::At(_) | When::Local(_) => self.begin(now, zone),
        }
    }
}

fn on_the_clock(time: DateTime, zone: &TimeZone) -> Timestamp {
    // Only at the ends of time there is none.
    let end = if time.year() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let time = zone.to_ambiguous_timestamp(time).compatible();
    time.unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-25T14:00:00Z".parse().unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, time) in [
            ("2h", "2026-11-25T12:00:00Z"),
            ("30d", "2026-10-26T14:00:00Z"),
            ("2026-11-24", "2026-11-23T23:00:00Z"),
            ("2026-11-24 10:00", "2026-11-24T09:00:00Z"),
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
            ("2026-11-24T10:00:00.123Z", "2026-11-24T10:00:00.123Z"),
            ("2026-11-24T10:00:00+02:00", "2026-11-24T08:00:00Z"),
            ("7000000d", "1970-01-01T00:00:00Z"),
            ("9999-12-31 23:00", "9999-12-30T22:00:00.999999999Z"),
        ] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.begin(now, &berlin).to_string(), time, "{text}");
        }
        let day: When = "2026-11-24".parse().unwrap();
        let end = day.end(now, &berlin).to_string();
        assert_eq!(end, "2026-11-24T23:00:00Z");
        for text in ["", "yesterday", "2026-13-01", "-2h", "2"] {
            assert!(text.parse::<When>().is_err(), "{text:?}");
        }
    }
}
