//! What Postfix must do with the bytes of a message, so that outgate and the reader see the same one.

use super::{Wired, remedy};
use crate::doctor::finding::Finding;
use crate::doctor::postfix::list::words;
use crate::doctor::postfix::service::Service;
use crate::doctor::wiring::Door;

pub fn check(wired: &Wired<'_>, findings: &mut Vec<Finding>) {
    let mut cleanups: Vec<Option<&Service>> = Vec::new();
    for door in wired.asking() {
        let cleanup = cleanup(wired, door);
        if !cleanups.contains(&cleanup) {
            cleanups.push(cleanup);
            findings.extend(nul(wired, cleanup));
            findings.extend(stray_cr(wired, cleanup));
        }
        findings.extend(unchecked(door).map(|finding| finding.of(&door.service.name)));
    }
    findings.extend(soft_bounce(wired));
}

/// Who writes the queue files of a service.
fn cleanup<'a>(wired: &Wired<'a>, door: &Door<'_>) -> Option<&'a Service> {
    let name = door.value("cleanup_service_name");
    let services = &wired.postfix.services;
    services.iter().find(|s| s.name == name && s.kind == "unix")
}

/// A parameter of cleanup(8), and the commands that set it.
fn value(wired: &Wired<'_>, cleanup: Option<&Service>, name: &str) -> String {
    match cleanup {
        Some(service) => wired.postfix.value_for(service, name),
        None => wired.postfix.value(name),
    }
}

fn set(wired: &Wired<'_>, cleanup: Option<&Service>, name: &str, value: &str) -> String {
    match cleanup {
        Some(service) => wired.postfix.set_where_it_stands(service, name, value),
        None => wired.postfix.set(name, value),
    }
}

fn nul(wired: &Wired<'_>, cleanup: Option<&Service>) -> Option<Finding> {
    const NAME: &str = "message_reject_characters";
    let characters = value(wired, cleanup, NAME);
    (!has_nul(&characters)).then(|| {
        Finding::problem(
            "nul-characters",
            match characters.as_str() {
                "" => format!("{NAME} is not set: NUL is not among them"),
                _ => format!("{NAME} = {characters}: NUL is not among them"),
            },
            "a NUL byte hides the rest of a header field from every milter, but not from the reader: \
             \"From: a@yours<NUL>@other\" passes as yours",
            set(wired, cleanup, NAME, &format!("{characters}\\0")),
        )
    })
}

/// Whether `message_reject_characters` has NUL. Postfix reads C escapes there: `\0`, `\000`.
pub fn has_nul(characters: &str) -> bool {
    let mut rest = characters;
    while let Some(at) = rest.find('\\') {
        let after = rest.get(at + 1..).unwrap_or_default();
        let digits: String = after
            .chars()
            .take(3)
            .take_while(|c| ('0'..='7').contains(c))
            .collect();
        if !digits.is_empty() && digits.bytes().all(|b| b == b'0') {
            return true;
        }
        // At least the character behind the backslash, whatever it is.
        let skip = after
            .chars()
            .next()
            .map_or(0, char::len_utf8)
            .max(digits.len());
        rest = after.get(skip..).unwrap_or_default();
    }
    false
}

fn stray_cr(wired: &Wired<'_>, cleanup: Option<&Service>) -> Option<Finding> {
    const NAME: &str = "cleanup_replace_stray_cr_lf";
    let why = "a lone CR goes out as it came: a careless receiver takes what follows for a second message, \
               which never passed outgate (SMTP smuggling)";
    if wired.postfix.settings.get(NAME).is_none() {
        return Some(Finding::problem(
            "stray-cr",
            format!("Postfix {} does not know {NAME}", wired.postfix.version),
            why,
            "upgrade Postfix: 3.5.24, 3.6.14, 3.7.10, 3.8.5, 3.9 and later have it",
        ));
    }
    let on = value(wired, cleanup, NAME).eq_ignore_ascii_case("yes");
    (!on).then(|| {
        let fix = set(wired, cleanup, NAME, "yes");
        Finding::problem("stray-cr", format!("{NAME} = no"), why, fix)
    })
}

/// Both of the above are switched off with the header and body checks.
fn unchecked(door: &Door<'_>) -> Option<Finding> {
    const OVERRIDES: &str = "receive_override_options";
    const OFF: &str = "no_header_body_checks";
    if !words(&door.value(OVERRIDES)).contains(&OFF) {
        return None;
    }
    Some(Finding::problem(
        "header-body-checks-off",
        format!("{OVERRIDES} has {OFF}"),
        "it also switches off message_reject_characters and cleanup_replace_stray_cr_lf: a NUL byte hides part \
         of a header From from outgate, and a lone CR hides a second message",
        remedy::overrides(door),
    ))
}

fn soft_bounce(wired: &Wired<'_>) -> Option<Finding> {
    const NAME: &str = "soft_bounce";
    let soft: Vec<_> = wired
        .doors
        .iter()
        .filter(|door| door.says_yes(NAME))
        .collect();
    let first = soft.first()?;
    let everywhere = wired.postfix.value(NAME).eq_ignore_ascii_case("yes");
    let finding = Finding::problem(
        "soft-bounce",
        format!("{NAME} = yes"),
        "each refusal becomes a \"try again later\": clients keep trying what will never be sent, and nobody is \
         told",
        if everywhere {
            wired.postfix.set(NAME, "no")
        } else {
            first.set(NAME, "no")
        },
    );
    let services = soft.iter().map(|door| door.service.name.clone());
    Some(Finding {
        services: if everywhere {
            Vec::new()
        } else {
            services.collect()
        },
        ..finding
    })
}

#[cfg(test)]
mod tests {
    use super::has_nul;

    #[test]
    fn nul_in_its_spellings() {
        for characters in ["\\0", "\\000", "\\00", "\\r\\0", "\\\\\\0", "x\\0y"] {
            assert!(has_nul(characters), "{characters}");
        }
        for characters in ["", "0", "\\\\0", "\\001", "\\r", "\\", "\\ü0"] {
            assert!(!has_nul(characters), "{characters}");
        }
    }
}
