//! mail-auth's `check_host()`, asked only after our own has said *pass*. Both must.
//!
//! It runs on the answers that are known, through caches that read them and that answer whatever
//! it asks; its resolver has no name server, so it could not reach the network if it tried. Where
//! mail-auth is laxer than RFC 7208 our own walk has the last word; where it is stricter mail-auth
//! has. It sees only records that our own reader accepts, as they are written, without `exp=` and
//! without modifiers that mean nothing.
//!
//! It judges one record at a time. Within one evaluation mail-auth keeps no account of where it is:
//! once a nested `include` has matched, it takes the qualifier of that one `include` for the result
//! of the whole, and refuses what should pass. So the record that an `include` or `redirect` leads to
//! is put to it as a question of its own (RFC 7208 5.2 and 6.1: `check_host()` with the same client
//! and sender), and what it says stands in the place of that record: `v=spf1 ~all` for *softfail*.
//! It reads every record and decides every term all the same.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
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

/// How many records may be asked about behind the first. Our own walk counts all terms that cost a
/// look-up; this ends records that lead to each other where our own walk did not go.
const MAX_RECORDS: usize = 10;

/// Asks mail-auth about an address.
pub(super) fn ask(
    address: IpAddr,
    identity: &Identity<'_>,
    known: &Known,
) -> Result<Opinion, Unknown> {
    let inquiry = Inquiry {
        known,
        address,
        identity,
        sender: format!("{}@{}", identity.local, identity.domain),
        records: Cell::new(0),
        missing: RefCell::new(None),
        trouble: RefCell::new(None),
        undecided: Cell::new(false),
    };
    let result = inquiry.check_host(identity.domain);
    if let Some(query) = inquiry.missing.take() {
        return Err(Unknown(vec![query]));
    }
    if let Some((query, trouble)) = inquiry.trouble.take() {
        return Ok(Opinion::Unavailable(query, trouble));
    }
    Ok(match result {
        _ if inquiry.undecided.get() => Opinion::Undecided,
        SpfResult::Pass => Opinion::Pass,
        // Every trouble with DNS has been noted above, so this one is its own.
        SpfResult::TempError => Opinion::Undecided,
        SpfResult::Fail
        | SpfResult::SoftFail
        | SpfResult::Neutral
        | SpfResult::None
        | SpfResult::PermError => Opinion::Other(result),
    })
}

/// One opinion in the making, over all records: what is known, and the first thing that is not.
struct Inquiry<'a> {
    known: &'a Known,
    address: IpAddr,
    identity: &'a Identity<'a>,
    sender: String,
    records: Cell<usize>,
    missing: RefCell<Option<Query>>,
    trouble: RefCell<Option<(Query, Trouble)>>,
    /// mail-auth wanted to wait for something.
    undecided: Cell<bool>,
}

impl Inquiry<'_> {
    /// What mail-auth says about the record of a domain.
    fn check_host(&self, domain: &DnsName) -> SpfResult {
        let Some(mail_auth) = MAIL_AUTH.as_ref() else {
            self.undecided.set(true);
            return SpfResult::TempError;
        };
        let answers = Answers {
            inquiry: self,
            own: Cell::new(true),
        };
        let helo = self.identity.helo.as_str();
        let question = SpfParameters::new(self.address, domain.as_str(), helo, helo, &self.sender);
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
        match output.map(|output| output.result()) {
            None => {
                self.undecided.set(true);
                SpfResult::TempError
            }
            Some(mail_auth::SpfResult::Pass) => SpfResult::Pass,
            Some(mail_auth::SpfResult::Fail) => SpfResult::Fail,
            Some(mail_auth::SpfResult::SoftFail) => SpfResult::SoftFail,
            Some(mail_auth::SpfResult::Neutral) => SpfResult::Neutral,
            Some(mail_auth::SpfResult::None) => SpfResult::None,
            Some(mail_auth::SpfResult::PermError) => SpfResult::PermError,
            Some(mail_auth::SpfResult::TempError) => SpfResult::TempError,
        }
    }

    /// What mail-auth says about the record that an `include` or `redirect` leads to, as the record
    /// that says so of everybody.
    fn behind(&self, name: &str) -> Txt {
        let Ok(name) = DnsName::parse(fit(name)) else {
            return nothing();
        };
        if self.records.replace(self.records.get() + 1) >= MAX_RECORDS {
            return wrong();
        }
        let record = match self.check_host(&name) {
            SpfResult::Pass => "v=spf1 +all",
            SpfResult::Fail => "v=spf1 -all",
            SpfResult::SoftFail => "v=spf1 ~all",
            SpfResult::Neutral => "v=spf1 ?all",
            SpfResult::None => return nothing(),
            SpfResult::PermError => return wrong(),
            SpfResult::TempError => {
                // Unless it is DNS, which has been noted and is told instead.
                self.undecided.set(true);
                return wrong();
            }
        };
        Spf::parse(record.as_bytes()).map_or_else(Txt::Error, |spf| Txt::Spf(spf.into()))
    }
}

