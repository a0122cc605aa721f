//! The header From in tables, both ways: what real senders write passes, and what readers could
//! take for something else is refused, each for its own reason.

use outgate::model::header_from::{FromError, Mailbox, parse, parse_fields};
use proptest::prelude::*;

fn addresses(mailboxes: &[Mailbox]) -> Vec<String> {
    mailboxes.iter().map(|m| m.address.to_string()).collect()
}

/// A value, and the addresses in it.
const LEGITIMATE: &[(&str, &[&str])] = &[
    ("jane@good.example", &["jane@good.example"]),
    ("<jane@good.example>", &["jane@good.example"]),
    ("Jane <jane@good.example>", &["jane@good.example"]),
    ("Jane<jane@good.example>", &["jane@good.example"]),
    (
        "  Jane   Doe  <jane@good.example>  ",
        &["jane@good.example"],
    ),
    ("\tJane Doe <jane@good.example>", &["jane@good.example"]),
    ("\"Doe, Jane\" <jane@good.example>", &["jane@good.example"]),
    (
        "\"Jane \\\"JD\\\" Doe\" <jane@good.example>",
        &["jane@good.example"],
    ),
    ("\"C:\\\\mail\" <jane@good.example>", &["jane@good.example"]),
    (
        "\"x <b@evil.example>\" <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "\"b@evil.example\" <jane@good.example>",
        &["jane@good.example"],
    ),
    ("\"a; b: c\" <jane@good.example>", &["jane@good.example"]),
    ("\"\" <jane@good.example>", &["jane@good.example"]),
    (
        "\"Jane\" \"Doe\" <jane@good.example>",
        &["jane@good.example"],
    ),
    ("\"Jane\" Doe <jane@good.example>", &["jane@good.example"]),
    (
        "a@good.example, \"Doe, Jane @ Good\" <jane@good.example>",
        &["a@good.example", "jane@good.example"],
    ),
    (
        "Shop \"Doe, Jane\" <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "Jane \"b@evil.example\" <jane@good.example>",
        &["jane@good.example"],
    ),
    ("Jane Q. Doe <jane@good.example>", &["jane@good.example"]),
    ("Dr. J. Doe Jr. <jane@good.example>", &["jane@good.example"]),
    (".NET Team <jane@good.example>", &["jane@good.example"]),
    (
        "shop.good.example <jane@good.example>",
        &["jane@good.example"],
    ),
    ("O'Brien & Sons <jane@good.example>", &["jane@good.example"]),
    ("'Jane Doe' <jane@good.example>", &["jane@good.example"]),
    (
        "50% off! #1 $hop <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "jane@good.example <jane@good.example>",
        &["jane@good.example"],
    ),
    ("Jane @ Good <jane@good.example>", &["jane@good.example"]),
    ("@jane <jane@good.example>", &["jane@good.example"]),
    ("b@evil.example <jane@good.example>", &["jane@good.example"]),
    ("a@good.example <b@evil.example>", &["b@evil.example"]),
    ("[Support] Jane <jane@good.example>", &["jane@good.example"]),
    (
        "Jane [via Shop 2.0] <jane@good.example>",
        &["jane@good.example"],
    ),
    ("Jane (Sales) <jane@good.example>", &["jane@good.example"]),
    ("jane@good.example (Jane Doe)", &["jane@good.example"]),
    (
        "jane@good.example (Jane (Sales) Doe)",
        &["jane@good.example"],
    ),
    (
        "jane@good.example (=?UTF-8?Q?J=C3=A4ne?=)",
        &["jane@good.example"],
    ),
    (
        "jane@good.example (Jane, Sales (EU))",
        &["jane@good.example"],
    ),
    (
        "jane@good.example (Jane, at home: 123)",
        &["jane@good.example"],
    ),
    ("jane@good.example (a \\) b)", &["jane@good.example"]),
    ("jane@good.example (b@evil.example)", &["jane@good.example"]),
    ("(c) jane(c)@(c)good.example (c)", &["jane@good.example"]),
    (
        "(c) Jane (c) < (c) jane (c) @ (c) good.example (c) > (c)",
        &["jane@good.example"],
    ),
    ("jane @ good.example", &["jane@good.example"]),
    ("< jane@good.example >", &["jane@good.example"]),
    (
        "\"Doe, Jane\"\n <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "Jane\r\n\tDoe\r\n <jane@good.example>",
        &["jane@good.example"],
    ),
    ("\"Jane\n Doe\" <jane@good.example>", &["jane@good.example"]),
    ("jane@good.example\n (Jane\n Doe)", &["jane@good.example"]),
    ("\n jane@good.example\n ", &["jane@good.example"]),
    (
        "=?UTF-8?Q?J=C3=A4ne_D=C3=B6?= <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "=?UTF-8?B?SsOkbmU=?=\n =?UTF-8?B?IETDtg==?= <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "\"=?UTF-8?Q?J=C3=A4ne?=\" <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "=?utf-8?q?b=40evil.example?= <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "=?utf-8?q?M=C3=BCller=2C_Jan?= <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "=?utf-8?q?Jane_(Sales)?= <jane@good.example>",
        &["jane@good.example"],
    ),
    ("Jäne Dö <jane@good.example>", &["jane@good.example"]),
    ("株式会社 <jane@good.example>", &["jane@good.example"]),
    (
        "\"株式会社, 東京\" <jane@good.example>",
        &["jane@good.example"],
    ),
    (
        "🛒 Shop™ – Jane’s <jane@good.example>",
        &["jane@good.example"],
    ),
    ("jäne@good.example", &["jäne@good.example"]),
    ("jane@bücher.example", &["jane@xn--bcher-kva.example"]),
    (
        "jane@xn--bcher-kva.example",
        &["jane@xn--bcher-kva.example"],
    ),
    ("Jane@GOOD.Example", &["Jane@good.example"]),
    ("jane@good.example.", &["jane@good.example"]),
    ("jane+tag=x@good.example", &["jane+tag=x@good.example"]),
    (
        "SRS0=abc=xy=other.example=bob@good.example",
        &["SRS0=abc=xy=other.example=bob@good.example"],
    ),
    (
        "prvs=1234=jane@good.example",
        &["prvs=1234=jane@good.example"],
    ),
    (
        "bob%other.example@good.example",
        &["bob%other.example@good.example"],
    ),
    ("j@a.b.c.d.good.example", &["j@a.b.c.d.good.example"]),
    ("\"jane doe\"@good.example", &["jane doe@good.example"]),
    ("\"jane..doe\"@good.example", &["jane..doe@good.example"]),
    ("\"jane\"@good.example", &["jane@good.example"]),
    ("Jane <\"jane.\"@good.example>", &["jane.@good.example"]),
    ("jane@[192.0.2.1]", &["jane@[192.0.2.1]"]),
    ("<jane@[IPv6:2001:db8::1]>", &["jane@[IPv6:2001:db8::1]"]),
    ("jane@localhost", &["jane@localhost"]),
    (
        "a@good.example, b@evil.example",
        &["a@good.example", "b@evil.example"],
    ),
    (
        "A <a@good.example>,\n B <b@evil.example>",
        &["a@good.example", "b@evil.example"],
    ),
    (
        "a@good.example,\"B, C\" <b@evil.example>",
        &["a@good.example", "b@evil.example"],
    ),
    (
        "a@good.example, c@d <b@evil.example>",
        &["a@good.example", "b@evil.example"],
    ),
    (
        "Team: a@good.example, B <b@evil.example>;",
        &["a@good.example", "b@evil.example"],
    ),
    ("\"The, Team\": a@good.example; (c)", &["a@good.example"]),
    (
        "Team: a@good.example;, b@evil.example",
        &["a@good.example", "b@evil.example"],
    ),
    ("Nobody:;, b@evil.example", &["b@evil.example"]),
    ("Nobody: (nobody) ;, b@evil.example", &["b@evil.example"]),
];

