//! outgate as a milter: whether it sees everything, and what happens while it does not answer.

use super::{Wired, remedy};
use crate::doctor::finding::Finding;
use crate::doctor::postfix::list::words;
use crate::doctor::wiring::{self, Door, MILTERS};

const ACTION: &str = "milter_default_action";
const OVERRIDES: &str = "receive_override_options";

pub fn check(wired: &Wired<'_>, findings: &mut Vec<Finding>) {
    for door in wired.filtered() {
        let name = &door.service.name;
        findings.extend(twice(door).map(|finding| finding.of(name)));
        findings.extend(action(door).map(|finding| finding.of(name)));
        findings.extend(macros(door).map(|finding| finding.of(name)));
        findings.extend(protocol(door).map(|finding| finding.of(name)));
        findings.extend(overridden(door).map(|finding| finding.of(name)));
        findings.extend(mapped(door).map(|finding| finding.of(name)));
        findings.extend(proxied(door).map(|finding| finding.of(name)));
        findings.extend(daemon_name(wired, door).map(|finding| finding.of(name)));
    }
    findings.extend(global_action(wired));
    findings.extend(global(wired));
    findings.extend(local_mail(wired));
}

/// Each milter session is a submission of its own to outgate.
fn twice(door: &Door<'_>) -> Option<Finding> {
    let (first, again) = door.milters.split_first()?;
    if again.is_empty() {
        return None;
    }
    let ours = |word: &str| door.milters.iter().any(|ask| ask.server.text == word);
    let value = door.value(MILTERS);
    let mut kept = 0;
    let milters: Vec<_> = words(&value)
        .into_iter()
        .filter(|word| {
            kept += u32::from(ours(word));
            !ours(word) || (kept == 1 && *word == first.server.text)
        })
        .collect();
    Some(Finding::problem(
        "milter-twice",
        format!("outgate is {} times in {MILTERS}", door.milters.len()),
        "each message is judged and charged that often",
        door.set(MILTERS, &milters.join(", ")),
    ))
}

/// What Postfix does with this service's mail while outgate does not answer.
fn action(door: &Door<'_>) -> Option<Finding> {
    let milter = &door.milters.first()?.server;
    let own = milter.attribute("default_action");
    let action = own.map_or_else(|| door.value(ACTION), str::to_owned);
    let (problem, why) = match action.as_str() {
        "accept" => (
            true,
            "while outgate does not answer, everybody may send as anybody",
        ),
        "quarantine" => (
            true,
            "while outgate does not answer, mail is taken in unchecked and held",
        ),
        "reject" => (
            false,
            "while outgate does not answer, mail is refused for good instead of for now",
        ),
        _ => return None,
    };
    let (what, fix) = match own {
        None => (format!("{ACTION} = {action}"), door.set(ACTION, "tempfail")),
        Some(_) => {
            let milters = door.value(MILTERS);
            let right = milter.text.replace(&action, "tempfail");
            let fix = door.set(MILTERS, &milters.replace(&milter.text, &right));
            (format!("default_action = {action} in {MILTERS}"), fix)
        }
    };
    let id = "milter-default-action";
    Some(match problem {
        true => Finding::problem(id, what, why, fix),
        false => Finding::advice(id, what, why, fix),
    })
}

/// What main.cf says where a milter has no action of its own.
fn global_action(wired: &Wired<'_>) -> Option<Finding> {
    let said = |door: &Door<'_>| {
        let own = |milter: &wiring::Ask| milter.server.attribute("default_action").is_some();
        door.service.options.contains_key(ACTION) || door.milters.iter().all(own)
    };
    let postfix = wired.postfix;
    let covered = wired.filtered().all(said);
    wired.filtered().next()?;
    let (what, why) = match (
        postfix.settings.is_own(ACTION),
        postfix.value(ACTION).as_str(),
    ) {
        (false, _) => (
            format!("{ACTION} is not set in main.cf"),
            "what happens while outgate does not answer depends on the version of Postfix: \"tempfail\" in \
             some, \"shutdown\" in others, which hangs up on every client",
        ),
        // Where it counts, the service has a finding of its own.
        (true, "accept") if covered => (
            format!("{ACTION} = accept in main.cf"),
            "it does not count as long as each milter has its own default_action; the first one without lets \
             everything pass",
        ),
        (true, _) => return None,
    };
    let fix = postfix.set(ACTION, "tempfail");
    Some(match covered {
        true => Finding::advice("milter-default-action", what, why, fix),
        false => Finding::problem("milter-default-action", what, why, fix),
    })
}

/// A list of macros without those by which outgate knows login and sender. Postfix sends them all the
/// same, because outgate asks for them at the start of each session.
fn macros(door: &Door<'_>) -> Option<Finding> {
    const NAME: &str = "milter_mail_macros";
    let value = door.value(NAME);
    let sent: Vec<_> = words(&value)
        .into_iter()
        .map(|word| word.trim_matches(['{', '}', ' ']))
        .collect();
    let lacking: Vec<_> = ["{auth_authen}", "{mail_addr}"]
        .into_iter()
        .filter(|name| !sent.contains(&name.trim_matches(['{', '}'])))
        .collect();
    (!lacking.is_empty()).then(|| {
        Finding::advice(
            "milter-macros",
            format!("{NAME} lacks {}", lacking.join(" and ")),
            "login and sender are in them. outgate asks Postfix for a list of its own, and gets it as long as \
             nothing stands between the two; without it, mail is deferred or passes as mail without a login",
            door.unset(NAME),
        )
    })
}