/// No record.
fn nothing() -> Txt {
    Txt::Error(Error::Dns(DnsError::InvalidRecordType))
}

/// A record that is none.
fn wrong() -> Txt {
    Txt::Error(Error::ParseError)
}

/// What one evaluation hears.
struct Answers<'a> {
    inquiry: &'a Inquiry<'a>,
    /// Whether the record that it is about has still to be read: it is asked for first, whatever
    /// text is asked for later lies behind an `include` or `redirect`.
    own: Cell<bool>,
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
        match self.inquiry.known.get(&query) {
            Ok(Answer::Records(records)) => Some(records),
            Ok(Answer::NoData | Answer::NoName) => None,
            Ok(Answer::Trouble(trouble)) => {
                self.inquiry
                    .trouble
                    .borrow_mut()
                    .get_or_insert((query, *trouble));
                None
            }
            Err(_) => {
                self.inquiry.missing.borrow_mut().get_or_insert(query);
                None
            }
        }
    }

    fn text(&self, name: &str) -> Txt {
        if !self.own.replace(false) {
            return self.inquiry.behind(name);
        }
        let Some(Records::Txt(strings)) = self.records(name, Kind::Txt) else {
            return nothing();
        };
        let text = match publication::select(strings) {
            Ok(Some(text)) => text,
            Ok(None) => return nothing(),
            Err(_) => return wrong(),
        };
        if publication::read(text).is_err() {
            return wrong();
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
        if let (Some(exists), IpAddr::V4(own)) = (name.strip_prefix(EXISTS), self.inquiry.address) {
            return set(self.records(exists, Kind::A).map(|_| own));
        }
        let Some(Records::A(found)) = self.records(name, Kind::A) else {
            return set(None);
        };
        set(found.iter().copied())
    }

    fn v6(&self, name: &str) -> RecordSet<Ipv6Addr> {
        if let (Some(exists), IpAddr::V6(own)) = (name.strip_prefix(EXISTS), self.inquiry.address) {
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
    use std::sync::Arc;

    use super::*;

    /// Its opinion of `a.example` for 192.0.2.1, whatever our own walk says.
    fn opinion(records: &[(&str, &str)]) -> Opinion {
        let mut known = Known::default();
        for (name, text) in records {
            let query = Query::txt(DnsName::parse(name).unwrap());
            let texts = vec![Arc::from(text.as_bytes())];
            known.insert(query, Arc::new(Answer::Records(Records::Txt(texts))));
        }
        let domain = DnsName::parse("a.example").unwrap();
        let identity = Identity {
            domain: &domain,
            local: "jane",
            helo: &domain,
        };
        ask([192, 0, 2, 1].into(), &identity, &known).unwrap()
    }

    #[test]
    fn it_reads_every_record_and_decides_every_term() {
        let inner = ("b.example", "v=spf1 ip4:192.0.2.1 ~all");
        for (record, says) in [
            ("v=spf1 include:b.example -all", SpfResult::Pass),
            ("v=spf1 -include:b.example +all", SpfResult::Fail),
            ("v=spf1 ?redirect.is.no.mechanism", SpfResult::PermError),
            ("v=spf1 redirect=b.example", SpfResult::Pass),
            (
                "v=spf1 include:%{d}.%{l}.example -all",
                SpfResult::PermError,
            ),
            ("v=spf1 ip4:192.0.2.2", SpfResult::Neutral),
        ] {
            let nothing = ("a.example.jane.example", "unrelated");
            let said = match opinion(&[("a.example", record), inner, nothing]) {
                Opinion::Pass => SpfResult::Pass,
                Opinion::Other(result) => result,
                other @ (Opinion::Unavailable(..) | Opinion::Undecided) => {
                    panic!("{record}: {other:?}")
                }
            };
            assert_eq!(said, says, "{record}");
        }
    }

    #[test]
    fn records_that_lead_to_each_other_end() {
        for records in [
            &[("a.example", "v=spf1 include:a.example -all")] as &[_],
            &[
                (
                    "a.example",
                    "v=spf1 include:b.example include:b.example -all",
                ),
                ("b.example", "v=spf1 include:a.example redirect=a.example"),
            ],
        ] {
            let said = opinion(records);
            assert!(
                matches!(said, Opinion::Other(SpfResult::PermError)),
                "{said:?}"
            );
        }
    }

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
