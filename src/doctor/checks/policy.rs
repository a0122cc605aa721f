//! outgate as a policy server: whether it is asked, and whether its answer counts.

use super::{Wired, remedy};
use crate::doctor::finding::Finding;
use crate::doctor::postfix::list::{self, Step};
use crate::doctor::wiring::{DATA, Door, END_OF_DATA, PolicyAsk};

pub fn check(wired: &Wired<'_>, findings: &mut Vec<Finding>) {
    for door in &wired.doors {
        findings.extend(end_of_message(wired, door).map(|f| f.of(&door.service.name)));
    }
    for door in wired.asking() {
        let name = &door.service.name;
        for policy in &door.policies {
            findings.extend(skipped(door, policy).map(|finding| finding.of(name)));
            findings.extend(only_warned(door, policy).map(|finding| finding.of(name)));
            findings.extend(fails_open(door, policy).map(|finding| finding.of(name)));
        }
        findings.extend(last_word(door).map(|finding| finding.of(name)));
    }
}

/// The first step that permits ends the list.
fn skipped(door: &Door<'_>, policy: &PolicyAsk) -> Option<Finding> {
    let before = policy.steps.get(..policy.at)?;
    let permit = before
        .iter()
        .position(|step| step.word().starts_with("permit"))?;
    let mut steps = policy.steps.clone();
    let check = steps.remove(policy.at);
    steps.insert(permit, check);
    let list = policy.list;
    Some(Finding::problem(
        "permit-before-policy",
        format!(
            "{} stands before outgate's check_policy_service in {list}",
            policy.steps.get(permit)?
        ),
        "whoever it permits is not shown to outgate",
        door.set(list, &list::text(&steps)),
    ))
}

fn only_warned(door: &Door<'_>, policy: &PolicyAsk) -> Option<Finding> {
    let before = policy.at.checked_sub(1)?;
    if policy.steps.get(before)?.word() != "warn_if_reject" {
        return None;
    }
    let mut steps = policy.steps.clone();
    steps.remove(before);
    Some(Finding::problem(
        "warn-if-reject",
        format!(
            "warn_if_reject stands before outgate's check_policy_service in {}",
            policy.list
        ),
        "what outgate refuses is logged and sent all the same",
        format!(
            "{}\nto try outgate first: enforcement.mode = \"audit\" in its configuration",
            door.set(policy.list, &list::text(&steps))
        ),
    ))
}

fn fails_open(door: &Door<'_>, policy: &PolicyAsk) -> Option<Finding> {
    const DEFAULT: &str = "smtpd_policy_service_default_action";
    let server = &policy.ask.server;
    let own = server.attribute("default_action");
    let action = own.map_or_else(|| door.value(DEFAULT), str::to_owned);
    if closes(&action) {
        return None;
    }
    let safe = "451 4.7.1 Sending policy service unavailable, try again later";
    let fix = match own {
        None => door.set(DEFAULT, safe),
        Some(_) => {
            let others = server.attributes.iter();
            let others = others.filter(|(name, _)| name != "default_action");
            let others = others.map(|(name, value)| match value.contains(char::is_whitespace) {
                true => format!(" {{ {name} = {value} }},"),
                false => format!(" {name}={value},"),
            });
            let text = format!(
                "{{ {},{} {{ default_action = {safe} }} }}",
                server.place,
                others.collect::<String>()
            );
            let place = server.place.clone();
            let mut steps = policy.steps.clone();
            if let Some(step) = steps.get_mut(policy.at) {
                *step = Step::Policy(list::Server {
                    place,
                    attributes: Vec::new(),
                    text,
                });
            }
            door.set(policy.list, &list::text(&steps))
        }
    };
    Some(Finding::problem(
        "policy-fails-open",
        format!("default_action of outgate's policy server is {action:?}"),
        "while outgate does not answer, everybody may send as anybody",
        fix,
    ))
}

/// Whether an action keeps a message out. One of digits alone, or empty, is a permit for Postfix.
fn closes(action: &str) -> bool {
    let (word, text) = action
        .split_once(char::is_whitespace)
        .unwrap_or((action, ""));
    let code = word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    let word = word.to_ascii_lowercase();
    match code {
        true => (word.starts_with('4') || word.starts_with('5')) && !text.trim().is_empty(),
        false => ["reject", "defer", "defer_if_permit"].contains(&word.as_str()),
    }
}

/// Where there is no milter, the policy check at DATA is the only one that sees every message, and
/// the one that charges.
fn last_word(door: &Door<'_>) -> Option<Finding> {
    if !door.milters.is_empty() || (door.asks_at_data() && !door.delays()) {
        return None;
    }
    let set = |name: &str, value: &str| door.postfix.set_for(door.service, name, value);
    let early = door.policies.first()?;
    let check = format!("check_policy_service {}", early.ask.server.text);
    Some(match (door.asks_at_data(), door.delays()) {
        (true, _) => Finding::advice(
            "postmaster-hole",
            "smtpd_delay_reject = yes: what is asked before DATA is put off until RCPT",
            "RCPT TO:<postmaster> skips every restriction at RCPT: such a message is stopped no earlier than at \
             DATA, and others hear at RCPT what they could hear at MAIL",
            set("smtpd_delay_reject", "no"),
        ),
        (false, true) => Finding::problem(
            "postmaster-hole",
            "smtpd_delay_reject = yes, and outgate is not asked in smtpd_data_restrictions",
            "RCPT TO:<postmaster> skips every restriction at RCPT: with it anybody may send as anybody, and \
             nothing is charged to a quota",
            format!("{}\n{}", set("smtpd_delay_reject", "no"), set(DATA, &check)),
        ),
        (false, false) => Finding::problem(
            "no-data-check",
            "outgate is asked about senders, and not in smtpd_data_restrictions",
            "nothing is charged to a quota, and accepted messages are not in the log",
            set(DATA, &check),
        ),
    })
}

fn end_of_message(wired: &Wired<'_>, door: &Door<'_>) -> Option<Finding> {
    let steps = door.steps(END_OF_DATA);
    if steps.is_empty() {
        return None;
    }
    let what = format!("{END_OF_DATA} = {}", list::text(&steps));
    let version = wired.postfix.version;
    if !version.survives_end_of_message() {
        let why = format!(
            "after a refusal there, smtpd of Postfix {version} keeps half of the message and crashes at the \
             client's next DATA (mended in August 2026: 3.5.27, 3.6.20, 3.7.22, 3.8.20, 3.9.14, 3.10.13, 3.11.6)"
        );
        let fix = format!(
            "move what is asked there to {DATA}, then:\n{}",
            door.set(END_OF_DATA, "")
        );
        return Some(Finding::problem("end-of-message", what, why, fix));
    }
    let ours = door
        .policies
        .iter()
        .any(|policy| policy.list == END_OF_DATA);
    ours.then(|| {
        Finding::advice(
            "end-of-message",
            what,
            "outgate always answers DUNNO there, because many versions of Postfix crash after a refusal",
            remedy::replace(door.wiring()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::closes;

    #[test]
    fn which_actions_keep_mail_out() {
        for action in [
            "451 4.3.5 Server configuration problem",
            "REJECT",
            "defer later",
            "DEFER_IF_PERMIT x",
        ] {
            assert!(closes(action), "{action}");
        }
        for action in [
            "",
            "DUNNO",
            "dunno",
            "OK",
            "450",
            "451 ",
            "permit",
            "250 x",
            "HOLD",
            "DEFER_IF_REJECT",
        ] {
            assert!(!closes(action), "{action}");
        }
    }
}
