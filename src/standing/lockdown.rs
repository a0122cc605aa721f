//! Lockdown records: a domain's word on which users of this host may send as it.
//!
//! `_outgate.example.com TXT "v=og1 auth=shop auth=018f…"`. Whoever runs the domain's DNS
//! publishes it; it binds users in mode `any-domain`, and with `lockdown.apply = "always"` all.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::{Look, texts};
use crate::model::dns::{DnsName, Known, Query};
use crate::model::domain::Domain;
use crate::model::name::{Name, UserId, as_id};
use crate::model::reply::escape;

/// What a record begins with.
const VERSION: &[u8] = b"v=og1";
/// How many users a domain may list; with more it is locked for everybody, as with a record that
/// cannot be read.
const MOST_LISTED: usize = 100;
/// How long its records may be, all together, in bytes.
const MAX_TEXT: usize = 8 * 1024;
/// How many users are shown to people.
const SHOWN: usize = 10;

/// What a domain says about who may send as it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lockdown {
    /// Nothing: there is no record.
    Open,
    /// Only these may; names and ids in lower case, each once. Nobody if there are none. Shared:
    /// each decision about the domain shows it.
    Listed(Arc<[Box<str>]>),
    /// Nobody may: this record cannot be read (escaped, shortened).
    Unreadable(Arc<str>),
    /// Nobody may: there is more than anybody needs.
    TooMuch,
}

impl Lockdown {
    /// Whether this user may send as the domain.
    pub fn admits(&self, name: &Name, id: UserId) -> bool {
        match self {
            Lockdown::Open => true,
            // What is an id is no name: anybody can read the record and choose a name.
            Lockdown::Listed(listed) => listed.iter().any(|auth| match as_id(auth) {
                Some(listed) => listed == id,
                None => **auth == *name.as_str(),
            }),
            Lockdown::Unreadable(_) | Lockdown::TooMuch => false,
        }
    }

    /// About how many bytes it takes in memory, beside itself.
    pub fn size(&self) -> usize {
        match self {
            Lockdown::Open | Lockdown::TooMuch => 0,
            Lockdown::Listed(listed) => listed
                .iter()
                .map(|auth| size_of::<Box<str>>() + 16 + auth.len())
                .sum(),
            Lockdown::Unreadable(text) => text.len(),
        }
    }
}

impl fmt::Display for Lockdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lockdown::Open => f.write_str("no lockdown record"),
            Lockdown::Listed(listed) if listed.is_empty() => f.write_str("locked for everybody"),
            Lockdown::Listed(listed) => {
                let (shown, more) = listed.split_at(SHOWN.min(listed.len()));
                write!(f, "locked but for {}", escape(&shown.join(", ")))?;
                match more.len() {
                    0 => Ok(()),
                    count => write!(f, " and {count} more"),
                }
            }
            Lockdown::TooMuch => write!(
                f,
                "locked for everybody: more than {MOST_LISTED} users or {MAX_TEXT} bytes"
            ),
            Lockdown::Unreadable(text) => write!(
                f,
                "locked for everybody: the record \"{text}\" cannot be read"
            ),
        }
    }
}

/// What the domain says. A record of a parent domain does not cover its children, so only one name is
/// asked.
pub fn look(label: &str, domain: &Domain, known: &Known) -> Look<Lockdown> {
    let Ok(name) = DnsName::below(label, domain) else {
        // Too long to exist.
        return Ok(Ok(Lockdown::Open));
    };
    let texts = texts(Query::txt(name), known)?;
    Ok(texts.map(|texts| read(texts.iter().map(AsRef::as_ref))))
}

