//! What main.cf has to say for the whole host: as little as outgate can rely on.

use super::edit::{Edit, Spot};
use super::lines;
use super::wiring::Wiring;
use crate::config::Config;
use crate::doctor::has_nul;
use crate::doctor::postfix::Postfix;
use crate::doctor::postfix::list::words;
use crate::doctor::postfix::service::Service;
use crate::doctor::wiring::{self, MILTERS};

const ACTION: &str = "milter_default_action";
const LOCAL: &str = "non_smtpd_milters";

/// The value that `postfix/main.cf` gives a parameter, where this Postfix knows it.
fn fresh(postfix: &Postfix, name: &str) -> Option<String> {
    let known = |name: &str| postfix.settings.get(name).map(str::to_owned);
    let text = lines::settings(known);
    let line = text.lines().filter_map(|line| line.split_once(" = "));
    let mut found = line.filter(|(known, _)| *known == name);
    found.next().map(|(_, value)| value.to_owned())
}

/// What cleanup(8) does with bytes that hide a part of a message. `services`: those that are wired.
pub fn cleanup(postfix: &Postfix, services: &[&Service]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for service in services {
        let name = postfix.value_for(service, "cleanup_service_name");
        let cleanup = postfix.service(&format!("{name}/unix"));
        let seen = |name: &str| match cleanup {
            Some(cleanup) => postfix.value_for(cleanup, name),
            None => postfix.value(name),
        };
        let mut set = |name: &str, value: &str| {
            let own = cleanup.filter(|cleanup| cleanup.options.contains_key(name));
            let edit = match own {
                Some(cleanup) => Edit::option(postfix, &cleanup.id(), name, value),
                None => Edit::main(postfix, name, value),
            };
            if !edits.contains(&edit) {
                edits.push(edit);
            }
        };
        const CHARACTERS: &str = "message_reject_characters";
        let characters = seen(CHARACTERS);
        if let Some(nul) = fresh(postfix, CHARACTERS).filter(|_| !has_nul(&characters)) {
            set(CHARACTERS, &format!("{characters}{nul}"));
        }
        const STRAY: &str = "cleanup_replace_stray_cr_lf";
        if let Some(yes) = fresh(postfix, STRAY).filter(|yes| *yes != seen(STRAY)) {
            set(STRAY, &yes);
        }
    }
    edits
}

/// What happens to mail while a milter without a word of its own does not answer. Whoever asks other
/// milters goes on as before.
pub fn default_action(postfix: &Postfix, wiring: Wiring, keep: bool) -> Vec<Edit> {
    let old = postfix.value(ACTION);
    // What another value than "accept" does is safe where it is said.
    let is_safe = postfix.settings.is_own(ACTION) && old != "accept";
    if !wiring.is_milter() || is_safe || keep {
        return Vec::new();
    }
    let right = fresh(postfix, ACTION).unwrap_or_else(|| "tempfail".to_owned());
    let mut edits = vec![Edit::main(postfix, ACTION, &right)];
    if old == right {
        return edits;
    }
    for service in &postfix.services {
        let list = match service.command.as_str() {
            "smtpd" => MILTERS,
            "cleanup" => LOCAL,
            _ => continue,
        };
        let asks = !postfix.value_for(service, list).is_empty();
        if asks && !service.options.contains_key(ACTION) {
            edits.push(Edit::option(postfix, &service.id(), ACTION, &old));
        }
    }
    edits
}

/// outgate out of the lists that mail without a login passes too.
pub fn global_milters(postfix: &Postfix, config: &Config) -> Vec<Edit> {
    let mut edits = Vec::new();
    for list in [MILTERS, LOCAL] {
        let raw = postfix.settings.get(list).unwrap_or_default();
        let value = postfix.value(list);
        let names_us = |list: &str| wiring::names_milter(postfix, config, list, true);
        if !names_us(&value) || !postfix.settings.is_own(list) {
            continue;
        }
        // Behind a name, it is what the name stands for that is looked through.
        let list_words = if names_us(raw) { raw } else { &value };
        let others = words(list_words).into_iter().filter(|word| !names_us(word));
        let others = others.collect::<Vec<_>>().join(", ");
        edits.push(Edit::main(postfix, list, &others));
    }
    edits
}

/// Whether main.cf switches logins on everywhere, and the edit that ends it.
pub fn global_logins(postfix: &Postfix) -> Option<Edit> {
    const LOGINS: &str = "smtpd_sasl_auth_enable";
    let name = LOGINS.to_owned();
    let on = postfix.value(LOGINS).eq_ignore_ascii_case("yes");
    on.then(|| Edit::new(postfix, Spot::Main { name }, Some("no".to_owned())))
}
