//! The steps that led to a decision, as data: `explain` prints them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::coverage::Cover;
use super::facts::Allowance;
use crate::model::address::AddressError;
use crate::model::domain::Domain;
use crate::model::header_from::FromError;
use crate::model::name::Name;
use crate::model::network::Network;
use crate::model::user::{CheckFrom, Mode};
use crate::standing::dmarc::Dmarc;
use crate::standing::lockdown::Lockdown;
use crate::standing::{Outage, Standing};

/// A rule, by the name that `explain` shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// TLS before a password.
    Tls,
    /// PLAIN or LOGIN, well formed.
    Mechanism,
    /// Not too many wrong passwords lately.
    Throttle,
    /// Somebody has this login.
    Login,
    /// The password is right.
    Password,
    /// The user is not suspended.
    Status,
    /// The client's address is on the IP list.
    Client,
    /// The envelope sender is one of the user's.
    EnvelopeSender,
    /// Each mailbox of the header From is one of the user's.
    HeaderFrom,
    /// The sender domain's lockdown record does not keep the user out.
    Lockdown,
    /// The sender domain's SPF record speaks for this relay.
    Spf,
    /// The sender domain has a DMARC record.
    Dmarc,
    /// Not more recipients than the user may have in a message.
    Recipients,
    /// Enough is left of each quota.
    Quota,
}

impl Rule {
    /// The rules about a message, in the order in which they are tried; those of DNS follow each
    /// sender whose domain it is asked about.
    pub const MESSAGE: [Rule; 10] = [
        Rule::Login,
        Rule::Status,
        Rule::Client,
        Rule::EnvelopeSender,
        Rule::HeaderFrom,
        Rule::Lockdown,
        Rule::Spf,
        Rule::Dmarc,
        Rule::Recipients,
        Rule::Quota,
    ];
    /// The rules about a login, in the order in which they are tried.
    pub const LOGIN: [Rule; 7] = [
        Rule::Mechanism,
        Rule::Tls,
        Rule::Throttle,
        Rule::Login,
        Rule::Password,
        Rule::Status,
        Rule::Client,
    ];

    /// The name in `explain`.
    pub fn id(self) -> &'static str {
        match self {
            Rule::Tls => "tls",
            Rule::Mechanism => "mechanism",
            Rule::Throttle => "throttle",
            Rule::Login => "login",
            Rule::Password => "password",
            Rule::Status => "status",
            Rule::Client => "client",
            Rule::EnvelopeSender => "envelope-sender",
            Rule::HeaderFrom => "header-from",
            Rule::Lockdown => "lockdown",
            Rule::Spf => "spf",
            Rule::Dmarc => "dmarc",
            Rule::Recipients => "recipients",
            Rule::Quota => "quota",
        }
    }
}

/// How a rule came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It speaks for it.
    Pass,
    /// It speaks against it.
    Fail,
    /// It was not tried.
    Skip,
}

impl Outcome {
    /// The word in `explain`.
    pub fn id(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::Skip => "skip",
        }
    }
}

/// One rule tried, and what it found.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which.
    pub rule: Rule,
    /// How it came out.
    pub outcome: Outcome,
    /// What it found; put into words only when somebody reads them.
    pub detail: Detail,
}

