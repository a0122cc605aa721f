//! Values of configuration keys that are more than a number or a word: parsing them checks them.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::HashCost;
use crate::model::domain::Domain;
use crate::model::network::Network;
use crate::model::until;

/// Implements `Deserialize` through `FromStr`, so that an error points at the value in the file.
macro_rules! from_text {
    ($($kind:ty),+) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

from_text!(
    StoreUrl, Endpoint, Mode, HostName, Duration, Label, Zone, ReportUrl, HeaderName
);

/// `sqlite:/path/to/file`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreUrl(PathBuf);

impl StoreUrl {
    /// The database file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file beside the database.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.0.with_file_name(name)
    }
}

impl Default for StoreUrl {
    fn default() -> StoreUrl {
        StoreUrl(PathBuf::from("/var/lib/outgate/outgate.db"))
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<StoreUrl, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if path.starts_with('/') && !path.ends_with('/') => {
                Ok(StoreUrl(PathBuf::from(path)))
            }
            Some(("postgres" | "postgresql", _)) => Err(
                "PostgreSQL is not supported by this version: use sqlite:/absolute/path".to_owned(),
            ),
            _ => Err(format!(
                "{text:?} is not a store: write sqlite:/absolute/path"
            )),
        }
    }
}

/// Where a front end listens, in Postfix's own syntax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Not at all.
    Off,
    /// `unix:/path`.
    Unix(PathBuf),
    /// `inet:HOST:PORT`.
    Inet {
        /// A name or an address, IPv6 without its brackets.
        host: String,
        /// 0: any free one.
        port: u16,
    },
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Endpoint, String> {
        let wrong = || {
            format!(
                "{text:?} is not an endpoint: write unix:/path, inet:HOST:PORT, or \"\" for none"
            )
        };
        if text.is_empty() {
            return Ok(Endpoint::Off);
        }
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => {
                Ok(Endpoint::Unix(PathBuf::from(path)))
            }
            Some(("unix", _)) => Err(format!("{text:?}: the path must be absolute")),
            Some(("inet", rest)) => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
                let bare = host
                    .strip_prefix('[')
                    .and_then(|h| h.strip_suffix(']'))
                    .unwrap_or(host);
                let named = bare.parse::<IpAddr>().is_ok() || Domain::parse(bare).is_ok();
                let port = port.parse().map_err(|_| wrong())?;
                if !named {
                    return Err(wrong());
                }
                Ok(Endpoint::Inet {
                    host: bare.to_owned(),
                    port,
                })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Off => Ok(()),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
            Endpoint::Inet { host, port } if host.contains(':') => {
                write!(f, "inet:[{host}]:{port}")
            }
            Endpoint::Inet { host, port } => write!(f, "inet:{host}:{port}"),
        }
    }
}

/// The mode of a socket, octal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode(pub u32);

impl Default for Mode {
    fn default() -> Mode {
        Mode(0o660)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        let digits =
            (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if digits && mode <= 0o777 => Ok(Mode(mode)),
            _ => Err(format!(
                "{text:?} is not a file mode: write octal digits, e.g. \"0660\""
            )),
        }
    }
}

/// A host name, or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostName(Option<Domain>);

impl HostName {
    /// The name, if one is set.
    pub fn domain(&self) -> Option<&Domain> {
        self.0.as_ref()
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<HostName, String> {
        if text.is_empty() {
            return Ok(HostName(None));
        }
        let domain = Domain::parse(text).map_err(|e| format!("{text:?}: {e}"))?;
        Ok(HostName(Some(domain)))
    }
}

/// At most sixteen addresses or networks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Egress(pub Vec<Network>);

impl<'de> Deserialize<'de> for Egress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Egress, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.len() > 16 {
            return Err(D::Error::custom("at most 16 addresses or networks"));
        }
        let networks = texts.iter().map(|t| t.parse()).collect::<Result<_, _>>();
        Ok(Egress(networks.map_err(D::Error::custom)?))
    }
}

