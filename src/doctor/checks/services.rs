//! Which services of master.cf ask outgate, and which should.

use super::{Wired, remedy};
use crate::doctor::finding::Finding;
use crate::doctor::wiring::{Door, LISTS, MILTERS};

pub fn check(wired: &Wired<'_>, findings: &mut Vec<Finding>) {
    let unasked = |door: &&Door<'_>| door.is_submission() && !door.asks();
    let submissions: Vec<_> = wired.doors.iter().filter(unasked).collect();
    if submissions.is_empty() && !wired.doors.iter().any(Door::asks) {
        findings.push(Finding::problem(
            "not-wired",
            "no service of master.cf asks outgate",
            "Postfix sends mail as before, and nobody decides who may send",
            "outgate postfix config --apply",
        ));
    }
    findings.extend(submissions.into_iter().map(|door| bypass(wired, door)));
    findings.extend(global_logins(wired));
    findings.extend(wired.doors.iter().filter_map(no_login));
    findings.extend(wired.doors.iter().filter_map(|door| reentry(wired, door)));
    findings.extend(wired.asking().filter_map(xclient));
    findings.extend(wired.asking().filter_map(proxied));
    findings.extend(wired.asking().filter_map(|door| relays(wired, door)));
}

fn bypass(wired: &Wired<'_>, door: &Door<'_>) -> Finding {
    let passwords = match door.auth {
        Some(_) => "outgate checks the password here, but is not asked about messages",
        None => "people send here, and outgate is not asked about their messages",
    };
    Finding::problem(
        "submission-without-outgate",
        passwords,
        "whoever logs in may use any sender, from anywhere and without limit",
        match door.is_mail_exchange() {
            // Asking outgate as on submission would refuse whoever has no login.
            true => format!(
                "{}\nlogins on services of their own: outgate postfix config --apply",
                door.postfix
                    .set_for(door.service, "smtpd_sasl_auth_enable", "no")
            ),
            false => remedy::ask(wired, door),
        },
    )
    .of(&door.service.name)
}

fn global_logins(wired: &Wired<'_>) -> Option<Finding> {
    let postfix = wired.postfix;
    const LOGINS: &str = "smtpd_sasl_auth_enable";
    if !postfix.value(LOGINS).eq_ignore_ascii_case("yes") {
        return None;
    }
    let mut fix = Vec::new();
    for door in &wired.doors {
        if door.is_submission() && !door.has_own_logins() && door.has_logins() {
            fix.push(postfix.set_for(door.service, LOGINS, "yes"));
        }
    }
    fix.push(postfix.set(LOGINS, "no"));
    if !wired
        .doors
        .iter()
        .any(|door| door.is_submission() && door.has_logins())
    {
        fix.push("logins on services of their own: outgate postfix config --apply".to_owned());
    }
    let bare = |door: &&Door<'_>| door.has_logins() && !door.is_submission();
    let open: Vec<_> = wired.doors.iter().filter(bare).collect();
    let names: Vec<_> = open.iter().map(|door| door.service.name.as_str()).collect();
    let why = "every service without an option of its own takes logins: mail gets in past outgate, and all of \
               them, port 25 too, die with the auth socket";
    let what = format!("{LOGINS} = yes stands in main.cf");
    let finding = match names.is_empty() {
        true => Finding::advice("sasl-global", what, why, fix.join("\n")),
        false => Finding::problem("sasl-global", what, why, fix.join("\n")),
    };
    Some(Finding {
        services: names.into_iter().map(str::to_owned).collect(),
        ..finding
    })
}

/// A service that asks outgate, and on which nobody can log in.
fn no_login(door: &Door<'_>) -> Option<Finding> {
    if door.has_logins() || door.is_reentry() || !door.asks() {
        return None;
    }
    let fix = door
        .postfix
        .set_for(door.service, "smtpd_sasl_auth_enable", "yes");
    let finding = match (door.is_submission(), door.asks_by_itself()) {
        (true, _) => Finding::problem(
            "no-login",
            "the service asks outgate, and offers no logins",
            "nobody can send through it",
            fix,
        ),
        (false, true) => Finding::advice(
            "no-login",
            "the service asks outgate, and offers no logins",
            "outgate has no opinion on mail without a login, so it is asked in vain, and mail from the outside \
             waits whenever outgate is down",
            door.unset(MILTERS),
        ),
        // Asked through main.cf: that is another check's.
        (false, false) => return None,
    };
    Some(finding.of(&door.service.name))
}

