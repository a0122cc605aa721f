//! The header From against three parsers of others: what any of them finds in a field, ours must
//! find too, or refuse the field. (Ours may find more, and refuse what they take.)

use std::collections::BTreeSet;

use outgate::model::address::Site;
use outgate::model::domain::Domain;
use outgate::model::header_from::parse;
use proptest::prelude::*;

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

/// Fails if another reader finds a domain that we do not check.
fn compare(value: &str) {
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

#[test]
fn what_others_find_in_nasty_fields_is_checked_or_refused() {
    for value in [
        "a@good.test",
        "Alice <a@good.test>, Bob <b@evil.test>",
        "<a@good.test> <b@evil.test>",
        "\"b@evil.test\" <a@good.test>",
        "=?utf-8?q?b=40evil.test?= <a@good.test>",
        "a@good.test <b@evil.test>",
        "=?utf-8?q?b=40evil?=",
        "<@relay.test:a@good.test>",
        "a@good.test (b@evil.test)",
        "a(c)@(c)good.test",
        "Team: a@good.test, b@evil.test;",
        "\"x@evil.test\"@good.test",
        "a@good.test@evil.test",
        "a . b @ good . test",
        "Alice, Bob <a@good.test>",
        "a@good.test\r\n b@evil.test",
        "a@good.test>",
        "<a@good.test",
        "\\<b@evil.test\\> <a@good.test>",
        "\"a\\\"\" <b@evil.test>, <a@good.test>",
        "(a@good.test) b@evil.test",
        "a@good.test,",
        ",a@good.test",
        "a@good.test; b@evil.test",
        "undisclosed:;, b@evil.test",
        "a@good.test(comment\\)) , b@evil.test",
        "[b@evil.test] <a@good.test>",
        "\"Doe, Jane\" <jane@good.test>",
        "a@[192.0.2.1]",
        "<a@good.test>b@evil.test",
        "a@good.test:b@evil.test",
    ] {
        compare(value);
    }
}

/// Pieces that hostile fields are made of.
fn field() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a@good.test",
        "b@evil.test",
        "<",
        ">",
        "\"",
        "(",
        ")",
        ",",
        ";",
        ":",
        " ",
        "\r\n ",
        "@",
        ".",
        "\\",
        "[",
        "]",
        "Jane",
        "Doe",
        "=?utf-8?q?x=40evil.test?=",
        "good.test",
        "evil.test",
        "<a@good.test>",
        "<b@evil.test>",
        "Group:",
        "\"b@evil.test\"",
        "(c)",
        "é",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_reader_finds_more_than_is_checked(value in field()) {
        compare(&value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&value);
    }

    #[test]
    fn what_is_accepted_prints_and_reads_again(value in field()) {
        if let Ok(mailboxes) = parse(value.as_bytes()) {
            for mailbox in mailboxes {
                let printed = match mailbox.address.site {
                    Site::Domain(_) if mailbox.address.local.contains(' ') => continue,
                    Site::Domain(_) | Site::Literal(_) => format!("<{}>", mailbox.address),
                };
                let again = parse(printed.as_bytes()).unwrap();
                prop_assert_eq!(&again[0].address, &mailbox.address);
            }
        }
    }
}