/// A length of time: `90s`, `5m`, `12h`, `30d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Duration {
        Duration(std::time::Duration::from_secs(seconds))
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Duration, String> {
        let wrong = || {
            format!(
                "{text:?} is not a length of time: write e.g. \"90s\", \"5m\", \"12h\" or \"30d\""
            )
        };
        let length = until::length(text).ok_or_else(wrong)?;
        let length = std::time::Duration::try_from(length).map_err(|_| wrong())?;
        if length.is_zero() {
            return Err(format!("{text:?}: must be longer than nothing"));
        }
        Ok(Duration(length))
    }
}

/// One label of a DNS name; an underscore is usual.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label(pub String);

impl Default for Label {
    fn default() -> Label {
        Label("_outgate".to_owned())
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Label, String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if (1..=63).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Label(text.to_ascii_lowercase()))
        } else {
            Err(format!("{text:?} is not a DNS label"))
        }
    }
}

/// A time zone by its IANA name.
#[derive(Clone, PartialEq, Debug)]
pub struct Zone(pub TimeZone);

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Zone, String> {
        if text == "UTC" {
            return Ok(Zone::default());
        }
        let zone = TimeZone::get(text).map_err(|_| {
            let remedy = match jiff::tz::db().is_definitively_empty() {
                true => "this host knows none but UTC: apt install tzdata",
                false => "write e.g. \"Europe/Berlin\"",
            };
            format!("{text:?} is not a time zone: {remedy}")
        })?;
        Ok(Zone(zone))
    }
}

/// A link that replies end with, or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReportUrl(String);

impl ReportUrl {
    /// With `{id}` where the decision's id goes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReportUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<ReportUrl, String> {
        let web = text.starts_with("https://") || text.starts_with("http://");
        let plain = text.bytes().all(|b| b.is_ascii_graphic());
        // A reply line has 400 bytes, and the sentence wants some of them.
        if text.is_empty() || (web && plain && text.len() <= 200) {
            Ok(ReportUrl(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a report URL: http(s), printable ASCII, at most 200 bytes, {{id}} for the id"
            ))
        }
    }
}

/// The name of a header field, or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HeaderName(String);

impl HeaderName {
    /// The name; empty for none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderName {
    type Err = String;

    fn from_str(text: &str) -> Result<HeaderName, String> {
        // RFC 5322 2.2: printable ASCII but the colon.
        let fits = text.len() <= 77 && text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let taken = [
            "from",
            "sender",
            "to",
            "cc",
            "bcc",
            "subject",
            "date",
            "message-id",
            "received",
            "reply-to",
        ];
        if fits && !taken.contains(&text.to_ascii_lowercase().as_str()) {
            Ok(HeaderName(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a header name for tracing, e.g. \"X-Outgate-User\""
            ))
        }
    }
}

/// `auth.hash` as it stands in the file.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawHashCost {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

impl Default for RawHashCost {
    fn default() -> RawHashCost {
        let HashCost {
            memory_kib,
            iterations,
            parallelism,
        } = HashCost::default();
        RawHashCost {
            memory_kib,
            iterations,
            parallelism,
        }
    }
}

impl TryFrom<RawHashCost> for HashCost {
    type Error = String;

    fn try_from(raw: RawHashCost) -> Result<HashCost, String> {
        let cost = HashCost {
            memory_kib: raw.memory_kib,
            iterations: raw.iterations,
            parallelism: raw.parallelism,
        };
        // One hash must stay far below the 10 s that Postfix waits, and below what a host can spare.
        let sound = (64..=HashCost::MAX.memory_kib).contains(&cost.memory_kib)
            && (1..=HashCost::MAX.iterations).contains(&cost.iterations)
            && (1..=HashCost::MAX.parallelism).contains(&cost.parallelism)
            && cost.memory_kib >= 8 * cost.parallelism;
        if sound {
            Ok(cost)
        } else {
            Err(
                "memory-kib must be 64 to 262144, iterations 1 to 10, parallelism 1 to 16"
                    .to_owned(),
            )
        }
    }
}