/// A value, and why it is refused.
const HOSTILE: &[(&[u8], FromError)] = &[
    (b"", FromError::Empty),
    (b"  \n ", FromError::Empty),
    (b"(b@evil.example)", FromError::Empty),
    (b"undisclosed:;", FromError::Empty),
    (b"undisclosed recipients: ;, nobody: ;", FromError::Empty),
    // No address.
    (b"Jane", FromError::NoAddress),
    (b"\"jane@good.example\"", FromError::NoAddress),
    (b"=?utf-8?q?b=40evil.example?=", FromError::NoAddress),
    (b"Doe, Jane <jane@good.example>", FromError::NoAddress),
    (b"Shop, Inc. <jane@good.example>", FromError::NoAddress),
    (b"a@good.example, ", FromError::NoAddress),
    (b", a@good.example", FromError::NoAddress),
    (b"a@good.example,,b@evil.example", FromError::NoAddress),
    (b"Jane <>", FromError::NoAddress),
    (b"Jane <jane>", FromError::NoAddress),
    (b"evil.example!bob", FromError::NoAddress),
    (b"bob%evil.example", FromError::NoAddress),
    (b"Team: ,;", FromError::NoAddress),
    (b"a@good.example;", FromError::Leftover),
    // Leftovers.
    (b"<a@good.example> <b@evil.example>", FromError::Leftover),
    (b"<a@good.example> b@evil.example", FromError::Leftover),
    (b"a@good.example b@evil.example", FromError::Leftover),
    (b"a@good.example\n b@evil.example", FromError::Leftover),
    (b"a@good.example@evil.example", FromError::Leftover),
    (b"<a@good.example@evil.example>", FromError::Leftover),
    (b"a@good.example>", FromError::Leftover),
    (b"Jane <a@good.example>>", FromError::Leftover),
    (b"Jane <a@good.example> Doe", FromError::Leftover),
    (b"Jane <a@good.example> \"x\"", FromError::Leftover),
    (b"a b@good.example", FromError::Leftover),
    (b"a . b @ good . example", FromError::Leftover),
    (b"a@good .example", FromError::Leftover),
    (b"a@good.example(c).evil.example", FromError::Leftover),
    (b"a@good.example .evil.example", FromError::Leftover),
    (b"a(c)b@good.example", FromError::Leftover),
    // Not closed.
    (b"<a@good.example", FromError::Unclosed),
    (b"\"Jane <a@good.example>", FromError::Unclosed),
    (b"\"Jane\\\" <a@good.example>", FromError::Unclosed),
    (b"Jane (x <a@good.example>", FromError::Unclosed),
    (b"a@good.example ((x)", FromError::Unclosed),
    (b"a@good.example (x\\)", FromError::Unclosed),
    (b"a@[192.0.2.1", FromError::Unclosed),
    (b"Team: a@good.example", FromError::Unclosed),
    (b"Team:", FromError::Unclosed),
    (b"Team: a@good.example,", FromError::Unclosed),
    (b"a@good.example \"", FromError::Unclosed),
    // Routes, UUCP, nesting.
    (b"<@relay.example:a@good.example>", FromError::Route),
    (
        b"Jane <@a.example,@b.example:a@good.example>",
        FromError::Route,
    ),
    (b"@relay.example:a@good.example", FromError::Ambiguous),
    (b"Jane <<a@good.example>>", FromError::Misplaced),
    (
        b"Jane <a@good.example,b@evil.example>",
        FromError::Misplaced,
    ),
    (
        b"Jane <b@evil.example <a@good.example>>",
        FromError::Misplaced,
    ),
    (b"A: B: a@good.example;;", FromError::Misplaced),
    (b": a@good.example;", FromError::Misplaced),
    (
        b"\\<b@evil.example\\> <a@good.example>",
        FromError::Misplaced,
    ),
    (b"a@good.example)", FromError::Misplaced),
    (b"a@good.example]", FromError::Misplaced),
    (b"Jane\\ <a@good.example>", FromError::Misplaced),
    // What some readers are known to read otherwise.
    (b"\"b@evil.example\"@good.example", FromError::Ambiguous),
    (b"\"b@evil.example b\"@good.example", FromError::Ambiguous),
    (b"\"x <a@junk.example>\"@good.example", FromError::Ambiguous),
    (b"\"b,c\"@good.example", FromError::Ambiguous),
    (b"\"b\\\"c\"@good.example", FromError::Ambiguous),
    (b"\"(b)\"@good.example", FromError::Ambiguous),
    (b"b@evil.example: a@good.example;", FromError::Ambiguous),
    (b"a@[b@evil.example;192.0.2.1]", FromError::Ambiguous),
    (b"a@[x(b@evil.example)]", FromError::Ambiguous),
    (b"a@[192.0.2.1,<b]", FromError::Ambiguous),
    (
        b"Jane \"b@evil.example, \" <a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"(c) \"b@evil.example, \" <a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"b@evil.example \",\" <a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"a@good.example (x (y), <b@evil.example>, z)",
        FromError::Ambiguous,
    ),
    (
        b"(b@evil.example; c) Jane <a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"\"Jane\" (x: b@evil.example;) <a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"Jane <(b@evil.example>,) a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"@evil (=?utf-8?q?x) y?= <a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"b@(x (y)evil.example, z) \"\" <a@good.example>",
        FromError::Ambiguous,
    ),
    (
        b"a@good.example (x \\), <b@evil.example>, z)",
        FromError::Ambiguous,
    ),
    (
        b"=?utf-8?q?x?= (<b@evil.example>, ) <a@good.example>",
        FromError::Ambiguous,
    ),
    (b"[<b@evil.example>] <a@good.example>", FromError::Ambiguous),
    (b"[b@evil.example] <a@good.example>", FromError::Ambiguous),
    (
        b"=?utf-8?q?b=40evil.example=3E?=@good.example",
        FromError::Ambiguous,
    ),
    (
        b"<=?utf-8?q?b=40evil.example=2C?=a@good.example>",
        FromError::Ambiguous,
    ),
    // Halves that are none.
    (b"@good.example", FromError::BadLocal),
    (b"<@good.example>", FromError::BadLocal),
    (b".a@good.example", FromError::BadLocal),
    (b"a.@good.example", FromError::BadLocal),
    (b"a..b@good.example", FromError::BadLocal),
    (b"\"a\".b@good.example", FromError::BadLocal),
    (b"a.\"b\"@good.example", FromError::BadLocal),
    (b"\"a\"\"b\"@good.example", FromError::BadLocal),
    (b"\"\"@good.example", FromError::BadLocal),
    (b"\" \"@good.example", FromError::BadLocal),
    (b"j\xe4ne@good.example", FromError::BadLocal),
    (b"j\xc2\x85ane@good.example", FromError::BadLocal),
    (b"j\xe2\x80\xa8ane@good.example", FromError::BadLocal),
    (b"a@", FromError::BadDomain),
    (b"<a@>", FromError::BadDomain),
    (b"a@.", FromError::BadDomain),
    (b"a@good..example", FromError::BadDomain),
    (b"a@.good.example", FromError::BadDomain),
    (b"a@good.example..", FromError::BadDomain),
    (b"a@\"good.example\"", FromError::BadDomain),
    (b"a@good_evil.example", FromError::BadDomain),
    (b"a@-good.example", FromError::BadDomain),
    (b"a@good.example/evil", FromError::BadDomain),
    (b"a@192.0.2.1", FromError::BadDomain),
    (b"a@b\xfccher.example", FromError::BadDomain),
    (b"a@[]", FromError::BadDomain),
    (b"a@[192.0.2.1 ]", FromError::BadDomain),
    (b"a@[192.0.2.1].good.example", FromError::BadDomain),
    (b"a@good.example[192.0.2.1]", FromError::BadDomain),
    // Control characters and line ends.
    (b"a@good.example\0", FromError::Control),
    (b"a@good.example\0@evil.example", FromError::Control),
    (b"a@go\0od.example", FromError::Control),
    (b"\"Ja\0ne\" <a@good.example>", FromError::Control),
    (b"a@good.example\r b@evil.example", FromError::Control),
    (b"a@good.example (\r)", FromError::Control),
    (b"a@good.example\n", FromError::Control),
    (b"a@good.example\nFrom: b@evil.example", FromError::Control),
    (b"a@good.example\r\n\r\n b", FromError::Control),
    (b"a@good.example \x0b", FromError::Control),
    (b"\x1b$BJane\x1b(B <a@good.example>", FromError::Control),
    (b"a\x7f@good.example", FromError::Control),
];

