//! Whether Postfix looks for outgate where outgate listens.

use super::Wired;
use crate::doctor::finding::Finding;
use crate::doctor::postfix::place::Place;
use crate::doctor::wiring::{Ask, Door, Missed};

pub fn check(wired: &Wired<'_>, findings: &mut Vec<Finding>) {
    for door in &wired.doors {
        for (parameter, ask) in door.asked() {
            let found = match &ask.missed {
                Some(missed) => Some(unreachable(wired, door, parameter, ask, missed)),
                None => nameless(wired, door, parameter, ask),
            };
            findings.extend(found.map(|finding| finding.of(&door.service.name)));
        }
    }
}

fn unreachable(
    wired: &Wired<'_>,
    door: &Door<'_>,
    parameter: &'static str,
    ask: &Ask,
    missed: &Missed,
) -> Finding {
    let Missed {
        looks_at,
        listener,
        listens_at,
        right,
    } = missed;
    let what = match listens_at.as_str() {
        "" => format!("{parameter} looks at {looks_at}, and listen.{listener} is switched off"),
        _ => format!("{parameter} looks at {looks_at}, and outgate listens at {listens_at}"),
    };
    let rule = match door.service.chroot {
        true => " (the service is chrooted: paths start at the queue directory)",
        false => "",
    };
    let why = match *listener {
        "auth" => "smtpd ends at each connection, without a banner",
        _ => "Postfix finds nobody there: mail is put off, or passes, as the default action says",
    };
    // smtpd_sasl_path has no room for "unix:" in old versions, and needs none.
    let bare = right.strip_prefix("unix:").filter(|_| *listener == "auth");
    let right = bare.unwrap_or(right);
    let value = door.value(parameter).replacen(&ask.server.place, right, 1);
    let mut fix = door.set(parameter, &value);
    if right.trim_start_matches("unix:").starts_with('/') && door.service.chroot {
        let out = format!("{}/chroot=n", door.service.id());
        fix = format!("{} -F {out}\n{fix}", wired.postfix.postconf());
    }
    if right.is_empty() {
        fix = format!(
            "set {listener} below [listen] in {}",
            wired.facts.config_file.display()
        );
    }
    Finding::problem("socket-unreachable", format!("{what}{rule}"), why, fix)
}

/// A name in a chroot that has no hosts file.
fn nameless(
    wired: &Wired<'_>,
    door: &Door<'_>,
    parameter: &'static str,
    ask: &Ask,
) -> Option<Finding> {
    let Place::Inet { host, port } = Place::parse(&ask.server.place) else {
        return None;
    };
    let is_name = !host.is_empty() && host.parse::<std::net::IpAddr>().is_err();
    if !is_name || !door.service.chroot || wired.facts.host.chroot_knows_names {
        return None;
    }
    let right = format!("inet:127.0.0.1:{port}");
    let value = door.value(parameter).replacen(&ask.server.place, &right, 1);
    Some(Finding::problem(
        "socket-unreachable",
        format!("{parameter} looks for the name {host} in a chroot without etc/hosts"),
        "Postfix cannot look the name up there, and finds nobody",
        door.set(parameter, &value),
    ))
}
