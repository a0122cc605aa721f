//! Values of configuration keys that are one word out of a fixed list.

use serde::Deserialize;

use crate::model::user::Enforce;

/// A choice between two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllowOrRefuse {
    /// Let it be.
    #[default]
    Allow,
    /// Do not.
    Refuse,
}

/// `any-domain.require-spf`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequireSpf {
    /// The strictest that `[relay]` makes possible.
    #[default]
    Auto,
    /// A valid record.
    Published,
    /// A record that includes this relay.
    Include,
    /// A record that passes for this relay.
    Pass,
}

/// `lockdown.apply`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockdownApply {
    /// Users in mode `any-domain`.
    #[default]
    AnyDomain,
    /// Everybody.
    Always,
}

/// `quota.over-limit`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverLimit {
    /// 450
    #[default]
    Defer,
    /// 550
    Reject,
}

/// `enforcement.mode`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnforcementMode {
    /// Refusals are carried out.
    #[default]
    Enforce,
    /// Refusals are only logged.
    Audit,
}

/// `enforcement.unknown-user`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefuseOrAllow {
    /// Refused.
    #[default]
    Refuse,
    /// Let pass.
    Allow,
}

/// `log.format`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// `key=value`.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// `log.level`
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something wants attention.
    Warn,
    /// A line per login, refusal and accepted message.
    #[default]
    Info,
    /// What peers do wrong.
    Debug,
    /// Everything but secrets.
    Trace,
}

impl From<EnforcementMode> for Enforce {
    fn from(mode: EnforcementMode) -> Enforce {
        match mode {
            EnforcementMode::Enforce => Enforce::On,
            EnforcementMode::Audit => Enforce::Audit,
        }
    }
}
