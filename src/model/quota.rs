//! How much a user or an account may send: `LIMIT/WINDOW [UNIT]`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::name::{Name, UserId};

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

/// Whose use is counted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// One user.
    User(UserId),
    /// All users of an account together.
    Account(Name),
}

/// `user:ID` or `account:NAME`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::User(id) => write!(f, "user:{id}"),
            Subject::Account(name) => write!(f, "account:{name}"),
        }
    }
}

impl Subject {
    /// Reads what is written by [`Subject`]'s `Display`.
    pub fn parse(text: &str) -> Option<Subject> {
        match text.split_once(':')? {
            ("user", id) => Some(Subject::User(UserId(id.parse().ok()?))),
            ("account", name) => Some(Subject::Account(Name::parse(name).ok()?)),
            _ => None,
        }
    }
}

/// What is counted together. A use belongs to its counter, whatever the limit is, and whether there
/// is one just now.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Counter {
    /// Whose.
    pub subject: Subject,
    /// The stretch of time that it starts anew with.
    pub window: Window,
    /// What it counts.
    pub unit: Unit,
}

/// What a counter of a subject holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// The stretch of time.
    pub window: Window,
    /// What it counts.
    pub unit: Unit,
    /// When the window began that it was last counted in; another may have begun since.
    pub starts: Timestamp,
    /// How much was used in that window.
    pub used: u64,
}

/// Tells one message from all others, however often and by whichever way it is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MessageKey(pub [u8; 16]);

impl MessageKey {
    /// For a message that nobody asks about twice.
    pub fn unique() -> MessageKey {
        MessageKey(*uuid::Uuid::now_v7().as_bytes())
    }

    /// From a digest of everything that tells the message from others.
    pub fn of_digest(digest: &[u8; 32]) -> MessageKey {
        let [key @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *digest;
        MessageKey(key)
    }
}

/// A text that is not a quota.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a quota: write LIMIT/WINDOW, e.g. 1000/day or \"5000/month recipients\" (windows: minute, hour, day, week, month, total)"
)]
pub struct QuotaError(String);

impl Window {
    /// All of them, in the order of their declaration.
    pub const ALL: [Window; 6] = [
        Window::Minute,
        Window::Hour,
        Window::Day,
        Window::Week,
        Window::Month,
        Window::Total,
    ];

    const NAMES: [(Window, &'static str); 6] = [
        (Window::Minute, "minute"),
        (Window::Hour, "hour"),
        (Window::Day, "day"),
        (Window::Week, "week"),
        (Window::Month, "month"),
        (Window::Total, "total"),
    ];

    /// When the window that `now` lies in began. `total` has one beginning for ever.
    pub fn starts_at(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = now.to_zoned_datetime(zone.clone());
        let date = local.date();
        let first: Date = match self {
            Window::Minute => return on_the_clock(&local, 60, 0).unwrap_or(Timestamp::MIN),
            Window::Hour => return on_the_clock(&local, 3600, 0).unwrap_or(Timestamp::MIN),
            Window::Day => date,
            Window::Week => {
                let days = i64::from(date.weekday().to_monday_zero_offset());
                date.saturating_sub(days.days())
            }
            Window::Month => date.first_of_month(),
            Window::Total => return Timestamp::UNIX_EPOCH,
        };
        midnight(first, zone).unwrap_or(Timestamp::MIN)
    }

    /// When the window that `now` lies in ends; `None` for `total`, and at the end of time.
    pub fn resets_at(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = now.to_zoned_datetime(zone.clone());
        let date = local.date();
        let next: Date = match self {
            Window::Minute => return on_the_clock(&local, 60, 1),
            Window::Hour => return on_the_clock(&local, 3600, 1),
            Window::Day => date.tomorrow().ok()?,
            Window::Week => {
                let days = 7 - i64::from(date.weekday().to_monday_zero_offset());
                date.checked_add(days.days()).ok()?
            }
            Window::Month => date.last_of_month().tomorrow().ok()?,
            Window::Total => return None,
        };
        midnight(next, zone)
    }
}

/// The last moment at which the clock on the wall showed a whole multiple of `length` seconds, and
/// `further` lengths on. Counted on the instant, so that the hour that a clock change repeats is two
/// windows and not one of two hours.
fn on_the_clock(local: &ZonedDateTime, length: i64, further: i64) -> Option<Timestamp> {
    let offset = i64::from(local.offset().seconds());
    let shown = local.timestamp().as_second() + offset;
    let whole = (shown.div_euclid(length) + further) * length;
    Timestamp::from_second(whole - offset).ok()
}

/// The first moment of a day.
fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let midnight = date.to_datetime(Time::midnight());
    zone.to_ambiguous_timestamp(midnight).compatible().ok()
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

