//! Parts of fixes that several checks hand out.

use super::Wired;
use crate::config::value::Endpoint;
use crate::doctor::postfix::list::words;
use crate::doctor::wiring::Door;

/// outgate as an entry of `smtpd_milters`, without white space because `postconf -P` takes none.
pub fn milter(wired: &Wired<'_>) -> Option<String> {
    let queue = wired.postfix.queue();
    let address = match &wired.facts.config.listen.milter {
        Endpoint::Off => return None,
        inet @ Endpoint::Inet { .. } => inet.to_string(),
        Endpoint::Unix(path) => {
            let path = path.strip_prefix(&queue).unwrap_or(path);
            format!("unix:{}", path.display())
        }
    };
    Some(format!(
        "{{{address},connect_timeout=5s,command_timeout=20s,content_timeout=120s,default_action=tempfail}}"
    ))
}

/// The commands that make a service ask outgate.
pub fn ask(wired: &Wired<'_>, door: &Door<'_>) -> String {
    let others = door.value(crate::doctor::wiring::MILTERS);
    // Where nobody asks yet, whoever checks passwords now goes on.
    let first = match door.auth.is_none() && door.has_logins() {
        true => "milter",
        false => "auth-milter",
    };
    let wiring = wired.asking().next().map_or(first, Door::wiring);
    match milter(wired).filter(|_| wiring.ends_with("milter")) {
        Some(milter) => {
            let all = [milter, others].join(",");
            let milters = all.trim_end_matches(',');
            let daemon = "milter_macro_daemon_name";
            format!(
                "{}\n{}\nor all that the service needs: outgate postfix config --apply --wiring {wiring}",
                wired
                    .postfix
                    .set_for(door.service, crate::doctor::wiring::MILTERS, milters),
                wired.postfix.set_for(door.service, daemon, "ORIGINATING"),
            )
        }
        None => format!("outgate postfix config --apply --wiring {wiring}"),
    }
}

/// `receive_override_options` without what hides something from outgate. Several checks may want it
/// changed at once, and the last command is the one that counts.
pub fn overrides(door: &Door<'_>) -> String {
    const OVERRIDES: &str = "receive_override_options";
    let value = door.value(OVERRIDES);
    let hides = |word: &&str| match *word {
        "no_milters" => !door.milters.is_empty(),
        word => word == "no_header_body_checks",
    };
    let mut rest = words(&value);
    rest.retain(|word| !hides(word));
    door.set(OVERRIDES, &rest.join(","))
}

/// Where the right lines come from.
pub fn replace(wiring: &str) -> String {
    format!(
        "put the lines of the service in master.cf that this prints: outgate postfix config --wiring {wiring}"
    )
}
