//! What one service of a host still needs to ask outgate: the options that it lacks, and no other.

use super::snippet::Snippet;
use super::wiring::Wiring;
use crate::config::Config;
use crate::doctor::postfix::list::{Step, words};
use crate::doctor::wiring::{DATA, Door, LISTS, MILTERS};

const LOGINS: &str = "smtpd_sasl_auth_enable";
const RELAY: &str = "smtpd_relay_restrictions";
const SENDER: &str = "smtpd_sender_restrictions";
const LOGGED_IN: &str = "permit_sasl_authenticated";
/// What permits without a login.
const OPEN: [&str; 3] = ["permit", "permit_mynetworks", "permit_inet_interfaces"];
const STRANGERS: &str =
    "clients that may send here without a login (permit_mynetworks) will be refused";

/// The options to set on a service, and what its operator should know.
pub struct Needs<'a> {
    door: &'a Door<'a>,
    /// What a fresh service of that name would have.
    fresh: &'a Snippet,
    wiring: Wiring,
    config: &'a Config,
    /// Options and values, in order.
    pub options: Vec<(String, String)>,
    /// Sentences.
    pub notes: Vec<String>,
}

impl<'a> Needs<'a> {
    /// Compares the service with the wiring.
    pub fn of(
        door: &'a Door<'a>,
        fresh: &'a Snippet,
        wiring: Wiring,
        config: &'a Config,
    ) -> Needs<'a> {
        let mut needs = Needs {
            door,
            fresh,
            wiring,
            config,
            options: Vec::new(),
            notes: Vec::new(),
        };
        // By itself: main.cf is to have no logins.
        if !door.has_own_logins() {
            needs.set(LOGINS, "yes");
        }
        if wiring.checks_passwords() {
            needs.passwords();
        }
        match wiring.is_milter() {
            true => needs.milter(),
            false => needs.policy(),
        }
        needs.whole_messages();
        needs
    }

    fn set(&mut self, name: &str, value: &str) {
        self.options.push((name.to_owned(), value.to_owned()));
    }

    /// Sets what the service does not see so already.
    fn want(&mut self, name: &str, value: &str) {
        if self.door.value(name) != value {
            self.set(name, value);
        }
    }

    fn note(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }

    /// Whether this Postfix has the parameter.
    fn knows(&self, name: &str) -> bool {
        self.door.postfix.settings.get(name).is_some()
    }

    fn fresh(&self, name: &str) -> String {
        self.fresh.get(name).unwrap_or_default().to_owned()
    }

    /// AUTH is outgate's.
    fn passwords(&mut self) {
        self.want("smtpd_sasl_type", "dovecot");
        let reached = |ask: &crate::doctor::wiring::Ask| ask.missed.is_none();
        if !self.door.auth.as_ref().is_some_and(reached) {
            self.want("smtpd_sasl_path", &self.fresh("smtpd_sasl_path"));
        }
        const SERVICE: &str = "smtpd_sasl_service";
        if self.knows(SERVICE) && self.door.value(SERVICE) == "smtp" {
            self.set(SERVICE, &self.fresh(SERVICE));
        }
        // outgate offers PLAIN and LOGIN.
        for name in [
            "smtpd_sasl_security_options",
            "smtpd_sasl_tls_security_options",
        ] {
            if words(&self.door.value(name)).contains(&"noplaintext") {
                self.set(name, "noanonymous");
            }
        }
        if self.config.auth.require_tls && !self.door.says_yes("smtpd_tls_wrappermode") {
            self.encryption();
        }
        let strict = |step: &Step| step.word().ends_with("sender_login_mismatch");
        let lists = [SENDER, "smtpd_recipient_restrictions", RELAY];
        if lists
            .iter()
            .any(|list| self.door.steps(list).iter().any(strict))
        {
            self.note(
                "smtpd_sender_login_maps stay in force: they have to know outgate's users, or be taken out",
            );
        }
    }

    /// outgate refuses a password that came without TLS.
    fn encryption(&mut self) {
        const LEVEL: &str = "smtpd_tls_security_level";
        let level = self.door.value(LEVEL);
        let older = self.door.says_yes("smtpd_use_tls") || self.door.says_yes("smtpd_enforce_tls");
        if (level.is_empty() && !older) || level == "none" {
            self.set(LEVEL, "encrypt");
        }
        if level != "encrypt" {
            self.want("smtpd_tls_auth_only", "yes");
        }
    }

    fn milter(&mut self) {
        if !self.asks_milter_well() {
            let ours = self.fresh(MILTERS);
            let raw = self.door.postfix.raw_for(self.door.service, MILTERS);
            let value = self.door.value(MILTERS);
            let is_ours = |word: &str| self.door.milters.iter().any(|m| m.server.text == word);
            let others = match self.door.milters.is_empty() {
                true => raw.to_owned(),
                false => {
                    let others = words(&value).into_iter().filter(|word| !is_ours(word));
                    others.collect::<Vec<_>>().join(", ")
                }
            };
            self.set(MILTERS, &behind(&ours, &others));
        }
        const NAME: &str = "milter_macro_daemon_name";
        let closed = self.config.milter.authenticated_daemons.clone();
        if let Some(first) = closed.first()
            && !closed.contains(&self.door.value(NAME))
        {
            self.set(NAME, first);
        }
        if closed.is_empty() {
            self.close_relay(false);
        } else if self.relays_openly() {
            self.note(STRANGERS);
        }
        const MAPS: &str = "smtpd_milter_maps";
        if !self.door.value(MAPS).is_empty() {
            self.note(
                "smtpd_milter_maps would take milters away from some clients: it is empty here now",
            );
            self.set(MAPS, "");
        }
        self.protocol();
    }

    /// outgate once, first, and closed while it does not answer.
    fn asks_milter_well(&self) -> bool {
        let list = self.door.value(MILTERS);
        let [ask] = self.door.milters.as_slice() else {
            return false;
        };
        let action = ask.server.attribute("default_action");
        ask.missed.is_none()
            && words(&list).first() == Some(&ask.server.text.as_str())
            && matches!(action, Some("tempfail" | "shutdown"))
    }

    /// What outgate has to hear, and how.
    fn protocol(&mut self) {
        const PROTOCOL: &str = "milter_protocol";
        let value = self.door.value(PROTOCOL);
        let version = words(&value)
            .first()
            .and_then(|word| word.parse::<u32>().ok());
        if version.is_some_and(|version| version < 6) {
            self.set(PROTOCOL, "6");
        }
        const MACROS: &str = "milter_mail_macros";
        let value = self.door.value(MACROS);
        let mut macros = words(&value);
        let bare = |word: &&str| word.trim_matches(['{', '}', ' ']).to_owned();
        let sent: Vec<String> = macros.iter().map(bare).collect();
        let lacking = ["{auth_authen}", "{mail_addr}"];
        let lacking = lacking.iter().filter(|name| !sent.contains(&bare(name)));
        let before = macros.len();
        macros.extend(lacking);
        if macros.len() > before {
            self.set(MACROS, &macros.join(","));
        }
    }

    fn policy(&mut self) {
        self.ask_in(SENDER);
        self.ask_in(DATA);
        let mut closes = false;
        if self.door.delays() {
            self.set("smtpd_delay_reject", "no");
            // From now on these are asked before anybody can have logged in.
            for list in ["smtpd_client_restrictions", "smtpd_helo_restrictions"] {
                let steps = self.door.steps(list);
                let login = steps.iter().position(|step| step.word() == LOGGED_IN);
                if let Some(before) = login.and_then(|at| steps.get(..at)) {
                    self.set(list, &text(before.iter()));
                    closes = true;
                }
            }
        }
        self.close_relay(closes);
    }

    /// Whoever has logged in may relay, nobody else. `anyhow`: a list that said so is gone.
    fn close_relay(&mut self, anyhow: bool) {
        if self.relays_openly() {
            self.note(STRANGERS);
        }
        if anyhow || self.has_open_list() {
            self.want(RELAY, "permit_sasl_authenticated,reject");
        }
    }

    /// Whether somebody can send here without a login: no list keeps all of them out.
    fn relays_openly(&self) -> bool {
        let keeps_out = |list: &&str| {
            let steps = self.door.steps(list);
            let open = steps
                .iter()
                .any(|step| OPEN.contains(&step.word().as_str()));
            let ends = steps.last().is_some_and(|step| step.word() == "reject");
            ends && !open
        };
        self.has_open_list() && !LISTS.iter().any(keeps_out)
    }

    /// Whether the list that decides on relaying lets clients relay for what they are.
    fn has_open_list(&self) -> bool {
        let lists = [RELAY, "smtpd_recipient_restrictions"];
        let mut steps = lists.iter().map(|list| self.door.steps(list));
        let first = steps.find(|steps| !steps.is_empty());
        first.is_some_and(|steps| steps.iter().any(|s| OPEN.contains(&s.word().as_str())))
    }

    /// outgate before everything else in a list.
    fn ask_in(&mut self, list: &'static str) {
        let asked: Vec<_> = self
            .door
            .policies
            .iter()
            .filter(|p| p.list == list)
            .collect();
        let steps = self.door.steps(list);
        let first = |at: usize| {
            let skips = |step: &Step| {
                let word = step.word();
                word.starts_with("permit") || word == "warn_if_reject"
            };
            !steps.iter().take(at).any(skips)
        };
        if let [one] = asked.as_slice()
            && one.ask.missed.is_none()
            && first(one.at)
            && one.ask.server.attribute("default_action").is_some()
        {
            return;
        }
        let others = match asked.is_empty() {
            true => self
                .door
                .postfix
                .raw_for(self.door.service, list)
                .to_owned(),
            false => {
                let ours = |at: usize| asked.iter().any(|policy| policy.at == at);
                let others = steps.iter().enumerate().filter(|(at, _)| !ours(*at));
                text(others.map(|(_, step)| step))
            }
        };
        self.set(list, &behind(&self.fresh(list), &others));
    }

    /// What outgate judged is what is sent.
    fn whole_messages(&mut self) {
        const OVERRIDES: &str = "receive_override_options";
        let value = self.door.value(OVERRIDES);
        let hides = |word: &&str| {
            *word == "no_header_body_checks" || (*word == "no_milters" && self.wiring.is_milter())
        };
        let kept: Vec<_> = words(&value)
            .into_iter()
            .filter(|word| !hides(word))
            .collect();
        if kept.len() < words(&value).len() {
            self.set(OVERRIDES, &kept.join(","));
        }
        // In main.cf it would count for mail from the outside too.
        const NEWLINE: &str = "smtpd_forbid_bare_newline";
        let weak = ["", "no", "note"].contains(&self.door.value(NEWLINE).as_str());
        if self.knows(NEWLINE) && weak {
            self.set(NEWLINE, "yes");
        }
    }
}

/// Steps as they are usually written: a restriction and its argument are not parted by a comma.
fn text<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    let words: Vec<_> = steps.map(Step::to_string).collect();
    words.join(" ")
}

/// A list with the words of another one behind it.
pub fn behind(first: &str, others: &str) -> String {
    match others.trim_matches([',', ' ']) {
        "" => first.to_owned(),
        others => format!("{first}, {others}"),
    }
}
