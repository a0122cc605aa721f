//! A lockdown record lets nobody in whom it does not name.

use std::sync::Arc;

use outgate::model::dns::{Answer, Known, Records, Trouble, Unknown};
use outgate::model::domain::Domain;
use outgate::model::name::{Name, UserId};
use outgate::standing::lockdown::{Lockdown, look};

/// Input: one text record a line.
pub fn check(input: &[u8]) {
    let texts: Vec<Arc<[u8]>> = input.split(|b| *b == b'\n').map(Arc::from).collect();
    let ours = |text: &Arc<[u8]>| is_ours(text);
    let locked = texts.iter().any(ours);
    let named = texts.iter().filter(|text| is_ours(text)).any(|text| {
        let text = text.to_ascii_lowercase();
        text.windows(9).any(|part| part == b"auth=shop")
    });
    let meant = texts.iter().any(|text| may_be_meant(text));
    let lockdown = said(Answer::Records(Records::Txt(texts))).unwrap();
    match lockdown {
        Lockdown::Open => assert!(!locked),
        Lockdown::Listed(_) | Lockdown::TooMuch => assert!(locked),
        Lockdown::Unreadable(_) => assert!(locked || meant),
    }
    let name = Name::parse("shop").unwrap();
    if lockdown.admits(&name, UserId::default()) {
        assert!(!locked || named);
    }
    let shown = lockdown.to_string();
    assert!(shown.bytes().all(|b| (b' '..=b'~').contains(&b)));
    assert_eq!(said(Answer::Trouble(Trouble::ServFail)), None);
}

/// Our version, whatever is behind it.
fn is_ours(text: &[u8]) -> bool {
    let text = text.trim_ascii().to_ascii_lowercase();
    let rest = text.strip_prefix(b"v=og1");
    rest.is_some_and(|rest| rest.first().is_none_or(|b| !b.is_ascii_alphanumeric()))
}

/// The version is there, whatever stands between its letters.
fn may_be_meant(text: &[u8]) -> bool {
    let mut rest = text.to_ascii_lowercase();
    rest.retain(|b| b.is_ascii_alphanumeric() || *b == b'=');
    rest.starts_with(b"v=og1")
}

/// What a domain with this answer says; `None` where it cannot be known.
fn said(answer: Answer) -> Option<Lockdown> {
    let domain = Domain::parse("example.com").unwrap();
    let mut known = Known::default();
    let Unknown(asked) = look("_outgate", &domain, &known).unwrap_err();
    assert_eq!(asked.len(), 1);
    known.insert(asked[0].clone(), Arc::new(answer));
    look("_outgate", &domain, &known).unwrap().ok()
}
