//! Services whose passwords outgate checks.

use super::Wired;
use crate::doctor::finding::Finding;
use crate::doctor::postfix::list::words;
use crate::doctor::wiring::Door;

pub fn check(wired: &Wired<'_>, findings: &mut Vec<Finding>) {
    for door in wired.doors.iter().filter(|door| door.auth.is_some()) {
        let name = &door.service.name;
        findings.extend(kind(door).map(|finding| finding.of(name)));
        findings.extend(mechanisms(door).map(|finding| finding.of(name)));
        if wired.facts.config.auth.require_tls {
            let finding = encryption(door).or_else(|| certificate(door));
            findings.extend(finding.map(|finding| finding.of(name)));
        }
    }
}

fn kind(door: &Door<'_>) -> Option<Finding> {
    const KIND: &str = "smtpd_sasl_type";
    let kind = door.value(KIND);
    (kind != "dovecot").then(|| {
        Finding::problem(
            "sasl-type",
            format!("smtpd_sasl_path is outgate's socket, and {KIND} = {kind}"),
            "Postfix does not speak to outgate: nobody can log in",
            door.postfix.set_for(door.service, KIND, "dovecot"),
        )
    })
}

/// outgate offers PLAIN and LOGIN. smtpd ends when no mechanism is left.
fn mechanisms(door: &Door<'_>) -> Option<Finding> {
    let (plain, encrypted) = (
        "smtpd_sasl_security_options",
        "smtpd_sasl_tls_security_options",
    );
    let forbids = |name: &str| words(&door.value(name)).contains(&"noplaintext");
    let only_tls = door.says_yes("smtpd_tls_auth_only") || door.says_yes("smtpd_tls_wrappermode");
    let name = [encrypted, plain]
        .into_iter()
        .find(|name| forbids(name) && (*name == encrypted || !only_tls))?;
    // The one for TLS is the other one unless it is set.
    let own = door.service.options.contains_key(name) || door.postfix.settings.is_own(name);
    let name = if own { name } else { plain };
    Some(Finding::problem(
        "no-mechanism",
        format!("{name} has noplaintext"),
        "no mechanism is left (outgate offers PLAIN and LOGIN): smtpd ends at each connection",
        door.postfix.set_for(door.service, name, "noanonymous"),
    ))
}

fn encryption(door: &Door<'_>) -> Option<Finding> {
    const LEVEL: &str = "smtpd_tls_security_level";
    let level = door.value(LEVEL);
    let older = door.says_yes("smtpd_use_tls") || door.says_yes("smtpd_enforce_tls");
    let off = (level.is_empty() && !older) || level == "none";
    // Not every host of the world that brings mail has TLS.
    let right = if door.is_mail_exchange() {
        "may"
    } else {
        "encrypt"
    };
    (off && !door.says_yes("smtpd_tls_wrappermode")).then(|| {
        Finding::problem(
            "no-tls",
            "logins without TLS, and auth.require-tls is true",
            "every login is refused",
            format!(
                "{}\n{}",
                door.postfix.set_for(door.service, LEVEL, right),
                door.postfix
                    .set_for(door.service, "smtpd_tls_auth_only", "yes")
            ),
        )
    })
}

/// Debian 13 installs Postfix without one, where the package ssl-cert is not there.
fn certificate(door: &Door<'_>) -> Option<Finding> {
    (!door.has_certificate()).then(|| {
        Finding::problem(
            "no-certificate",
            "TLS is on, and there is no certificate for it",
            "clients hear 454 TLS not available, and nobody can log in",
            format!(
                "in main.cf: smtpd_tls_chain_files = FILE, with the private key and then its certificates\n{}",
                door.postfix.reload()
            ),
        )
    })
}
