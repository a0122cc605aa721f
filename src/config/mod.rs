//! The configuration file: every key, its type and its default.
//!
//! `config/outgate.toml` lists the same keys for people; a test holds the two together.
//! What a value means is written there and in the manual, what it may be is in its type: reading
//! a value is checking it.

pub mod choice;
pub mod load;
mod meaning;
pub mod spf_name;
pub mod value;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

pub use choice::{
    AllowOrRefuse, EnforcementMode, LockdownApply, LogFormat, LogLevel, OverLimit, RefuseOrAllow,
    RequireSpf,
};
use spf_name::SpfName;
use value::{
    Duration, Egress, Endpoint, HeaderName, HostName, Label, Mode, ReportUrl, StoreUrl, Zone,
};

/// All of it.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where state lives.
    pub store: Store,
    /// Where Postfix and operators ask.
    pub listen: Listen,
    /// This host as the world sees it.
    pub relay: Relay,
    /// Logging in.
    pub auth: Auth,
    /// Reading senders.
    pub sender: Sender,
    /// Mode `any-domain`.
    pub any_domain: AnyDomain,
    /// Lockdown records.
    pub lockdown: Lockdown,
    /// Name servers.
    pub dns: Dns,
    /// Limits.
    pub quota: Quota,
    /// What senders read.
    pub reply: Reply,
    /// The milter front end.
    pub milter: Milter,
    /// Enforcing or watching.
    pub enforcement: Enforcement,
    /// What postmasters read.
    pub log: Log,
}

/// `[store]`
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Store {
    /// `sqlite:/path`.
    pub url: StoreUrl,
}

/// `[listen]`
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listen {
    /// Dovecot auth protocol.
    pub auth: Endpoint,
    /// SMTPD policy delegation.
    pub policy: Endpoint,
    /// Milter.
    pub milter: Endpoint,
    /// API, web page, metrics.
    pub admin: Endpoint,
    /// Mode of the Unix sockets.
    pub socket_mode: Mode,
    /// Where the command line reaches the daemon; empty: beside the database.
    pub control: PathBuf,
}

impl Default for Listen {
    fn default() -> Listen {
        let spool = |name: &str| {
            Endpoint::Unix(PathBuf::from(format!(
                "/var/spool/postfix/outgate/{name}.sock"
            )))
        };
        Listen {
            auth: spool("auth"),
            policy: spool("policy"),
            milter: spool("milter"),
            admin: Endpoint::Off,
            socket_mode: Mode::default(),
            control: PathBuf::new(),
        }
    }
}

/// `[relay]`
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Relay {
    /// For replies; empty: the host's name.
    pub name: HostName,
    /// The name that customers include in their SPF records.
    pub spf_include: SpfName,
    /// Where mail leaves from.
    pub egress: Egress,
}

/// `[auth]`
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    /// No password over an unencrypted session.
    pub require_tls: bool,
    /// A wrong address sounds like a wrong password.
    pub hide_ip_reason: bool,
    /// How new hashes are made.
    pub hash: HashCost,
    /// 0: the number of cores.
    pub max_concurrent_hashes: u32,
    /// How long a right password is remembered.
    pub cache_ttl: Duration,
    /// When guessing is slowed.
    pub throttle: Throttle,
}

impl Default for Auth {
    fn default() -> Auth {
        Auth {
            require_tls: true,
            hide_ip_reason: false,
            hash: HashCost::default(),
            max_concurrent_hashes: 0,
            cache_ttl: Duration::from_secs(300),
            throttle: Throttle::default(),
        }
    }
}

/// `auth.hash`: Argon2id parameters, within bounds that no host regrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    rename_all = "kebab-case",
    try_from = "value::RawHashCost"
)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl HashCost {
    /// The most that may be configured, and that a stored or imported hash may ask for: about a
    /// second of work and a quarter of a GiB.
    pub const MAX: HashCost = HashCost {
        memory_kib: 256 * 1024,
        iterations: 10,
        parallelism: 16,
    };
}

impl Default for HashCost {
    fn default() -> HashCost {
        HashCost {
            memory_kib: 19456,
            iterations: 2,
            parallelism: 1,
        }
    }
}

/// `auth.throttle`
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Throttle {
    /// Different wrong passwords for one user from one network.
    pub distinct_failures: NonZeroU32,
    /// How long they count.
    pub window: Duration,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            distinct_failures: NonZeroU32::MIN.saturating_add(9),
            window: Duration::from_secs(15 * 60),
        }
    }
}

/// `[sender]`
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sender {
    /// Characters, as in Postfix.
    pub recipient_delimiter: String,
    /// Addresses inside display names.
    pub display_name_addresses: AllowOrRefuse,
}

/// `[any-domain]`
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnyDomain {
    /// How strict SPF is read.
    pub require_spf: RequireSpf,
    /// Whether a DMARC record must exist.
    pub require_dmarc: bool,
}

/// `[lockdown]`
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lockdown {
    /// The label in front of the domain.
    pub label: Label,
    /// For whom the records count.
    pub apply: LockdownApply,
}

/// `[dns]`
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// Empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// For everything that one decision asks.
    pub timeout: Duration,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns {
            servers: Vec::new(),
            timeout: Duration::from_secs(5),
        }
    }
}

/// `[quota]`
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quota {
    /// Whose midnight.
    pub time_zone: Zone,
    /// Temporary or permanent.
    pub over_limit: OverLimit,
}

/// `[reply]`
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reply {
    /// Where a reader finds more.
    pub report_url: ReportUrl,
    /// Whether to say what exactly was refused.
    pub detail: bool,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply {
            report_url: ReportUrl::default(),
            detail: true,
        }
    }
}

/// `[milter]`
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Milter {
    /// SMTP sessions at a time.
    pub max_connections: NonZeroU32,
    /// The field that names the user by its id; empty: none.
    pub trace_header: HeaderName,
    /// Values of `{daemon_name}` whose sessions must have logged in.
    pub authenticated_daemons: Vec<String>,
}

impl Default for Milter {
    fn default() -> Milter {
        Milter {
            max_connections: NonZeroU32::MIN.saturating_add(4095),
            trace_header: HeaderName::default(),
            authenticated_daemons: vec!["ORIGINATING".to_owned()],
        }
    }
}

/// `[enforcement]`
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Enforcement {
    /// `enforce` or `audit`.
    pub mode: EnforcementMode,
    /// Logins that nobody has.
    pub unknown_user: RefuseOrAllow,
}

/// `[log]`
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// The least important that is written.
    pub level: LogLevel,
    /// How long decisions are kept in the store; `0`: not at all.
    #[serde(deserialize_with = "or_nothing")]
    pub keep: Duration,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            format: LogFormat::default(),
            level: LogLevel::default(),
            keep: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// A length of time, or `0`.
fn or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "0" => Ok(Duration::from_secs(0)),
        length => length.parse().map_err(D::Error::custom),
    }
}
