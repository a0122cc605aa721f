//! Audit mode with an end: what may be asked for, and what is stored.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use outgate::manage::edit::{Amendment, Settings};
use outgate::manage::view::UserView;
use outgate::model::user::Enforce;

use crate::{add, day, on_every_store, refused, set, show};

fn enforced(enforce: Option<Enforce>, until: Option<Timestamp>) -> Settings {
    Settings {
        enforce,
        until,
        ..Settings::default()
    }
}

fn amended(enforce: Option<Enforce>, until: Option<Timestamp>) -> Amendment {
    Amendment {
        settings: enforced(enforce, until),
        ..Amendment::default()
    }
}

const AUDIT: Option<Enforce> = Some(Enforce::Audit);
const ON: Option<Enforce> = Some(Enforce::On);

#[test]
fn an_end_is_kept_moved_and_taken_away() {
    on_every_store(|store| {
        let stored = || {
            let user = show(store, "shop").user;
            (user.enforce, user.enforce_until)
        };
        add(store, "shop", &enforced(AUDIT, Some(day(9)))).unwrap();
        assert_eq!(stored(), (Enforce::Audit, Some(day(9))));
        // Something else changes nothing about it.
        set(store, "shop", &amended(None, None)).unwrap();
        assert_eq!(stored(), (Enforce::Audit, Some(day(9))));
        set(store, "shop", &amended(None, Some(day(20)))).unwrap();
        assert_eq!(stored(), (Enforce::Audit, Some(day(20))));
        set(store, "shop", &amended(ON, None)).unwrap();
        assert_eq!(stored(), (Enforce::On, None));
        set(store, "shop", &amended(AUDIT, Some(day(10)))).unwrap();
        set(store, "shop", &amended(AUDIT, None)).unwrap();
        assert_eq!(stored(), (Enforce::Audit, None));
    });
}

#[test]
fn an_end_has_to_come_and_belongs_to_audit_mode() {
    on_every_store(|store| {
        let over = "audit mode cannot end in the past";
        let nothing = "refusals are carried out";
        refused(
            add(store, "a", &enforced(AUDIT, Some(day(1)))),
            over,
            "--enforce on",
        );
        refused(
            add(store, "a", &enforced(None, Some(day(9)))),
            nothing,
            "--enforce audit",
        );
        refused(
            add(store, "a", &enforced(ON, Some(day(9)))),
            nothing,
            "--enforce audit",
        );
        add(store, "a", &enforced(None, None)).unwrap();
        refused(
            set(store, "a", &amended(None, Some(day(9)))),
            nothing,
            "--enforce audit",
        );
        refused(
            set(store, "a", &amended(AUDIT, Some(day(2)))),
            over,
            "--enforce on",
        );
        assert_eq!(show(store, "a").user.enforce, Enforce::On);
        // `set` comes on the second day: a trial that was over by then is not begun anew by a slip.
        let ends = "2026-03-02T00:00:00Z".parse().unwrap();
        add(store, "b", &enforced(AUDIT, Some(ends))).unwrap();
        refused(
            set(store, "b", &amended(None, Some(day(9)))),
            nothing,
            "--enforce audit",
        );
        set(store, "b", &amended(AUDIT, Some(day(9)))).unwrap();
    });
}

#[test]
fn what_is_shown_is_what_is_in_force() {
    on_every_store(|store| {
        add(store, "shop", &enforced(AUDIT, Some(day(9)))).unwrap();
        let shown = |now| {
            let view = UserView::new(&show(store, "shop"), &[], now, &TimeZone::UTC);
            (view.enforce, view.enforce_until)
        };
        assert_eq!(shown(day(8)), (Enforce::Audit, Some(day(9))));
        assert_eq!(shown(day(9)), (Enforce::On, Some(day(9))));
    });
}
