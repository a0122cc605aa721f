//! The lists and texts of a record, read from what operators write: each item checked, repeated
//! items collapsed, lengths bounded.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use super::fault::Fault;
use crate::model::grant::Grant;
use crate::model::name::{Login, Name};
use crate::model::network::Network;
use crate::model::quota::Quota;
use crate::model::user::{MAX_LIST, MAX_QUOTAS};

/// At most this many characters in a note or a reason.
const MAX_TEXT: usize = 1000;

/// Reads a user's grants. Whether the account may have them is asked elsewhere.
pub(super) fn grants(texts: &[String]) -> Result<Vec<Grant>, Fault> {
    items("allow", texts, MAX_LIST)
}

/// Reads an IP list.
pub(super) fn networks(texts: &[String]) -> Result<Vec<Network>, Fault> {
    items("ip", texts, MAX_LIST)
}

/// Reads extra logins. The user's own name is one of its logins anyhow and is left out.
pub(super) fn logins(texts: &[String], name: &Name) -> Result<Vec<Login>, Fault> {
    let mut logins: Vec<Login> = items("logins", texts, MAX_LIST + 1)?;
    let own = name.to_login();
    logins.retain(|login| *login != own);
    within("logins", logins.len(), MAX_LIST)?;
    Ok(logins)
}

/// Reads quotas.
pub(super) fn quotas(texts: &[String]) -> Result<Vec<Quota>, Fault> {
    let quotas = items("quotas", texts, MAX_QUOTAS)?;
    one_limit_each(quotas)
}

/// Checks quotas that came as numbers and words.
pub(super) fn checked_quotas(quotas: Vec<Quota>) -> Result<Vec<Quota>, Fault> {
    // SQL integers are signed.
    if let Some(quota) = quotas.iter().find(|q| q.limit > i64::MAX as u64) {
        let error = format!("{} is more than a quota can count", quota.limit);
        return Err(Fault::new("quotas", error));
    }
    let quotas = collapsed(quotas);
    within("quotas", quotas.len(), MAX_QUOTAS)?;
    one_limit_each(quotas)
}

/// Use is counted by window and unit, so two limits for the same would be one too many.
fn one_limit_each(quotas: Vec<Quota>) -> Result<Vec<Quota>, Fault> {
    let mut seen = HashSet::new();
    match quotas.iter().find(|q| !seen.insert((q.window, q.unit))) {
        None => Ok(quotas),
        Some(quota) => Err(Fault::new(
            "quotas",
            format!(
                "there are two limits for {} a {}: give one",
                quota.unit, quota.window
            ),
        )),
    }
}

/// Checks the most recipients that a message may have.
pub(super) fn max_recipients(most: Option<u32>) -> Result<Option<u32>, Fault> {
    if most == Some(0) {
        return Err(Fault::with_hint(
            "max_recipients",
            "a message has at least one recipient, so the most cannot be 0",
            "to stop a user, suspend it: outgate user suspend NAME",
        ));
    }
    Ok(most)
}

/// Checks an operator's own words: bounded, and without characters that take over a terminal.
pub(super) fn words(field: &'static str, text: &str) -> Result<String, Fault> {
    if text.chars().count() > MAX_TEXT {
        let error = format!("the {field} is longer than {MAX_TEXT} characters");
        return Err(Fault::new(field, error));
    }
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        let error = format!("the {field} has control characters: {text:?}");
        return Err(Fault::new(field, error));
    }
    Ok(text.to_owned())
}

/// Refuses a list that is too long.
pub(super) fn within(field: &'static str, length: usize, most: usize) -> Result<(), Fault> {
    if length <= most {
        return Ok(());
    }
    let error = format!("{length} entries in {field}: the most is {most}");
    Err(Fault::new(field, error))
}

/// A list option that was given once and empty, as in `--allow=`, empties the list.
fn items<T>(field: &'static str, texts: &[String], most: usize) -> Result<Vec<T>, Fault>
where
    T: FromStr<Err: Display> + Clone + Eq + Hash,
{
    if matches!(texts, [only] if only.is_empty()) {
        return Ok(Vec::new());
    }
    let items: Result<Vec<T>, Fault> = texts.iter().map(|text| item(field, text)).collect();
    let items = collapsed(items?);
    within(field, items.len(), most)?;
    Ok(items)
}

/// Reads one entry of a list.
pub(super) fn item<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Result<T, Fault> {
    text.parse()
        .map_err(|error: T::Err| Fault::new(field, error.to_string()))
}

/// Keeps the first of each.
pub(super) fn collapsed<T: Clone + Eq + Hash>(mut items: Vec<T>) -> Vec<T> {
    if items.len() > 1 {
        let mut seen = HashSet::with_capacity(items.len());
        items.retain(|item| seen.insert(item.clone()));
    }
    items
}
