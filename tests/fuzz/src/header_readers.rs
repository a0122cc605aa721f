//! Whatever domain another reader finds in a From field that is accepted, ours has found as well.
//!
//! They read hostile fields wrongly, each in its own way, and so do readers of mail. So what this finds
//! is refused, unless real senders write it.

use std::collections::BTreeSet;

use outgate::model::address::Site;
use outgate::model::domain::Domain;
use outgate::model::header_from::parse;

/// Input: the value of the field. The other readers want text.
pub fn check(input: &[u8]) {
    let Ok(value) = std::str::from_utf8(input) else {
        return;
    };
    let Some(ours) = ours(value.as_bytes()) else {
        return;
    };
    for (name, theirs) in [
        ("lettre", lettre(value)),
        ("mailparse", mailparse(value)),
        ("mail-parser", mail_parser(value)),
    ] {
        let missed: Vec<_> = theirs.difference(&ours).collect();
        assert!(
            missed.is_empty(),
            "{value:?}: {name} finds {missed:?}, we check {ours:?}"
        );
    }
}

/// The domains that a parser found, in the form in which ours are compared; what is no domain to
/// anybody cannot be sent as.
type Domains = BTreeSet<String>;

fn add(domains: &mut Domains, address: &str) {
    if let Some((_, domain)) = address.rsplit_once('@')
        && let Ok(domain) = Domain::parse(domain.trim())
    {
        domains.insert(domain.to_string());
    }
}

fn ours(value: &[u8]) -> Option<Domains> {
    let mailboxes = parse(value).ok()?;
    let sites = mailboxes.iter().map(|mailbox| &mailbox.address.site);
    Some(
        sites
            .filter_map(|site| match site {
                Site::Domain(domain) => Some(domain.to_string()),
                Site::Literal(_) => None,
            })
            .collect(),
    )
}

fn lettre(value: &str) -> Domains {
    let mut domains = Domains::new();
    if let Ok(mailboxes) = value.parse::<lettre::message::Mailboxes>() {
        for mailbox in mailboxes.iter() {
            add(&mut domains, mailbox.email.as_ref());
        }
    }
    domains
}

fn mailparse(value: &str) -> Domains {
    use mailparse::MailAddr;
    let mut domains = Domains::new();
    if let Ok(list) = mailparse::addrparse(value) {
        for address in list.iter() {
            match address {
                MailAddr::Single(single) => add(&mut domains, &single.addr),
                MailAddr::Group(group) => {
                    group.addrs.iter().for_each(|a| add(&mut domains, &a.addr))
                }
            }
        }
    }
    domains
}

fn mail_parser(value: &str) -> Domains {
    let message = format!("From: {value}\r\n\r\n");
    let mut domains = Domains::new();
    if let Some(message) = mail_parser::MessageParser::default().parse(message.as_bytes())
        && let Some(from) = message.from()
    {
        for address in from.iter() {
            add(&mut domains, address.address().unwrap_or_default());
        }
    }
    domains
}
