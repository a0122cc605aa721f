//! The header From against three parsers of others: what any of them finds in a field, ours must
//! find too, or refuse the field. (Ours may find more, and refuse what they take.)

use outgate::model::address::Site;
use outgate::model::header_from::parse;
use proptest::prelude::*;

#[path = "fuzz/src/header_readers.rs"]
mod header_readers;

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
        header_readers::check(value.as_bytes());
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
        header_readers::check(value.as_bytes());
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
