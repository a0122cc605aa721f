//! A From field that is accepted names the same mailboxes when it is written anew.

use outgate::model::header_from::{MAX_MAILBOXES, Mailbox, parse_fields};

/// Input: the value of the field.
pub fn check(input: &[u8]) {
    let Ok(mailboxes) = parse_fields(&[input]) else {
        return;
    };
    assert!((1..=MAX_MAILBOXES).contains(&mailboxes.len()));
    let written: Vec<String> = mailboxes.iter().map(write).collect();
    let field = written.join(",\r\n ");
    assert_eq!(
        parse_fields(&[&field]).as_ref(),
        Ok(&mailboxes),
        "{field:?}"
    );
}

/// Both halves in quotes, which say the least about what stands between them.
fn write(mailbox: &Mailbox) -> String {
    let address = &mailbox.address;
    let printed = address.to_string();
    let site = &printed[address.local.len() + 1..];
    let angle = format!("<\"{}\"@{site}>", address.local);
    match &mailbox.display_name {
        Some(name) => {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\" {angle}")
        }
        None => angle,
    }
}
