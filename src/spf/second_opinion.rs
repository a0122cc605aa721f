//! mail-auth's `check_host()`, asked only after our own has said *pass*. Both must.
//!
//! It runs on the answers that are known, through caches that read them and that answer whatever
//! it asks; its resolver has no name server, so it could not reach the network if it tried. Where
//! mail-auth is laxer than RFC 7208 our own walk has the last word; where it is stricter (it
//! loses its place when nested includes have different qualifiers) mail-auth has. It sees only
//! records that our own reader accepts, as they are written, without `exp=` and without modifiers
//! that mean nothing.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Instant;

use futures_util::FutureExt;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use mail_auth::spf::verify::SpfParameters;
use mail_auth::spf::{Macro, Mechanism, Spf};
use mail_auth::{
    DnsError, DnssecStatus, Error, MX, MessageAuthenticator, Parameters, RecordSet, ResolverCache,
    Txt,
};

use crate::model::dns::{Answer, DnsName, Kind, Known, Query, Records, Trouble, Unknown};

use super::macro_string::fit;
use super::publication;
use super::record::evaluated;
use super::{Identity, SpfResult};

/// What mail-auth says.
#[derive(Debug)]
pub(super) enum Opinion {
    /// It says *pass*.
    Pass,
    /// It says something else, with every answer that it asked for.
    Other(SpfResult),
    /// It asked what DNS does not answer now.
    Unavailable(Query, Trouble),
    /// It wanted to wait, or could not be built.
    Undecided,
}

/// mail-auth with nobody to ask. `None` if it cannot be built: then nothing passes.
static MAIL_AUTH: LazyLock<Option<MessageAuthenticator>> = LazyLock::new(|| {
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    MessageAuthenticator::new(nobody, options).ok()
});

/// Put in front of the name of an `exists`, so that the caches can tell it from an `a`. No name
/// in a record can hold it.
const EXISTS: &str = "\u{1}exists\u{1}";

/// Asks mail-auth about an address.
pub(super) fn ask(
    address: IpAddr,
    identity: &Identity<'_>,
    known: &Known,
) -> Result<Opinion, Unknown> {
    let Some(mail_auth) = MAIL_AUTH.as_ref() else {
        return Ok(Opinion::Undecided);
    };
    let answers = Answers {
        known,
        address,
        missing: RefCell::new(None),
        trouble: RefCell::new(None),
    };
    let sender = format!("{}@{}", identity.local, identity.domain);
    let helo = identity.helo.as_str();
    let question = SpfParameters::verify_mail_from(address, helo, helo, &sender);
    let output = mail_auth
        .check_host(
            Parameters::new(question)
                .with_txt_cache(&answers.cache(Answers::text))
                .with_mx_cache(&answers.cache(Answers::exchangers))
                .with_ipv4_cache(&answers.cache(Answers::v4))
                .with_ipv6_cache(&answers.cache(Answers::v6))
                .with_ptr_cache(&Nameless),
        )
        .now_or_never();
    if let Some(query) = answers.missing.take() {
        return Err(Unknown(vec![query]));
    }
    if let Some((query, trouble)) = answers.trouble.take() {
        return Ok(Opinion::Unavailable(query, trouble));
    }
    Ok(match output.map(|output| output.result()) {
        None => Opinion::Undecided,
        Some(mail_auth::SpfResult::Pass) => Opinion::Pass,
        Some(mail_auth::SpfResult::Fail) => Opinion::Other(SpfResult::Fail),
        Some(mail_auth::SpfResult::SoftFail) => Opinion::Other(SpfResult::SoftFail),
        Some(mail_auth::SpfResult::Neutral) => Opinion::Other(SpfResult::Neutral),
        Some(mail_auth::SpfResult::None) => Opinion::Other(SpfResult::None),
        Some(mail_auth::SpfResult::PermError) => Opinion::Other(SpfResult::PermError),
        // Every trouble with DNS has been noted above, so this one is its own.
        Some(mail_auth::SpfResult::TempError) => Opinion::Undecided,
    })
}

/// What is known, and the first thing that is not.
struct Answers<'a> {
    known: &'a Known,
    address: IpAddr,
    missing: RefCell<Option<Query>>,
    trouble: RefCell<Option<(Query, Trouble)>>,
}

