//! What holds for every input: names, addresses and lists print as they parse, nothing panics, and
//! the policy codec reads the same however its stream is cut.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use bytes::BytesMut;
use outgate::decision::coverage::{cover, owned_through};
use outgate::decision::facts::{Lineage, Rules};
use outgate::front::policy::wire::{Action, Attribute, PolicyCodec, Request};
use outgate::model::address::{Address, Site};
use outgate::model::domain::Domain;
use outgate::model::grant::Grant;
use outgate::model::name::{Login, Name, UserId};
use outgate::model::network::{ClientAddress, Network};
use outgate::model::reply::{MAX_REPLY, Reply, compose, escape};
use outgate::model::sender::EnvelopeSender;
use outgate::model::user::{CheckFrom, Enforce, Mode, Ownership, Status, User};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio_util::codec::{Decoder, Encoder};

/// Text in which names are likely: labels, dots, at signs, wildcards, brackets, and anything.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.@*-]{0,40}",
        "[a-z0-9.]{1,12}@[a-z0-9]{1,8}\\.(example|com|co\\.uk|рф)\\.?",
        "(\\*\\.)?[a-zäöüß0-9-]{1,10}\\.(example|test|xn--p1ai)",
        "[<>\"\\\\()\\[\\]:;,@.a-b \\t\\r]{0,24}",
        "xn--[a-z0-9-]{0,12}\\.com",
        "\\PC{0,40}",
        any::<String>(),
    ]
}

/// Names of a small world, so that one lies below the other often.
fn name() -> impl Strategy<Value = Domain> {
    "([ab]\\.){0,3}[xy]\\.(example|test)".prop_map(|name| Domain::parse(&name).unwrap())
}

