//! Decisions in words: the reply that the sender reads.

use jiff::tz::TimeZone;

use super::facts::{Allowance, Field};
use super::finding::Sender;
use super::reason::{Reason, Verdict};
use super::{About, Decision, Finding};
use crate::model::quota::{Subject, Unit, Window};
use crate::model::reply::{MAX_LINE, MAX_REPLY, Reply, compose, escape};

const ACL: &str = "[ACL] Blocked";
const SPF: &str = "[SPF_INVALID] Blocked";
const DMARC: &str = "[DMARC_MISSING] Blocked";
const QUOTA: &str = "[QUOTA] Exceeded";
const DNS: &str = "[DNS] Unavailable";

/// What each reply begins with that has a sentence: whoever reads replies knows them by it.
pub const TAGS: [&str; 5] = [ACL, SPF, DMARC, QUOTA, DNS];

/// How replies are worded.
#[derive(Clone, PartialEq, Debug)]
pub struct Wording {
    /// Where the reader finds more; `{id}` stands for the decision's id. Empty: no link.
    pub report_url: String,
    /// Whether the sentence is told, or only the tag.
    pub detail: bool,
    /// Whether a login from a wrong address sounds like one with a wrong password.
    pub hide_ip_reason: bool,
    /// By whose clock times are told.
    pub time_zone: TimeZone,
}

/// The reply to a finding. `None` for what is allowed.
///
/// `login` is the login as it came, `sender` the bytes of the envelope sender: Postfix repeats
/// them in front of a policy reply, and the line must still fit.
pub fn reply(
    decision: &Decision,
    finding: &Finding,
    wording: &Wording,
    id: &str,
    login: &str,
    sender_len: usize,
) -> Option<Reply> {
    let heading = match form(finding, wording)? {
        Form::Whole(reply) => return Some(reply),
        Form::Heading(heading) => heading,
    };
    let link = match wording.report_url.as_str() {
        "" => String::new(),
        url => format!(" See {}", url.replace("{id}", id)),
    };
    let text = if wording.detail {
        compose(
            &format!("{}: ", heading.tag),
            &sentence(decision, finding, wording, login),
            &link,
            room(sender_len),
        )
    } else {
        format!("{}{link}", heading.tag)
    };
    Some(Reply {
        code: heading.code,
        enhanced: heading.enhanced,
        text,
    })
}

/// How a reply is put together.
enum Form {
    /// Always these words.
    Whole(Reply),
    /// This, a sentence and a link.
    Heading(Heading),
}

fn form(finding: &Finding, wording: &Wording) -> Option<Form> {
    let heading = match finding.reason {
        Reason::Allowed => return None,
        Reason::Unauthenticated => return whole(530, "5.7.0", "Authentication required"),
        Reason::IpNotAuthorized if finding.about == About::Login && wording.hide_ip_reason => {
            return whole(535, "5.7.8", "Authentication failed");
        }
        // Whoever guesses is not told that the name exists.
        Reason::Suspended if finding.about == About::Login => {
            return whole(535, "5.7.8", "Authentication failed");
        }
        Reason::IpNotAuthorized => return whole(535, "5.7.8", "IP not authorized"),
        Reason::BadPassword | Reason::NoSuchUser | Reason::Mechanism | Reason::TlsRequired => {
            return whole(535, "5.7.8", "Authentication failed");
        }
        Reason::Throttled => return whole(535, "5.7.8", "Too many failed logins, try again later"),
        Reason::StoreUnavailable | Reason::InternalError => {
            return whole(
                451,
                "4.3.0",
                "Temporary problem on the server, try again later",
            );
        }
        Reason::Suspended
        | Reason::UnknownUser
        | Reason::SenderNotAllowed
        | Reason::SenderMalformed
        | Reason::Plan
        | Reason::OwnedByAnotherAccount
        | Reason::HeaderFromNotAllowed
        | Reason::HeaderFromMissing
        | Reason::LockedDown
        | Reason::HeaderFromMalformed => Heading::blocked(ACL),
        Reason::SpfMissing
        | Reason::SpfInvalid
        | Reason::SpfNotIncludingRelay
        | Reason::SpfNotPassing => Heading::blocked(SPF),
        Reason::DmarcMissing => Heading::blocked(DMARC),
        Reason::DnsUnavailable => Heading {
            code: 451,
            enhanced: "4.4.3",
            tag: DNS,
        },
        Reason::QuotaExceeded | Reason::TooManyRecipients => Heading::quota(finding.verdict()),
    };
    Some(Form::Heading(heading))
}

fn whole(code: u16, enhanced: &'static str, text: &str) -> Option<Form> {
    Some(Form::Whole(Reply {
        code,
        enhanced,
        text: text.to_owned(),
    }))
}

/// What a reply with a sentence begins with.
struct Heading {
    code: u16,
    enhanced: &'static str,
    tag: &'static str,
}

impl Heading {
    fn quota(verdict: Verdict) -> Heading {
        let (code, enhanced) = match verdict {
            Verdict::Defer => (450, "4.7.1"),
            Verdict::Refuse | Verdict::Allow => (550, "5.7.1"),
        };
        Heading {
            code,
            enhanced,
            tag: QUOTA,
        }
    }

