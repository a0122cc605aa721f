//! How much a user or an account may send: `LIMIT/WINDOW [UNIT]`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One limit. Zero stands for "counted, not limited".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// How many in one window; 0 is unlimited.
    pub limit: u64,
    /// The stretch of time.
    pub window: Window,
    /// What is counted.
    #[serde(default)]
    pub unit: Unit,
}

/// Calendar windows in the configured time zone; `total` lasts until it is reset by hand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// A calendar day, 23 to 25 hours long.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// For ever.
    Total,
}

/// What a quota counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Messages.
    #[default]
    Messages,
    /// Recipients, as accepted by Postfix.
    Recipients,
}

/// A text that is not a quota.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a quota: write LIMIT/WINDOW, e.g. 1000/day or \"5000/month recipients\" (windows: minute, hour, day, week, month, total)"
)]
pub struct QuotaError(String);

impl Window {
    const NAMES: [(Window, &'static str); 6] = [
        (Window::Minute, "minute"),
        (Window::Hour, "hour"),
        (Window::Day, "day"),
        (Window::Week, "week"),
        (Window::Month, "month"),
        (Window::Total, "total"),
    ];

    /// When the window that `now` lies in ends; `None` for `total`, and at the end of time.
    pub fn resets_at(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = now.to_zoned_datetime(zone.clone());
        let day = |date: Date| Some(date.to_datetime(jiff::civil::Time::midnight()));
        let end: Option<DateTime> = match self {
            // Minutes and hours are counted on the instant, so that the hour that a clock change
            // repeats is two windows and not one of two hours.
            Window::Minute | Window::Hour => {
                let length = if self == Window::Minute { 60 } else { 3600 };
                let offset = i64::from(local.offset().seconds());
                let local_seconds = now.as_second() + offset;
                let next = (local_seconds.div_euclid(length) + 1) * length;
                return Timestamp::from_second(next - offset).ok();
            }
            Window::Day => local.date().tomorrow().ok().and_then(day),
            Window::Week => {
                let days = 7 - i64::from(local.date().weekday().to_monday_zero_offset());
                local.date().checked_add(days.days()).ok().and_then(day)
            }
            Window::Month => local.date().last_of_month().tomorrow().ok().and_then(day),
            Window::Total => None,
        };
        let end = zone.to_ambiguous_timestamp(end?).compatible().ok()?;
        Some(end)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Window::NAMES.iter().find(|(window, _)| window == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Messages => "messages",
            Unit::Recipients => "recipients",
        })
    }
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Quota, QuotaError> {
        let wrong = || QuotaError(text.to_owned());
        let mut words = text.split_whitespace();
        let amount = words.next().ok_or_else(wrong)?.to_ascii_lowercase();
        let unit = match words.next().map(str::to_ascii_lowercase).as_deref() {
            None | Some("messages" | "message") => Unit::Messages,
            Some("recipients" | "recipient") => Unit::Recipients,
            Some(_) => return Err(wrong()),
        };
        let (limit, window) = amount.split_once('/').unwrap_or((&amount, "day"));
        let digits = !limit.is_empty() && limit.bytes().all(|b| b.is_ascii_digit());
        let window = Window::NAMES.iter().find(|(_, name)| *name == window);
        match (digits, limit.parse::<u64>(), window, words.next()) {
            // SQL integers are signed.
            (true, Ok(limit), Some((window, _)), None) if limit <= i64::MAX as u64 => Ok(Quota {
                limit,
                window: *window,
                unit,
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.limit, self.window)?;
        match self.unit {
            Unit::Messages => Ok(()),
            Unit::Recipients => write!(f, " {}", self.unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_print_as_they_parse() {
        for (text, printed) in [
            ("1000/day", "1000/day"),
            ("100", "100/day"),
            ("5000/month recipients", "5000/month recipients"),
            ("7/Total messages", "7/total"),
            ("0/day", "0/day"),
        ] {
            assert_eq!(
                text.parse::<Quota>().unwrap().to_string(),
                printed,
                "{text}"
            );
        }
        for text in [
            "",
            "/day",
            "-1/day",
            "1.5/day",
            "+1/day",
            "10/year",
            "10/day bytes",
            "10/day messages x",
            "99999999999999999999/day",
        ] {
            assert!(text.parse::<Quota>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn windows_end_by_the_calendar() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-10-24T22:30:10Z".parse().unwrap();
        for (window, end) in [
            (Window::Minute, "2026-10-24T22:31:00Z"),
            (Window::Hour, "2026-10-24T23:00:00Z"),
            // 25 October 2026 has 25 hours there.
            (Window::Day, "2026-10-25T23:00:00Z"),
            (Window::Week, "2026-10-25T23:00:00Z"),
            (Window::Month, "2026-10-31T23:00:00Z"),
        ] {
            assert_eq!(
                window.resets_at(now, &zone).unwrap().to_string(),
                end,
                "{window}"
            );
        }
        assert_eq!(Window::Total.resets_at(now, &zone), None);
    }
}