proptest! {
    #[test]
    fn a_domain_has_one_form(text in text()) {
        let Ok(domain) = Domain::parse(&text) else { return Ok(()) };
        let printed = domain.to_string();
        prop_assert!(printed.is_ascii() && printed.len() <= 253 && printed == printed.to_lowercase());
        prop_assert!(printed.split('.').all(|label| (1..=63).contains(&label.len())));
        prop_assert_eq!(Domain::parse(&printed), Ok(domain.clone()));
        prop_assert_eq!(Domain::parse(&printed.to_uppercase()), Ok(domain.clone()));
        prop_assert_eq!(Domain::parse(&format!("{printed}.")), Ok(domain.clone()));
        prop_assert_eq!(Domain::parse(&domain.unicode()), Ok(domain));
    }

    #[test]
    fn names_lie_below_their_ancestors_and_nothing_else(one in name(), two in name()) {
        let above: Vec<Domain> = one.ancestors().collect();
        prop_assert_eq!(one.is_below(&two), above.contains(&two));
        prop_assert_eq!(
            one.is_below(&two),
            one != two && one.tree_key().starts_with(&two.tree_key())
        );
    }

    #[test]
    fn a_grant_prints_as_it_parses(text in text()) {
        let Ok(grant) = Grant::parse(&text) else { return Ok(()) };
        prop_assert!(!grant.domain().is_public_suffix());
        prop_assert_eq!(Grant::parse(&grant.to_string()), Ok(grant));
    }

    #[test]
    fn a_sender_is_split_at_its_last_at(text in text()) {
        match EnvelopeSender::from_policy(text.as_bytes()) {
            EnvelopeSender::Null => prop_assert_eq!(text, ""),
            EnvelopeSender::Malformed { .. } => {}
            EnvelopeSender::Address(address) => {
                let (local, _) = text.rsplit_once('@').unwrap();
                prop_assert_eq!(&*address.local, local);
                prop_assert!(!text.chars().any(char::is_control));
                let again = Address::split(&address.to_string()).unwrap();
                prop_assert_eq!(again, address);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_sender_of_some_kind(bytes in vec(any::<u8>(), 0..60)) {
        let policy = EnvelopeSender::from_policy(&bytes);
        prop_assert!(policy.len_on_the_wire() >= policy.to_string().len());
        let argument = EnvelopeSender::from_mail_argument(&bytes);
        prop_assert!(argument.len_on_the_wire() >= argument.to_string().len());
    }

    /// What a client puts between brackets, without anything that wants interpreting.
    #[test]
    fn both_doors_read_one_sender(local in "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.@-]{1,20}", site in "[a-zA-Z0-9.-]{1,20}|\\[[0-9.]{1,12}\\]|\\[IPv6:[0-9a-f:]{1,12}\\]") {
        prop_assume!(!local.starts_with('@'));
        let plain = format!("{local}@{site}");
        let policy = EnvelopeSender::from_policy(plain.as_bytes());
        for argument in [format!("<{plain}>"), format!("Name <{plain}>"), format!("<{plain}(c)>"), format!(" {plain} ")] {
            prop_assert_eq!(EnvelopeSender::from_mail_argument(argument.as_bytes()), policy.clone());
        }
    }

    /// A quoted local part is read as Postfix shows it to a policy server: without its quotes.
    #[test]
    fn quotes_hide_nothing(local in "[ -~]{0,20}") {
        let quoted: String = local.chars().flat_map(|c| {
            let escape = matches!(c, '"' | '\\').then_some('\\');
            escape.into_iter().chain([c])
        }).collect();
        let argument = format!("<\"{quoted}\"@example.com>");
        prop_assert_eq!(
            EnvelopeSender::from_mail_argument(argument.as_bytes()),
            EnvelopeSender::from_policy(format!("{local}@example.com").as_bytes())
        );
    }

    #[test]
    fn a_network_prints_as_it_parses(text in "[0-9a-fA-F.:/]{0,24}") {
        let Ok(network) = Network::parse(&text) else { return Ok(()) };
        prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
    }

    #[test]
    fn a_network_has_what_shares_its_prefix(base in any::<u32>(), other in any::<u32>(), prefix in 0_u32..=32) {
        let network = Network::parse(&format!("{}/{prefix}", Ipv4Addr::from(base))).unwrap();
        let mapped = Network::parse(&format!("::ffff:{}/{}", Ipv4Addr::from(base), 96 + prefix)).unwrap();
        prop_assert_eq!(network, mapped);
        for address in [base, other, base ^ 1] {
            let shares = prefix == 0 || (base ^ address) >> (32 - prefix) == 0;
            let v4 = IpAddr::V4(Ipv4Addr::from(address));
            let ClientAddress::Known(seen) = ClientAddress::parse(&format!("::ffff:{v4}")) else { panic!("{v4}") };
            prop_assert_eq!(network.contains(v4), shares);
            prop_assert_eq!(network.contains(seen), shares);
        }
        prop_assert!(!network.contains(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }

    #[test]
    fn a_v6_network_has_what_shares_its_prefix(base in any::<u128>(), other in any::<u128>(), prefix in 0_u32..=128) {
        let base = base | 1 << 127;
        let network = Network::parse(&format!("{}/{prefix}", Ipv6Addr::from(base))).unwrap();
        for address in [base, other | 1 << 127, base ^ 1] {
            let shares = prefix == 0 || (base ^ address) >> (128 - prefix) == 0;
            prop_assert_eq!(network.contains(IpAddr::V6(Ipv6Addr::from(address))), shares);
        }
    }

    #[test]
    fn names_and_logins_have_one_form(text in text()) {
        if let Ok(name) = Name::parse(&text) {
            prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
            prop_assert_eq!(Login::parse(name.as_str()), Ok(name.to_login()));
        }
        if let Ok(login) = Login::parse(&text) {
            prop_assert_eq!(Login::parse(login.as_str()), Ok(login));
        }
    }

    #[test]
    fn a_reply_is_one_line_that_fits(text in any::<String>(), link in "[!-~]{0,200}", room in 0_usize..MAX_REPLY) {
        let line = compose("[ACL] Blocked: ", &escape(&text), &link, room);
        prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)));
        prop_assert!(line.starts_with("[ACL] Blocked: ") && line.ends_with(&link));
        prop_assert!(line.len() <= room.max("[ACL] Blocked: ...".len() + link.len()));
    }
}

/// A user of account `one`, with a list.
fn user(mode: Mode, grants: Vec<Grant>) -> User {
    User {
        id: UserId::new(),
        name: Name::parse("u").unwrap(),
        account: Name::parse("one").unwrap(),
        status: Status::Active,
        mode,
        grants,
        networks: Vec::new(),
        check_from: CheckFrom::Both,
        enforce: Enforce::On,
        enforce_until: None,
        max_recipients: None,
        quotas: Vec::new(),
        credential_version: 1,
    }
}

/// Verified domains of two accounts; which of them, and whether with sub-domains.
fn world() -> impl Strategy<Value = Vec<Ownership>> {
    vec((name(), any::<bool>(), any::<bool>()), 0..6).prop_map(|domains| {
        let mut world: Vec<Ownership> = Vec::new();
        for (domain, ours, with_subdomains) in domains {
            if world.iter().all(|known| known.domain != domain) {
                let account = Name::parse(if ours { "one" } else { "two" }).unwrap();
                world.push(Ownership {
                    domain,
                    account,
                    with_subdomains,
                });
            }
        }
        world
    })
}

fn lineage(world: &[Ownership], domain: &Domain) -> Lineage {
    let names = std::iter::once(domain.clone()).chain(domain.ancestors());
    let owner = |name: Domain| world.iter().find(|owner| owner.domain == name).cloned();
    Lineage {
        domain: domain.clone(),
        verified: names.filter_map(owner).collect(),
    }
}

proptest! {
    /// The rule in other words: the nearest verified name at or above settles whose a name is, but
    /// for own ones that do not reach down.
    #[test]
    fn nobody_sends_as_what_another_account_holds(world in world(), domain in name(), below in any::<bool>(), base in name()) {
        let lineage = lineage(&world, &domain);
        let address = Address { local: "a".into(), site: Site::Domain(domain.clone()) };
        let grant = if below { Grant::Below(base.clone()) } else { Grant::Domain(base.clone()) };
        let rules = Rules::default();
        let by_account = cover(&user(Mode::AllDomains, Vec::new()), &address, &lineage, &rules);
        let by_grant = cover(&user(Mode::Default, vec![grant]), &address, &lineage, &rules);
        if let Some(nearest) = lineage.verified.first() {
            let foreign = nearest.account.as_str() == "two";
            prop_assert!(!(foreign && by_account.is_some()));
            // A grant may be for a name below the other's only if its own domain is nearer: then
            // the other's is not the nearest.
            prop_assert!(!(foreign && by_grant.is_some()));
        } else {
            prop_assert!(by_account.is_none() && by_grant.is_none());
        }
        if by_grant.is_some() {
            let fits = if below { domain.is_below(&base) } else { domain == base };
            prop_assert!(fits);
            prop_assert!(owned_through(&Name::parse("one").unwrap(), &base, &lineage).is_some());
        }
    }
}

/// Requests as Postfix writes them, and what is nearly one.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => Just("request=smtpd_access_policy\n".to_owned()),
        2 => "(sender|sasl_username|instance|protocol_state|size|x)=[a-z@.=]{0,8}\n",
        3 => Just("\n".to_owned()),
        1 => "[a-z=\\n\\r]{0,6}",
    ];
    vec(line, 0..40).prop_map(|lines| lines.concat().into_bytes())
}

