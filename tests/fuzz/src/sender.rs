//! An envelope sender is one value, whichever door it came through.

use outgate::model::address::Site;
use outgate::model::sender::EnvelopeSender;

/// Input: policy's `sender`, and the argument of MAIL.
pub fn check(input: &[u8]) {
    let policy = EnvelopeSender::from_policy(input);
    if let EnvelopeSender::Address(address) = &policy {
        let text = std::str::from_utf8(input).unwrap();
        assert_eq!(text.rsplit_once('@').unwrap().0, &*address.local);
        assert!(!text.chars().any(char::is_control));
    }
    for sender in [policy, EnvelopeSender::from_mail_argument(input)] {
        let printed = sender.to_string();
        assert!(sender.len_on_the_wire() >= printed.len());
        let EnvelopeSender::Address(address) = &sender else {
            continue;
        };
        assert_eq!(EnvelopeSender::from_policy(printed.as_bytes()), sender);
        if let Site::Domain(domain) = &address.site {
            let escaped = address.local.replace('\\', "\\\\").replace('"', "\\\"");
            let argument = format!("<\"{escaped}\"@{domain}>");
            assert_eq!(
                EnvelopeSender::from_mail_argument(argument.as_bytes()),
                sender
            );
        }
    }
}