/// Before version 6 a milter cannot ask for macros, and outgate ends such a session at once.
fn protocol(door: &Door<'_>) -> Option<Finding> {
    const NAME: &str = "milter_protocol";
    let value = door.value(NAME);
    let version: u32 = words(&value).first()?.parse().ok()?;
    (version < 6).then(|| {
        Finding::problem(
            "milter-protocol",
            format!("{NAME} = {value}"),
            "outgate speaks version 6 alone: logins fail and all mail is put off",
            door.set(NAME, "6"),
        )
    })
}

fn overridden(door: &Door<'_>) -> Option<Finding> {
    if !words(&door.value(OVERRIDES)).contains(&"no_milters") {
        return None;
    }
    Some(Finding::problem(
        "no-milters",
        format!("{OVERRIDES} has no_milters"),
        "no milter is asked, outgate neither",
        remedy::overrides(door),
    ))
}

fn mapped(door: &Door<'_>) -> Option<Finding> {
    const MAPS: &str = "smtpd_milter_maps";
    let maps = door.value(MAPS);
    (!maps.is_empty()).then(|| {
        Finding::problem(
            "milter-maps",
            format!("{MAPS} = {maps}"),
            "for clients in that map other milters are asked, or none, in silence",
            door.postfix.set_for(door.service, MAPS, ""),
        )
    })
}

fn proxied(door: &Door<'_>) -> Option<Finding> {
    const FILTER: &str = "smtpd_proxy_filter";
    let filter = door.value(FILTER);
    (!filter.is_empty()).then(|| {
        Finding::problem(
            "proxy-filter",
            format!("{FILTER} = {filter}"),
            "before a proxy filter, milters see no header and no end of the message: the header From is not \
             judged and nothing is charged",
            format!(
                "filter after the queue (content_filter), or as a milter behind outgate, and:\n{}",
                door.set(FILTER, "")
            ),
        )
    })
}

fn daemon_name(wired: &Wired<'_>, door: &Door<'_>) -> Option<Finding> {
    const NAME: &str = "milter_macro_daemon_name";
    let closed = &wired.facts.config.milter.authenticated_daemons;
    let first = closed.first()?;
    let name = door.value(NAME);
    match (closed.contains(&name), door.is_mail_exchange()) {
        (true, false) | (false, true) => None,
        (true, true) => Some(Finding::problem(
            "daemon-name",
            format!("{NAME} = {name}, where mail from the outside comes in"),
            "outgate takes this service for one for logins only (milter.authenticated-daemons), and refuses all \
             mail without one",
            door.postfix.set_for(door.service, NAME, "smtpd"),
        )),
        (false, false) => Some(Finding::advice(
            "daemon-name",
            format!("{NAME} = {name} is none of milter.authenticated-daemons"),
            "outgate does not know that this service is for logins only, and lets mail without one pass",
            door.postfix.set_for(door.service, NAME, first),
        )),
    }
}

/// outgate among the milters of every service.
fn global(wired: &Wired<'_>) -> Option<Finding> {
    let (postfix, config) = (wired.postfix, &wired.facts.config);
    let value = postfix.value(MILTERS);
    if !wiring::names_milter(postfix, config, &value, true) {
        return None;
    }
    let inherits = |door: &&Door<'_>| !door.service.options.contains_key(MILTERS);
    let strangers: Vec<_> = wired
        .doors
        .iter()
        .filter(inherits)
        .filter(|door| !door.is_submission() && !door.is_reentry())
        .map(|door| door.service.name.clone())
        .collect();
    if strangers.is_empty() {
        return None;
    }
    let mut fix = Vec::new();
    for door in wired.doors.iter().filter(inherits) {
        if door.is_submission() {
            fix.push(postfix.set_for(door.service, MILTERS, &value));
        }
    }
    fix.push(postfix.set(MILTERS, &without_us(wired, &value)));
    let finding = Finding::problem(
        "milter-global",
        format!("outgate is in {MILTERS} of main.cf"),
        "mail from the outside passes it too, to no end, and waits whenever outgate is down",
        fix.join("\n"),
    );
    Some(Finding {
        services: strangers,
        ..finding
    })
}

/// outgate among the milters of sendmail(1) and of mail that Postfix makes itself.
fn local_mail(wired: &Wired<'_>) -> Option<Finding> {
    const LOCAL: &str = "non_smtpd_milters";
    let (postfix, config) = (wired.postfix, &wired.facts.config);
    let value = postfix.value(LOCAL);
    wiring::names_milter(postfix, config, &value, true).then(|| {
        Finding::problem(
            "milter-non-smtpd",
            format!("outgate is in {LOCAL}"),
            "mail from sendmail(1) has no login, so outgate has no opinion on it, and it stays in the maildrop \
             whenever outgate is down",
            postfix.set(LOCAL, &without_us(wired, &value)),
        )
    })
}

fn without_us(wired: &Wired<'_>, list: &str) -> String {
    let (postfix, config) = (wired.postfix, &wired.facts.config);
    let others = words(list)
        .into_iter()
        .filter(|word| !wiring::names_milter(postfix, config, word, true));
    others.collect::<Vec<_>>().join(", ")
}
