//! The records of the file format, as they stand in a line. What they mean is `merge`'s business.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use crate::manage::fault::Fault;
use crate::manage::view::DomainStatus;
use crate::model::quota::Quota;
use crate::model::user::{CheckFrom, Enforce, Mode, Plan, Status, VerifiedBy};

/// One record.
pub(super) enum Record {
    Account(Account),
    Domain(Domain),
    User(Box<User>),
}

/// `account`. Left out and null are the same, here and below.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Account {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    pub name: Option<String>,
    pub plan: Option<Plan>,
    pub quotas: Option<Vec<Quota>>,
    pub created_at: Option<Timestamp>,
    /// Counted, not stored.
    #[serde(rename = "users")]
    _users: Option<u64>,
    /// Counted, not stored.
    #[serde(rename = "domains")]
    _domains: Option<u64>,
}

/// `domain`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Domain {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    pub domain: Option<String>,
    pub account: Option<String>,
    pub status: Option<DomainStatus>,
    pub verified_by: Option<VerifiedBy>,
    pub with_subdomains: Option<bool>,
    pub challenge: Option<Challenge>,
    pub added_at: Option<Timestamp>,
}

/// The challenge of a domain: all of it but the token follows from the domain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Challenge {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    pub value: String,
}

/// `user`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct User {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    pub id: Option<String>,
    pub name: Option<String>,
    pub account: Option<String>,
    pub status: Option<Status>,
    pub mode: Option<Mode>,
    pub allow: Option<Vec<String>>,
    pub ip: Option<Vec<String>>,
    pub logins: Option<Vec<String>>,
    pub quotas: Option<Vec<Quota>>,
    pub max_recipients: Option<u32>,
    pub check_from: Option<CheckFrom>,
    pub enforce: Option<Enforce>,
    pub enforce_until: Option<Timestamp>,
    pub note: Option<String>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub suspended_reason: Option<String>,
    pub password_hash: Option<String>,
}

/// Which record a line is.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// Reads one line.
pub(super) fn read(text: &str) -> Result<Record, Fault> {
    let head: Head<'_> = serde_json::from_str(text).map_err(|error| no_head(text, &error))?;
    match &*head.kind {
        "account" => fields(text).map(Record::Account),
        "domain" => fields(text).map(Record::Domain),
        "user" => fields(text).map(|user| Record::User(Box::new(user))),
        "token" => Err(Fault::new(
            "type",
            "tokens cannot be imported by this version: it has no API that would take them",
        )),
        other => Err(Fault::new(
            "type",
            format!("{other:?} is not a record: account, domain or user"),
        )),
    }
}

fn fields<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| blame::<T>(text, &error))
}

/// Why there is no type: no JSON, no object, or an object without it.
fn no_head(text: &str, error: &serde_json::Error) -> Fault {
    match serde_json::from_str(text) {
        Err(_) => Fault::new("", format!("not JSON: {}", without_line(error))),
        Ok(Value::Object(fields)) => Fault::new(
            "type",
            match fields.get("type") {
                None => "missing: account, domain or user",
                Some(_) => "not one word: account, domain or user",
            },
        ),
        Ok(_) => Fault::new("", "not a JSON object"),
    }
}

/// Finds the field that does not fit: all of them may be left out, so the first that fails alone
/// is the one.
fn blame<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Fault {
    let fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    for (name, value) in fields {
        let alone = Value::Object(Map::from_iter([(name.clone(), value)]));
        if let Err(error) = serde_json::from_value::<T>(alone) {
            return Fault::Refused {
                field: Cow::Owned(name),
                error: error.to_string(),
                hint: String::new(),
            };
        }
    }
    Fault::new("", without_line(error))
}

/// The JSON parser sees one line and calls it line 1, which would mislead.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", error.column()),
        None => text,
    }
}
