//! Questions without a pause, while the daemon ends and another one takes over its sockets, and
//! while commands change what the answer is.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::inherited::handing_over;
use crate::site::{Client, Daemon, LONG, Site, until};

/// Shakes hands again and again, as each new smtpd process does.
fn shake(socket: &Path, over: &AtomicBool, shaken: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        Client::new(UnixStream::connect(socket).unwrap()).handshake();
        shaken.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_handshake_is_lost_while_one_daemon_follows_another() {
    let site = Site::new();
    let elsewhere = site.path("elsewhere");
    let held = UnixListener::bind(&elsewhere).unwrap();
    let (over, shaken) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let shakers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| shake(&elsewhere, &over, &shaken)))
            .collect();
        for _ in 0..10 {
            let daemon = Daemon::spawn(handing_over(&site, held.try_clone().unwrap(), "auth"));
            daemon.out.wait("ready", |line| line == "ready");
            let enough = shaken.load(Ordering::Relaxed) + 500;
            until(
                LONG,
                || {
                    (
                        shaken.load(Ordering::Relaxed),
                        shakers.iter().any(|s| s.is_finished()),
                    )
                },
                |(now, broken)| *now >= enough || *broken,
            );
            daemon.stop();
        }
        let _last = Daemon::spawn(handing_over(&site, held.try_clone().unwrap(), "auth"));
        over.store(true, Ordering::Relaxed);
        let lost = shakers.into_iter().filter_map(|s| s.join().err()).count();
        assert_eq!(lost, 0);
    });
}

#[test]
fn a_hundred_changes_work_on_the_next_question() {
    let site = Site::new();
    let _daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    for _ in 0..50 {
        assert_eq!(session.policy("a@example.com"), "DUNNO");
        site.done(&["user", "suspend", "shop"]);
        assert!(session.policy("a@example.com").starts_with("550 5.7.1 "));
        site.done(&["user", "resume", "shop"]);
    }
}