/// Reads all text records at the name. Several add up; one that is ours and cannot be read locks
/// the domain, because its owner meant to restrict something. Texts that are not ours are
/// somebody else's business (a wildcard TXT record may stand there).
fn read<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Lockdown {
    let mut listed: Option<BTreeSet<Box<str>>> = None;
    let mut length = 0;
    for text in texts {
        let auths = match tags(text).map(authorized) {
            Some(Some(auths)) => auths,
            None if !is_meant(text) => continue,
            Some(None) | None => return Lockdown::Unreadable(shown(text).into()),
        };
        length += text.len();
        if length > MAX_TEXT {
            return Lockdown::TooMuch;
        }
        listed.get_or_insert_default().extend(auths);
    }
    match listed {
        None => Lockdown::Open,
        Some(listed) if listed.len() > MOST_LISTED => Lockdown::TooMuch,
        Some(listed) => Lockdown::Listed(listed.into_iter().collect()),
    }
}

/// Whether a text is a lockdown record written slightly wrong: quotes stored along, white space
/// around the sign, none behind the version. A digit behind it makes it another version.
fn is_meant(text: &[u8]) -> bool {
    let mut rest = text
        .iter()
        .filter(|b| b.is_ascii_alphanumeric() || **b == b'=');
    let version = VERSION.iter().all(|expected| {
        rest.next()
            .is_some_and(|b| b.eq_ignore_ascii_case(expected))
    });
    version && rest.next().is_none_or(|b| !b.is_ascii_digit())
}

/// What follows `v=og1`, if that is what the text begins with (in either case).
fn tags(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii();
    let (version, tags) = text.split_at_checked(VERSION.len())?;
    let ends = tags.first().is_none_or(|b| !b.is_ascii_alphanumeric());
    (version.eq_ignore_ascii_case(VERSION) && ends).then_some(tags)
}

/// The values of the `auth` tags. Tags stand apart by white space or semicolons. Tags of other
/// names are left for later versions: they never admit anybody.
fn authorized(tags: &[u8]) -> Option<Vec<Box<str>>> {
    let tags = std::str::from_utf8(tags).ok()?;
    let mut auths = Vec::new();
    for tag in tags.split(|c: char| c.is_ascii_whitespace() || c == ';') {
        if tag.is_empty() {
            continue;
        }
        let (name, value) = tag.split_once('=')?;
        let named = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || !name.bytes().all(named) {
            return None;
        }
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        if name.eq_ignore_ascii_case("auth") {
            auths.push(value.to_ascii_lowercase().into());
        }
    }
    Some(auths)
}