/// What a rule found. `Display` is the sentence of `explain`.
#[derive(Clone, Debug)]
pub enum Detail {
    /// The question does not say.
    NotGiven,
    /// An earlier rule settled it.
    Settled,
    /// The login is this user.
    User(Name, Mode),
    /// Nobody has the login.
    UnknownLogin,
    /// Nobody has the login, and the configuration lets it pass.
    UnknownLoginAllowed,
    /// Another user has it now.
    LoginChangedHands,
    /// Not suspended.
    Active,
    /// Suspended.
    Suspended,
    /// From anywhere.
    NoIpList,
    /// This entry has the address.
    Network(Network),
    /// Postfix does not know the address.
    ClientUnknown,
    /// No entry has it.
    NotInList(IpAddr),
    /// The user's `check-from` leaves this out.
    CheckFrom(CheckFrom),
    /// Bounces and receipts.
    NullSender,
    /// Not an address.
    Malformed(AddressError),
    /// Postfix did not send `{mail_addr}`.
    MissingMacro,
    /// Postfix would send it from elsewhere.
    ResolvesElsewhere(String),
    /// The header From cannot be used.
    HeaderFrom(FromError),
    /// An address literal.
    Literal,
    /// Allowed, and why.
    Covered(Domain, Cover),
    /// Not allowed in this mode; the other account's domain, if that is why.
    NotCovered(Domain, Mode, Option<Domain>),
    /// Mode `any-domain` ends where another account's domains begin.
    OwnedElsewhere(Domain),
    /// Mode `any-domain` needs plan `pro`.
    PlanFree,
    /// Mode `any-domain`: nobody here has verified the domain, so its DNS decides.
    Stranger(Domain),
    /// What that says.
    Dns(DnsDetail),
    /// How much, and how much may be.
    Amount(AmountDetail),
    /// Something that should have been looked up was not.
    MissingFact,
    /// The connection is encrypted, or need not be.
    TlsFine,
    /// It is not.
    TlsMissing,
    /// Understood.
    MechanismFine,
    /// Not understood, and why.
    MechanismRefused(&'static str),
    /// Not too many lately.
    ThrottleFine,
    /// Too many.
    Throttled,
    /// Counted in the daemon's memory, where this question was not asked.
    CountedElsewhere,
    /// Right.
    PasswordRight,
    /// Wrong.
    PasswordWrong,
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::NotGiven => f.write_str("not given, not judged"),
            Detail::Settled => f.write_str("not reached"),
            Detail::User(name, mode) => write!(f, "user {name}, mode {}", mode_name(*mode)),
            Detail::UnknownLogin => f.write_str("no user has this login"),
            Detail::UnknownLoginAllowed => {
                f.write_str("no user has this login; enforcement.unknown-user lets it pass")
            }
            Detail::LoginChangedHands => {
                f.write_str("another user has this login since the session began")
            }
            Detail::Active => f.write_str("active"),
            Detail::Suspended => f.write_str("suspended"),
            Detail::NoIpList => f.write_str("no IP list: from anywhere"),
            Detail::Network(network) => write!(f, "in {network}"),
            Detail::ClientUnknown => {
                f.write_str("the client's address is not known, and the user has an IP list")
            }
            Detail::NotInList(address) => write!(f, "{address} is not in the user's IP list"),
            Detail::CheckFrom(which) => write!(f, "check-from is {}", check_from_name(*which)),
            Detail::NullSender => f.write_str("the null sender is allowed to every user"),
            Detail::Malformed(error) => error.fmt(f),
            Detail::MissingMacro => f.write_str(
                "Postfix did not send {mail_addr}: take milter_mail_macros out of main.cf",
            ),
            Detail::ResolvesElsewhere(address) => {
                write!(
                    f,
                    "Postfix resolves it to {address:?}, which is another domain"
                )
            }
            Detail::HeaderFrom(error) => error.fmt(f),
            Detail::Literal => f.write_str("nobody can be granted an address literal"),
            Detail::Covered(domain, cover) => write!(f, "{domain}: {cover}"),
            Detail::NotCovered(domain, mode, owner) => {
                not_covered(f, domain, *mode, owner.as_ref())
            }
            Detail::OwnedElsewhere(domain) => write!(f, "{domain} is verified on another account"),
            Detail::PlanFree => {
                f.write_str("the account's plan is free: only its own verified domains")
            }
            Detail::Stranger(domain) => {
                write!(f, "{domain} is verified on no account: its DNS decides")
            }
            Detail::Dns(detail) => detail.fmt(f),
            Detail::Amount(detail) => detail.fmt(f),
            Detail::MissingFact => f.write_str("a fact is missing"),
            Detail::TlsFine => f.write_str("the password is protected, or need not be"),
            Detail::TlsMissing => {
                f.write_str("the session is not encrypted, and auth.require-tls is on")
            }
            Detail::MechanismFine => f.write_str("understood"),
            Detail::MechanismRefused(why) => f.write_str(why),
            Detail::ThrottleFine => f.write_str("not too many wrong passwords"),
            Detail::Throttled => f.write_str("too many different wrong passwords lately"),
            Detail::CountedElsewhere => f.write_str("counted by the daemon, not judged here"),
            Detail::PasswordRight => f.write_str("right"),
            Detail::PasswordWrong => f.write_str("wrong"),
        }
    }
}

/// What was found in the DNS of a sender domain.
#[derive(Clone, Debug)]
pub enum DnsDetail {
    /// What its lockdown record says.
    Lockdown(Domain, Lockdown),
    /// What its SPF record says.
    Spf(Arc<Standing>),
    /// Its DMARC record, or that there is none.
    Dmarc(Domain, Dmarc),
    /// The configuration does not ask for it.
    NotRequired,
    /// DNS does not answer.
    Outage(Outage),
}

impl fmt::Display for DnsDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DnsDetail::Lockdown(domain, lockdown) => write!(f, "{domain}: {lockdown}"),
            DnsDetail::Spf(standing) => match &standing.stranger {
                Some(stranger) => stranger.spf.fmt(f),
                None => f.write_str("not asked"),
            },
            DnsDetail::Dmarc(domain, dmarc) => f.write_str(&dmarc.words(domain)),
            DnsDetail::NotRequired => f.write_str("not required"),
            DnsDetail::Outage(outage) => outage.fmt(f),
        }
    }
}

/// What was found about recipients and quotas.
#[derive(Clone, Debug)]
pub enum AmountDetail {
    /// So many recipients, and at most so many in a message; `None`: as many as may be.
    Recipients(u32, Option<u32>),
    /// A quota and what is left of it.
    Quota(Allowance),
    /// Neither the user nor its account has any.
    NoQuota,
    /// Postfix asks again about a message that has been charged.
    ChargedBefore,
}

impl fmt::Display for AmountDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AmountDetail::Recipients(given, None) => write!(f, "{given}, without a limit"),
            AmountDetail::Recipients(given, Some(limit)) => {
                write!(f, "{given} of at most {limit}")
            }
            AmountDetail::Quota(allowance) => allowance.fmt(f),
            AmountDetail::NoQuota => f.write_str("there is none"),
            AmountDetail::ChargedBefore => f.write_str("this message has been charged"),
        }
    }
}

/// The word for a mode on the command line.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Default => "default",
        Mode::AllDomains => "all-domains",
        Mode::AnyDomain => "any-domain",
    }
}

fn check_from_name(which: CheckFrom) -> &'static str {
    match which {
        CheckFrom::Both => "both",
        CheckFrom::Envelope => "envelope",
        CheckFrom::Header => "header",
    }
}

fn not_covered(
    f: &mut fmt::Formatter<'_>,
    domain: &Domain,
    mode: Mode,
    owner: Option<&Domain>,
) -> fmt::Result {
    match mode {
        Mode::Default => write!(f, "{domain}: no grant that counts covers it")?,
        Mode::AllDomains | Mode::AnyDomain => {
            write!(f, "{domain}: no verified domain of the account covers it")?
        }
    }
    match owner {
        Some(owner) => write!(f, "; {owner} is verified on another account"),
        None => Ok(()),
    }
}