    /// Beginning and end of the window that a time lies in.
    fn bounds(window: Window, zone: &str, now: &str) -> (String, String) {
        let zone = TimeZone::get(zone).unwrap();
        let now = now.parse().unwrap();
        let end = window.resets_at(now, &zone).unwrap();
        (window.starts_at(now, &zone).to_string(), end.to_string())
    }

    /// A window, a zone, a time, and when the window that it lies in begins and ends.
    const BOUNDS: &[(Window, &str, &str, &str, &str)] = &[
        // The days on which summer time ends and begins have 25 and 23 hours.
        (
            Window::Day,
            "Europe/Berlin",
            "2026-10-25T12:00:00Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            Window::Day,
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            Window::Week,
            "Europe/Berlin",
            "2026-10-25T12:00:00Z",
            "2026-10-18T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            Window::Week,
            "Europe/Berlin",
            "2026-10-18T22:00:00Z",
            "2026-10-18T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            Window::Month,
            "Europe/Berlin",
            "2026-03-31T21:59:59Z",
            "2026-02-28T23:00:00Z",
            "2026-03-31T22:00:00Z",
        ),
        (
            Window::Month,
            "UTC",
            "2028-02-29T23:59:59Z",
            "2028-02-01T00:00:00Z",
            "2028-03-01T00:00:00Z",
        ),
        // The hour from 2 to 3 comes twice: two windows.
        (
            Window::Hour,
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            "2026-10-25T00:00:00Z",
            "2026-10-25T01:00:00Z",
        ),
        (
            Window::Hour,
            "Europe/Berlin",
            "2026-10-25T01:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
        ),
        // Zones that are half an hour, or three quarters, off.
        (
            Window::Hour,
            "Asia/Kolkata",
            "2026-07-01T12:29:59Z",
            "2026-07-01T11:30:00Z",
            "2026-07-01T12:30:00Z",
        ),
        (
            Window::Hour,
            "Asia/Kathmandu",
            "2026-07-01T12:20:00Z",
            "2026-07-01T12:15:00Z",
            "2026-07-01T13:15:00Z",
        ),
        (
            Window::Minute,
            "Asia/Kolkata",
            "2026-07-01T12:29:59Z",
            "2026-07-01T12:29:00Z",
            "2026-07-01T12:30:00Z",
        ),
        (
            Window::Day,
            "Asia/Kolkata",
            "2026-07-01T18:30:00Z",
            "2026-07-01T18:30:00Z",
            "2026-07-02T18:30:00Z",
        ),
        // Years that have been: what governments will do differs from one version of tzdata to the next.
        // A day without a midnight begins at one.
        (
            Window::Day,
            "Africa/Cairo",
            "2024-04-26T12:00:00Z",
            "2024-04-25T22:00:00Z",
            "2024-04-26T21:00:00Z",
        ),
        // A midnight that comes twice begins one day.
        (
            Window::Day,
            "America/Havana",
            "2024-11-03T05:30:00Z",
            "2024-11-03T04:00:00Z",
            "2024-11-04T05:00:00Z",
        ),
    ];

    #[test]
    fn windows_begin_by_the_calendar() {
        for (window, zone, now, begin, end) in BOUNDS {
            let expected = ((*begin).to_owned(), (*end).to_owned());
            assert_eq!(
                bounds(*window, zone, now),
                expected,
                "{window} at {now} in {zone}"
            );
        }
        let now: Timestamp = "2026-10-25T12:00:00Z".parse().unwrap();
        let total = Window::Total.starts_at(now, &TimeZone::UTC);
        assert_eq!(
            total,
            Window::Total.starts_at(Timestamp::UNIX_EPOCH, &TimeZone::UTC)
        );
    }

    #[test]
    fn every_moment_lies_in_its_window_and_windows_never_go_back() {
        let windows = [
            Window::Minute,
            Window::Hour,
            Window::Day,
            Window::Week,
            Window::Month,
        ];
        for zone in [
            "UTC",
            "Europe/Berlin",
            "Australia/Lord_Howe",
            "Africa/Cairo",
            "America/Havana",
            "Pacific/Apia",
        ] {
            let zone = TimeZone::get(zone).unwrap();
            for window in windows {
                let mut before = Timestamp::MIN;
                // From the middle of December 2011, when Samoa had no 30th, a year on.
                for step in 0..(366 * 48) {
                    let now = Timestamp::from_second(1_323_900_000 + step * 1800 + 7).unwrap();
                    let begin = window.starts_at(now, &zone);
                    let end = window.resets_at(now, &zone).unwrap();
                    assert!(
                        begin <= now && now < end,
                        "{window} at {now}: {begin} to {end}"
                    );
                    assert!(before <= begin, "{window} at {now}: {before}, then {begin}");
                    before = begin;
                }
            }
        }
    }
}