    fn blocked(tag: &'static str) -> Heading {
        Heading {
            code: 550,
            enhanced: "5.7.1",
            tag,
        }
    }
}

/// How many bytes the text may have, so that the line with Postfix's prefix stays within bounds.
fn room(sender_len: usize) -> usize {
    const CODE: usize = "550 5.7.1 ".len();
    const PREFIX: usize = "<>: Sender address rejected: ".len();
    let line = MAX_LINE.saturating_sub(PREFIX + sender_len);
    MAX_REPLY.min(line).saturating_sub(CODE)
}

/// One sentence for the person who reads it: who, which sender, which field.
fn sentence(decision: &Decision, finding: &Finding, wording: &Wording, login: &str) -> String {
    let who = match &decision.user {
        Some(user) => format!("user {}", user.name),
        None => format!("login {}", escape(login)),
    };
    let sentence = match (&finding.about, finding.reason) {
        (About::Sender(sender), reason) => {
            let domain = sender.domain.as_ref().map_or("", |d| d.as_str());
            let why = because(reason, domain);
            let colon = if why.is_empty() { "" } else { ": " };
            format!("{who} may not send as {}{colon}{why}", shown(sender))
        }
        (About::Spf(sender, shortfall), _) => {
            format!("{who} may not send as {}: {shortfall}", shown(sender))
        }
        (About::Dmarc(sender, dmarc), _) => {
            let words = sender.domain.as_ref().map(|domain| dmarc.words(domain));
            format!(
                "{who} may not send as {}: {}",
                shown(sender),
                words.unwrap_or_default()
            )
        }
        (About::Outage(sender, outage), _) => format!(
            "whether {who} may send as {} is not known yet: {outage}",
            shown(sender)
        ),
        (
            About::Quota {
                allowance, needed, ..
            },
            _,
        ) => over_quota(&who, allowance, *needed, wording),
        (About::Recipients { given, allowed }, _) => {
            format!("the message of {who} has {given} recipients, and may have {allowed}")
        }
        (About::Malformed { text, error }, _) => {
            format!("{who} used the envelope sender {}: {error}", escape(text))
        }
        (About::ResolvesElsewhere { text, resolved }, _) => format!(
            "{who} used the envelope sender {}, which this server would take for {}",
            escape(text),
            escape(resolved)
        ),
        (About::HeaderFrom(error), _) => {
            format!("the header From of {who} cannot be used: {error}")
        }
        (About::LoginChangedHands, _) => {
            format!("login {} has changed, log in again", escape(login))
        }
        (About::MissingMacro(_) | About::Nothing | About::Login, Reason::Suspended) => {
            format!("{who} is suspended")
        }
        (About::MissingMacro(_) | About::Nothing | About::Login, _) => {
            format!("{who} is not known here")
        }
    };
    escape(&sentence)
}

/// Which quota, and when it begins anew, by the clock of the site.
fn over_quota(who: &str, allowance: &Allowance, needed: u64, wording: &Wording) -> String {
    let (window, unit) = (allowance.counter.window, allowance.counter.unit);
    let whose = match allowance.counter.subject {
        Subject::User(_) => who.to_owned(),
        Subject::Account(_) => format!("the account of {who}"),
    };
    // More than the limit where that was lowered, or in audit mode.
    let used = allowance.used;
    let more = match (unit, allowance.remaining()) {
        (Unit::Recipients, Some(left)) if left > 0 => {
            format!(", and the message has {needed} recipients")
        }
        (Unit::Recipients | Unit::Messages, _) => String::new(),
    };
    let per = match window {
        Window::Total => "in total".to_owned(),
        Window::Hour => "an hour".to_owned(),
        Window::Minute | Window::Day | Window::Week | Window::Month => format!("a {window}"),
    };
    let until = match allowance.resets_at {
        Some(at) => {
            let at = at.to_zoned_datetime(wording.time_zone.clone());
            format!("try again after {}", at.strftime("%Y-%m-%dT%H:%M:%S%:z"))
        }
        None => "it lasts until it is reset".to_owned(),
    };
    format!(
        "{whose} has used {used} of {} {unit} {per}{more}; {until}",
        allowance.limit
    )
}

/// A sender and where it stands.
fn shown(sender: &Sender) -> String {
    format!("{} ({})", escape(&sender.address), field_name(sender.field))
}

/// What the reason says about the domain, if it says anything.
fn because(reason: Reason, domain: &str) -> String {
    if reason == Reason::Plan {
        "the plan of its account allows only domains of its own".to_owned()
    } else if reason == Reason::OwnedByAnotherAccount {
        format!("{domain} belongs to another account")
    } else if reason == Reason::LockedDown {
        format!("the lockdown record of {domain} does not list this user")
    } else {
        String::new()
    }
}

fn field_name(field: Field) -> &'static str {
    match field {
        Field::Envelope => "envelope sender",
        Field::HeaderFrom => "header From",
        Field::DisplayName => "name shown in the header From",
    }
}