/// A record for people: it comes from strangers.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(80)]);
    escape(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(texts: &[&str]) -> Lockdown {
        read(texts.iter().map(|text| text.as_bytes()))
    }

    fn listed(auths: &[&str]) -> Lockdown {
        let auths: BTreeSet<Box<str>> = auths.iter().map(|auth| Box::from(*auth)).collect();
        Lockdown::Listed(auths.into_iter().collect())
    }

    #[test]
    fn what_is_listed_is_bounded_and_shown_in_part() {
        let record = |count: usize| {
            let tags: String = (0..count).map(|n| format!(" auth=user{n:03}")).collect();
            format!("v=og1{tags}")
        };
        let hundred = read_all(&[&record(100), &record(50), "v=og1 auth=USER007"]);
        assert!(hundred.admits(&Name::parse("user099").unwrap(), UserId::new()));
        assert_eq!(
            hundred.to_string(),
            "locked but for user000, user001, user002, user003, user004, user005, user006, \
             user007, user008, user009 and 90 more"
        );
        assert!(hundred.size() > 100 * 20, "{}", hundred.size());
        assert!(hundred.size() < 10_000, "{}", hundred.size());
        let more = read_all(&[&record(100), "v=og1 auth=another"]);
        assert_eq!(more, Lockdown::TooMuch);
        assert!(!more.admits(&Name::parse("another").unwrap(), UserId::new()));
        let long = "v=og1 auth=shop ".repeat(600);
        assert_eq!(read_all(&[&long]), Lockdown::TooMuch);
        let repeated = format!("v=og1{}", " auth=shop".repeat(600));
        assert_eq!(read_all(&[&repeated]), listed(&["shop"]));
        // What is not ours does not count.
        assert_eq!(
            read_all(&[&"x".repeat(60_000), "v=og1 auth=shop"]),
            listed(&["shop"])
        );
    }

    #[test]
    fn records_say_who_may_send() {
        for (texts, found) in [
            (&[] as &[&str], Lockdown::Open),
            (&["v=spf1 -all"], Lockdown::Open),
            (&["v=og10 auth=shop"], Lockdown::Open),
            (&["\"v=og10 auth=shop\""], Lockdown::Open),
            (&["og1 auth=shop"], Lockdown::Open),
            (&["see v=og1 auth=shop"], Lockdown::Open),
            (&["v=og1 auth=shop"], listed(&["shop"])),
            (&["v=og1 auth=shop auth=Crm"], listed(&["shop", "crm"])),
            (&["V=OG1  AUTH=shop "], listed(&["shop"])),
            (&["v=og1; auth=shop; auth=crm;"], listed(&["shop", "crm"])),
            (
                &["v=og1 auth=shop", "v=og1 auth=crm"],
                listed(&["shop", "crm"]),
            ),
            (&["v=og1 auth=shop", "v=og1"], listed(&["shop"])),
            (&["v=og1"], listed(&[])),
            (&["v=og1 later=x"], listed(&[])),
            (&["v=og1 auth=shop later=x"], listed(&["shop"])),
            (
                &["google-site-verification=x", "v=og1 auth=a"],
                listed(&["a"]),
            ),
        ] {
            assert_eq!(read_all(texts), found, "{texts:?}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_locks_for_all() {
        for texts in [
            &["v=og1 shop"] as &[&str],
            &["v=og1 auth="],
            &["v=og1 auth"],
            &["v=og1 =shop"],
            &["v=og1,auth=shop"],
            &["v=og1 auth=shöp"],
            &["v=og1 auth=shop", "v=og1 auth="],
            &["v=og1 auth=shop crm"],
            &["\"v=og1 auth=shop\""],
            &["'v=og1' 'auth=shop'"],
            &["“v=og1 auth=shop”"],
            &["v = og1 auth=shop"],
            &["v= og1; auth=shop"],
            &["\"v=og1\" \"auth=shop\""],
            &["v=og1auth=shop"],
            &["unrelated", "V =OG1", "v=og1 auth=shop"],
        ] {
            assert!(
                matches!(read_all(texts), Lockdown::Unreadable(_)),
                "{texts:?}"
            );
        }
        assert!(matches!(
            read([&b"v=og1 auth=\xff"[..]].into_iter()),
            Lockdown::Unreadable(_)
        ));
    }

    #[test]
    fn users_are_listed_by_name_or_id() {
        let (name, id) = (Name::parse("shop").unwrap(), UserId::new());
        assert!(Lockdown::Open.admits(&name, id));
        assert!(listed(&["crm", "shop"]).admits(&name, id));
        assert!(listed(&[&id.to_string()]).admits(&name, id));
        assert!(!listed(&["crm"]).admits(&name, id));
        let copied = Name::parse(&id.to_string()).unwrap();
        assert!(!listed(&[copied.as_str()]).admits(&copied, UserId::new()));
        assert!(!listed(&[]).admits(&name, id));
        assert!(!Lockdown::Unreadable(Arc::from("")).admits(&name, id));
    }

    proptest! {
        #[test]
        fn nobody_gets_in_who_is_not_named(texts in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let locked = texts.iter().any(|text| tags(text).is_some() || is_meant(text));
            let lockdown = read(texts.iter().map(Vec::as_slice));
            prop_assert_eq!(lockdown == Lockdown::Open, !locked);
        }

        #[test]
        fn what_is_listed_is_found(names in proptest::collection::vec("[a-z0-9][a-z0-9._-]{0,20}", 0..5)) {
            let tags: Vec<String> = names.iter().map(|name| format!(" auth={name}")).collect();
            let record = format!("v=og1{}", tags.concat());
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            prop_assert_eq!(read_all(&[&record]), listed(&names));
        }
    }
}
