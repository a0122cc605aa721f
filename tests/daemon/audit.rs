//! Audit mode that ends by itself, in an open session: nothing runs at that moment, and nobody tells.

use crate::site::{LONG, Site, until};

#[test]
fn the_question_after_the_end_is_refused() {
    let site = Site::new();
    let _daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    assert!(
        session
            .policy("a@evil.example")
            .starts_with("550 5.7.1 [ACL]")
    );
    site.done(&["user", "set", "shop", "--enforce", "audit", "--until", "1d"]);
    assert_eq!(session.policy("a@evil.example"), "DUNNO");
    site.done(&["user", "set", "shop", "--until", "2s"]);
    let refused = until(
        LONG,
        || session.policy("a@evil.example"),
        |answer| answer != "DUNNO",
    );
    assert!(refused.starts_with("550 5.7.1 [ACL]"), "{refused}");
    assert_eq!(session.policy("a@example.com"), "DUNNO");
}
