//! A domain has one form, and whoever prints one can read it again.

use outgate::model::domain::Domain;

/// Input: the text of a name.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(domain) = Domain::parse(text) else {
        return;
    };
    let printed = domain.to_string();
    let byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(byte);
    assert!(printed.len() <= 253 && printed.split('.').all(label));
    for form in [
        printed.clone(),
        printed.to_uppercase(),
        format!("{printed}."),
        domain.unicode(),
    ] {
        assert_eq!(Domain::parse(&form).as_ref(), Ok(&domain), "{form:?}");
    }
    for above in domain.ancestors() {
        assert!(domain.is_below(&above) && !above.is_below(&domain));
        assert!(domain.tree_key().starts_with(&above.tree_key()));
    }
    if let Some(organizational) = domain.organizational() {
        assert!(domain.is_below(&organizational));
    }
}