/// Mail that a content filter hands back was judged when it came.
fn reentry(wired: &Wired<'_>, door: &Door<'_>) -> Option<Finding> {
    if !door.is_reentry() || !door.asks() {
        return None;
    }
    let mut fix = Vec::new();
    if !door.milters.is_empty() {
        fix.push(wired.postfix.set_for(door.service, MILTERS, ""));
    }
    for list in LISTS {
        if door.policies.iter().any(|policy| policy.list == list) {
            fix.push(wired.postfix.set_for(door.service, list, ""));
        }
    }
    let finding = Finding::problem(
        "re-injection",
        "outgate is asked again where mail comes back from a content filter",
        "each message is judged twice: charged twice where the login comes with it, and refused where a login \
         is asked for that the filter does not have",
        fix.join("\n"),
    );
    Some(finding.of(&door.service.name))
}

fn xclient(door: &Door<'_>) -> Option<Finding> {
    const HOSTS: &str = "smtpd_authorized_xclient_hosts";
    let hosts = door.value(HOSTS);
    if hosts.is_empty() {
        return None;
    }
    let finding = Finding::advice(
        "xclient-login",
        format!("{HOSTS} = {hosts}"),
        "these hosts can name any login and any client address without a password (XCLIENT), and outgate \
         believes them as Postfix does",
        format!(
            "leave it if a proxy of yours needs it, and all of these are yours; otherwise:\n{}",
            door.set(HOSTS, "")
        ),
    );
    Some(finding.of(&door.service.name))
}

/// A client address that whoever connects writes himself.
fn proxied(door: &Door<'_>) -> Option<Finding> {
    const PROTOCOL: &str = "smtpd_upstream_proxy_protocol";
    let protocol = door.value(PROTOCOL);
    if protocol.is_empty() || door.service.is_local() {
        return None;
    }
    let finding = Finding::advice(
        "proxy-line",
        format!("{PROTOCOL} = {protocol}, where other hosts can connect"),
        "whoever connects past the proxy says himself from which address he comes, and address lists believe it",
        format!(
            "leave it if a firewall lets only your proxy connect; otherwise bind the service to an address that only the              proxy reaches, as in master.cf: 127.0.0.1:{}",
            door.service.port()
        ),
    );
    Some(finding.of(&door.service.name))
}

/// Mail without a login, which outgate has no opinion on, that this service takes to the world.
fn relays(wired: &Wired<'_>, door: &Door<'_>) -> Option<Finding> {
    let closed = wired.facts.config.milter.authenticated_daemons.clone();
    let refused = closed.contains(&door.value("milter_macro_daemon_name"));
    let is_for_logins = door.is_submission() && !door.is_mail_exchange();
    if !is_for_logins || (!door.milters.is_empty() && refused) {
        return None;
    }
    let lists = ["smtpd_relay_restrictions", "smtpd_recipient_restrictions"];
    let list = lists
        .into_iter()
        .find(|list| !door.steps(list).is_empty())?;
    let open = ["permit", "permit_mynetworks", "permit_inet_interfaces"];
    let mut steps = door.steps(list).into_iter().map(|step| step.word());
    let step = steps.find(|word| open.contains(&word.as_str()))?;
    let finding = Finding::advice(
        "relay-without-login",
        format!("{list} has {step}"),
        "such clients send without a login: outgate does not know them and lets them pass",
        wired.postfix.set_for(
            door.service,
            "smtpd_relay_restrictions",
            "permit_sasl_authenticated,reject",
        ),
    );
    Some(finding.of(&door.service.name))
}