/// The values of a request, in the order of [`Attribute::ALL`].
type Values = Vec<Option<Vec<u8>>>;

/// Everything that the codec makes of pieces: requests, and how it ended.
fn read(pieces: &[&[u8]]) -> (Vec<Values>, Option<String>) {
    let (mut codec, mut input, mut requests) =
        (PolicyCodec::default(), BytesMut::new(), Vec::new());
    let values = |request: &Request| {
        let value = |attribute| request.value(attribute).map(<[u8]>::to_vec);
        Attribute::ALL.map(value).to_vec()
    };
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match codec.decode(&mut input) {
                Ok(Some(request)) => requests.push(values(&request)),
                Ok(None) => break,
                Err(error) => return (requests, Some(error.to_string())),
            }
        }
    }
    (requests, None)
}

proptest! {
    #[test]
    fn cuts_make_no_difference(stream in stream(), cuts in vec(any::<proptest::sample::Index>(), 0..6)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([stream.len()]) {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        let whole = read(&[&stream]);
        prop_assert_eq!(&read(&pieces), &whole);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&read(&bytes), &whole);
    }

    #[test]
    fn any_bytes_end_or_wait(bytes in vec(any::<u8>(), 0..200)) {
        let (requests, _) = read(&[&bytes]);
        prop_assert!(requests.is_empty());
    }

    #[test]
    fn an_action_is_one_line_and_an_empty_one(text in "[^\\n]{1,60}|\\PC{1,60}|[ -~]{1,60}") {
        let reply = Reply { code: 550, enhanced: "5.7.1", text: text.clone() };
        let mut output = BytesMut::new();
        PolicyCodec::default().encode(&Action::Reply(reply), &mut output).unwrap();
        let line = output.strip_prefix(b"action=550 5.7.1 ").unwrap();
        let said = line.strip_suffix(b"\n\n").unwrap();
        prop_assert!(said.iter().all(|b| (b' '..=b'~').contains(b)));
        if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            prop_assert_eq!(said, text.as_bytes());
        }
    }
}