#[test]
fn what_real_senders_write_passes() {
    for (value, expected) in LEGITIMATE {
        if expected.is_empty() {
            continue;
        }
        let mailboxes = parse(value.as_bytes()).unwrap_or_else(|e| panic!("{value:?}: {e}"));
        assert_eq!(addresses(&mailboxes), *expected, "{value:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (value, expected) in HOSTILE {
        let shown = String::from_utf8_lossy(value);
        assert_eq!(parse(value).unwrap_err(), *expected, "{shown:?}");
        assert!(expected.to_string().is_ascii());
    }
}

#[test]
fn names_of_any_charset_pass() {
    for value in [
        b"J\xe4ne D\xf6 <jane@good.example>".as_slice(),
        b"\"D\xf6, J\xe4ne\" <jane@good.example>",
        b"jane@good.example (J\xe4ne)",
        b"\x93Jane\x94 <jane@good.example>",
        b"\x82\xb1\x82\xf1 <jane@good.example>",
    ] {
        let mailboxes = parse(value).unwrap();
        assert_eq!(addresses(&mailboxes), ["jane@good.example"]);
    }
}

#[test]
fn display_names_are_what_readers_show() {
    for (value, name) in [
        ("jane@good.example", None),
        ("Jane Q. Doe <jane@good.example>", Some("Jane Q. Doe")),
        (
            "\"Doe, \\\"J\\\"\n Jane\" <jane@good.example>",
            Some("Doe, \"J\" Jane"),
        ),
        ("a@b.example <jane@good.example>", Some("a@b.example")),
        ("[x] Jane <jane@good.example>", Some("[x] Jane")),
        ("=?utf-8?q?J?= <jane@good.example>", Some("=?utf-8?q?J?=")),
        (
            "jane@good.example (ceo@bank.example)",
            Some("ceo@bank.example"),
        ),
        ("Jane <jane@good.example> (x)", Some("Jane")),
        ("\"\" <jane@good.example>", None),
        ("jane@good.example ()", None),
    ] {
        let mailboxes = parse(value.as_bytes()).unwrap();
        assert_eq!(mailboxes[0].display_name.as_deref(), name, "{value:?}");
    }
    let two = parse(b"a@good.example (A), b@good.example").unwrap();
    assert_eq!(two[0].display_name.as_deref(), Some("A"));
    assert_eq!(two[1].display_name, None);
}

#[test]
fn a_message_has_exactly_one_from_field() {
    let none: [&[u8]; 0] = [];
    assert_eq!(parse_fields(&none), Err(FromError::Absent));
    assert!(FromError::Absent.is_missing() && FromError::Empty.is_missing());
    assert_eq!(
        addresses(&parse_fields(&["a@good.example"]).unwrap()).len(),
        1
    );
    let twice = parse_fields(&["a@good.example", "a@good.example"]).unwrap_err();
    assert_eq!(twice, FromError::Repeated);
    assert!(!twice.is_missing());
}

#[test]
fn ten_mailboxes_and_no_more() {
    let list = |n: usize| vec!["a@good.example"; n].join(",");
    assert_eq!(parse(list(10).as_bytes()).unwrap().len(), 10);
    assert_eq!(parse(list(11).as_bytes()), Err(FromError::TooMany));
    let group = format!("G: {};, a@good.example", list(10));
    assert_eq!(parse(group.as_bytes()), Err(FromError::TooMany));
}

/// The longest header that Postfix lets through by default, in the shapes that hurt a parser that
/// is not linear. No figures here: a quadratic one would take minutes.
#[test]
fn the_longest_headers_are_read_at_once() {
    const SIZE: usize = 102_400;
    for piece in [
        "(", "(a)", "\"", "\\", "<", ",", ".", "a.", "a ", "a:;,", "@", "[a]", "=?", "(((a)))",
    ] {
        let mut value = piece.repeat(SIZE / piece.len());
        let _ = parse(value.as_bytes());
        value.push_str(" <jane@good.example>");
        let _ = parse(value.as_bytes());
    }
    let name = "word ".repeat(SIZE / 5);
    let value = format!("{name}<jane@good.example>");
    assert_eq!(parse(value.as_bytes()).unwrap().len(), 1);
    let nested = format!(
        "jane@good.example {}{}",
        "(".repeat(50_000),
        ")".repeat(50_000)
    );
    assert_eq!(parse(nested.as_bytes()).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn what_a_strict_parser_accepts_is_not_refused_without_need(
        name in "[A-Za-z .,'-]{0,20}",
        local in "[a-z0-9+_-]{1,12}(\\.[a-z0-9]{1,5})?",
        domain in "[a-z]{1,10}(\\.[a-z]{2,5}){1,2}",
    ) {
        let mailbox = lettre::message::Mailbox::new(
            Some(name),
            format!("{local}@{domain}").parse().unwrap(),
        );
        let ours = parse(mailbox.to_string().as_bytes()).unwrap();
        prop_assert_eq!(addresses(&ours), [format!("{local}@{domain}")]);
    }
}
