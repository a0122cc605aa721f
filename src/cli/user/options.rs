//! The options that describe a user: the same for `user add` and `user set`.

use clap::Args;
use jiff::Timestamp;

use crate::cli::failure::Failure;
use crate::cli::host::Host;
use crate::cli::word::{CheckFrom, Enforce, MaxRecipients, Mode};
use crate::manage::edit::Settings;
use crate::model::until::{Until, UntilError};

/// What is not given stays as it is. A list option replaces the whole list; `--allow=` empties it.
#[derive(Args)]
pub struct Options {
    /// The account that it belongs to (a new user: default)
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// How its sender domains are found
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// A sender that it may use: example.com, *.example.com or boss@example.com (repeatable; --allow= for none)
    #[arg(long, value_name = "GRANT", allow_hyphen_values = true)]
    allow: Option<Vec<String>>,
    /// An address or network that it may connect from (repeatable; none: from anywhere; --ip= for none)
    #[arg(long, value_name = "NETWORK", allow_hyphen_values = true)]
    ip: Option<Vec<String>>,
    /// A limit: 1000/day, 100/hour, "5000/month recipients" (repeatable; --quota= for none)
    #[arg(long, value_name = "QUOTA", allow_hyphen_values = true)]
    quota: Option<Vec<String>>,
    /// The most recipients of one message, or none for no limit
    #[arg(long, value_name = "N", value_parser = MaxRecipients::parse, allow_negative_numbers = true)]
    max_recipients: Option<MaxRecipients>,
    /// A SASL name, beside its own name, that means this user (repeatable; --login= for none)
    #[arg(long, value_name = "SASLNAME", allow_hyphen_values = true)]
    login: Option<Vec<String>>,
    /// Which senders of a message are checked
    #[arg(long, value_enum)]
    check_from: Option<CheckFrom>,
    /// Carry refusals out, or only log them
    #[arg(long, value_enum)]
    enforce: Option<Enforce>,
    /// When audit mode ends by itself: 2026-12-24 (the whole day), 2026-12-24T18:00, or from now: 2h, 7d
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    until: Option<String>,
    /// Your own words about it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    note: Option<String>,
    /// Read its password from standard input (one line)
    #[arg(long)]
    pub password_stdin: bool,
}

impl Options {
    /// All of it but the password, for `manage`, which judges it.
    pub fn settings(self, host: &Host) -> Result<Settings, Failure> {
        let until = self.until.as_deref().map(|text| end(text, host));
        Ok(Settings {
            account: self.account,
            mode: self.mode.map(Mode::into),
            allow: self.allow,
            ip: self.ip,
            quotas: self.quota,
            max_recipients: self.max_recipients.map(|MaxRecipients(most)| most),
            logins: self.login,
            check_from: self.check_from.map(CheckFrom::into),
            enforce: self.enforce.map(Enforce::into),
            until: until.transpose()?,
            note: self.note,
        })
    }
}

/// When that is, by the clocks that quotas follow too.
fn end(text: &str, host: &Host) -> Result<Timestamp, Failure> {
    let until: Until = text
        .parse()
        .map_err(|error: UntilError| Failure::refused(error.to_string(), ""))?;
    let end = until.ends_at(host.clock.now(), host.time_zone());
    end.ok_or_else(|| {
        Failure::refused(
            format!("{text:?} is beyond the end of time"),
            "without --until, audit mode has no end",
        )
    })
}