impl<'a> Answers<'a> {
    fn cache<V>(&'a self, answer: fn(&Answers<'a>, &str) -> V) -> Cache<'a, V> {
        Cache {
            answers: self,
            answer,
        }
    }

    /// The records at a name as mail-auth spells it. What is no name has none, like what does not
    /// exist.
    fn records(&self, name: &str, kind: Kind) -> Option<&Records> {
        let name = DnsName::parse(fit(name)).ok()?;
        let query = Query { name, kind };
        match self.known.get(&query) {
            Ok(Answer::Records(records)) => Some(records),
            Ok(Answer::NoData | Answer::NoName) => None,
            Ok(Answer::Trouble(trouble)) => {
                self.trouble.borrow_mut().get_or_insert((query, *trouble));
                None
            }
            Err(_) => {
                self.missing.borrow_mut().get_or_insert(query);
                None
            }
        }
    }

    fn text(&self, name: &str) -> Txt {
        let nothing = Txt::Error(Error::Dns(DnsError::InvalidRecordType));
        let wrong = Txt::Error(Error::ParseError);
        let Some(Records::Txt(strings)) = self.records(name, Kind::Txt) else {
            return nothing;
        };
        let text = match publication::select(strings) {
            Ok(Some(text)) => text,
            Ok(None) => return nothing,
            Err(_) => return wrong,
        };
        if publication::read(text).is_err() {
            return wrong;
        }
        let text = evaluated(&String::from_utf8_lossy(text));
        Spf::parse(text.as_bytes()).map_or_else(Txt::Error, |spf| Txt::Spf(prepared(spf).into()))
    }

    fn exchangers(&self, name: &str) -> RecordSet<MX> {
        let Some(Records::Mx(found)) = self.records(name, Kind::Mx) else {
            return set(None);
        };
        let mut found = found.hosts().to_vec();
        found.sort();
        set(found.into_iter().map(|(preference, host)| MX {
            preference,
            exchanges: Box::new([host.as_str().into()]),
        }))
    }

    fn v4(&self, name: &str) -> RecordSet<Ipv4Addr> {
        if let (Some(exists), IpAddr::V4(own)) = (name.strip_prefix(EXISTS), self.address) {
            return set(self.records(exists, Kind::A).map(|_| own));
        }
        let Some(Records::A(found)) = self.records(name, Kind::A) else {
            return set(None);
        };
        set(found.iter().copied())
    }

    fn v6(&self, name: &str) -> RecordSet<Ipv6Addr> {
        if let (Some(exists), IpAddr::V6(own)) = (name.strip_prefix(EXISTS), self.address) {
            return set(self.records(exists, Kind::A).map(|_| own));
        }
        let Some(Records::Aaaa(found)) = self.records(name, Kind::Aaaa) else {
            return set(None);
        };
        set(found.iter().copied())
    }
}

/// A record as mail-auth may have it: each `exists` as an `a` of a marked name. For an `exists` of
/// its own mail-auth takes "in the cache" as "there is an address", and otherwise asks the
/// network.
fn prepared(mut spf: Spf) -> Spf {
    for directive in &mut spf.directives {
        if let Mechanism::Exists { macro_string } = &directive.mechanism {
            let mut parts = vec![Macro::Literal(EXISTS.as_bytes().into())];
            match macro_string {
                Macro::List(list) => parts.extend(list.iter().cloned()),
                Macro::Literal(_) | Macro::Variable { .. } => parts.push(macro_string.clone()),
                Macro::None => {}
            }
            directive.mechanism = Mechanism::A {
                macro_string: Macro::List(parts.into()),
                ip4_mask: u32::MAX,
                ip6_mask: u128::MAX,
            };
        }
    }
    spf
}

fn set<A>(records: impl IntoIterator<Item = A>) -> RecordSet<A> {
    RecordSet {
        rrset: records.into_iter().collect(),
        dnssec_status: DnssecStatus::Indeterminate,
    }
}

/// The name that a cache is asked for. The trait hides its type; what it lets through is `Hash`,
/// which hands over the letters, and `Eq`, which proves that they are the right ones.
fn spelled<Q>(name: &Q) -> Option<Box<str>>
where
    Box<str>: Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    let mut letters = Letters(Vec::new());
    name.hash(&mut letters);
    // The hash of a text ends with a byte that no text holds.
    letters.0.pop();
    let key = String::from_utf8(letters.0).ok()?.into_boxed_str();
    (key.borrow() == name).then_some(key)
}

/// Keeps what is hashed.
struct Letters(Vec<u8>);

impl Hasher for Letters {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// A cache that always has an answer, so that there is nothing to keep, and nothing to ask
/// elsewhere. Only a name that cannot be spelled has none, and then the resolver without servers
/// fails.
struct Cache<'a, V> {
    answers: &'a Answers<'a>,
    answer: fn(&Answers<'a>, &str) -> V,
}

impl<V> ResolverCache<Box<str>, V> for Cache<'_, V> {
    fn get<Q>(&self, name: &Q) -> Option<V>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        spelled(name).map(|name| (self.answer)(self.answers, &name))
    }

    fn remove<Q>(&self, _: &Q) -> Option<V>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: V, _: Instant) {}
}

/// No address points back to a name: `ptr` never matches.
struct Nameless;

impl ResolverCache<IpAddr, RecordSet<Box<str>>> for Nameless {
    fn get<Q>(&self, _: &Q) -> Option<RecordSet<Box<str>>>
    where
        IpAddr: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(set(None))
    }

    fn remove<Q>(&self, _: &Q) -> Option<RecordSet<Box<str>>>
    where
        IpAddr: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: IpAddr, _: RecordSet<Box<str>>, _: Instant) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_from_their_hash() {
        assert_eq!(spelled("a.example."), Some("a.example.".into()));
        assert_eq!(spelled(""), Some("".into()));
        assert_eq!(spelled("b\u{fc}cher"), Some("b\u{fc}cher".into()));
    }

    #[test]
    fn it_needs_no_runtime_and_reaches_nobody() {
        let resolver = MAIL_AUTH.as_ref().unwrap();
        let name = "exists.example.";
        let asked = resolver.txt_raw_lookup(name).now_or_never();
        assert!(!matches!(asked, Some(Ok(_))), "{asked:?}");
    }
}
