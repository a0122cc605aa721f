//! Which SPF record a domain publishes: none, one, or more than the one that is allowed
//! (RFC 7208 section 4.5). It does not judge what the record says.

use std::sync::Arc;

use super::record::{MAX_RECORD, Record};
use super::tree::FaultKind;

/// The text of the record among the strings at a name. Other TXT records are none of SPF's
/// business, whatever they hold.
pub fn select(strings: &[Arc<[u8]>]) -> Result<Option<&Arc<[u8]>>, FaultKind> {
    let mut found = all(strings);
    match (found.next(), found.count()) {
        (None, _) => Ok(None),
        (Some(record), 0) if record.len() > MAX_RECORD => Err(FaultKind::TooLong(record.len())),
        (Some(record), 0) => Ok(Some(record)),
        (Some(_), more) => Err(FaultKind::Several(more + 1)),
    }
}

/// The texts of all SPF records among the strings at a name.
pub fn all(strings: &[Arc<[u8]>]) -> impl Iterator<Item = &Arc<[u8]>> {
    strings.iter().filter(|string| is_spf(string))
}

/// Reads the text of a record. Bytes that are no UTF-8 are no ASCII either.
pub fn read(text: &[u8]) -> Result<Record, FaultKind> {
    Record::parse(&String::from_utf8_lossy(text)).map_err(FaultKind::Syntax)
}

/// Whether a string begins with `v=spf1` and a space, or is nothing else than `v=spf1`.
fn is_spf(string: &[u8]) -> bool {
    const VERSION: &[u8] = b"v=spf1";
    match string.split_at_checked(VERSION.len()) {
        Some((version, rest)) => {
            version.eq_ignore_ascii_case(VERSION) && matches!(rest.first(), None | Some(b' '))
        }
        None => false,
    }
}
