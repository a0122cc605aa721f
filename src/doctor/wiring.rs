//! Which services of Postfix ask outgate, and for what: master.cf compared with `[listen]`.

use std::path::Path;

use super::postfix::Postfix;
use super::postfix::list::{self, Server, Step};
use super::postfix::place::{self, Place};
use super::postfix::service::Service;
use crate::config::value::Endpoint;
use crate::config::{Config, Listen};

/// Where Postfix looks for the server's own certificates.
const CERTIFICATES: [&str; 4] = [
    "smtpd_tls_chain_files",
    "smtpd_tls_cert_file",
    "smtpd_tls_eccert_file",
    "smtpd_tls_dcert_file",
];

/// The parameters with restriction lists that a policy server can be asked in, in Postfix's order.
pub const LISTS: [&str; 7] = [
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    DATA,
    END_OF_DATA,
];
/// The parameter with the milters.
pub const MILTERS: &str = "smtpd_milters";
/// Asked when all recipients are known.
pub const DATA: &str = "smtpd_data_restrictions";
/// Asked when the message has come.
pub const END_OF_DATA: &str = "smtpd_end_of_data_restrictions";
/// The usual names and ports of submission.
const SUBMISSION: [&str; 6] = ["submission", "submissions", "smtps", "ssmtp", "587", "465"];

/// The usual name and port of mail from the outside. Behind postscreen(8) it comes by a service of
/// type `pass`.
const MAIL_EXCHANGE: [&str; 2] = ["smtp", "25"];

/// Where Postfix looks for one of outgate's listeners.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// As it stands in the configuration.
    pub server: Server,
    /// Where it leads, if that is not where outgate listens.
    pub missed: Option<Missed>,
}

/// A path or address at which outgate does not listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missed {
    /// Where Postfix looks.
    pub looks_at: String,
    /// The key of `[listen]`.
    pub listener: &'static str,
    /// What that key says; empty: switched off.
    pub listens_at: String,
    /// What Postfix would have to say instead.
    pub right: String,
}

/// A policy server in a restriction list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyAsk {
    /// The parameter.
    pub list: &'static str,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Which of them asks outgate.
    pub at: usize,
    /// Where.
    pub ask: Ask,
}

/// An smtpd service, and what it asks outgate for.
pub struct Door<'a> {
    /// The configuration around it.
    pub postfix: &'a Postfix,
    /// Its line of master.cf.
    pub service: &'a Service,
    /// outgate as a milter.
    pub milters: Vec<Ask>,
    /// outgate as a policy server.
    pub policies: Vec<PolicyAsk>,
    /// outgate as the judge of passwords.
    pub auth: Option<Ask>,
}

/// All smtpd services.
pub fn doors<'a>(postfix: &'a Postfix, config: &Config) -> Vec<Door<'a>> {
    let smtpd = |service: &&Service| service.is_smtpd();
    let services = postfix.services.iter().filter(smtpd);
    services
        .map(|service| Door::new(postfix, service, &config.listen))
        .collect()
}

impl<'a> Door<'a> {
    fn new(postfix: &'a Postfix, service: &'a Service, listen: &Listen) -> Door<'a> {
        let mut door = Door {
            postfix,
            service,
            milters: Vec::new(),
            policies: Vec::new(),
            auth: None,
        };
        let (queue, chroot) = (postfix.queue(), service.chroot);
        let ours = |server: Server, listener, endpoint: &Endpoint| {
            let missed = compare(&server.place, listener, endpoint, &queue, chroot)?;
            Some(Ask { server, missed })
        };
        door.milters = servers(&door.value(MILTERS))
            .filter_map(|server| ours(server, "milter", &listen.milter))
            .collect();
        for list in LISTS {
            let steps = door.steps(list);
            for (at, step) in steps.iter().enumerate() {
                let Step::Policy(server) = step else { continue };
                if let Some(ask) = ours(server.clone(), "policy", &listen.policy) {
                    let steps = steps.clone();
                    door.policies.push(PolicyAsk {
                        list,
                        steps,
                        at,
                        ask,
                    });
                }
            }
        }
        let auth = Server::parse(&door.value("smtpd_sasl_path"));
        door.auth = ours(auth, "auth", &listen.auth).filter(|_| door.has_logins());
        door
    }

    /// A setting as this service sees it.
    pub fn value(&self, name: &str) -> String {
        self.postfix.value_for(self.service, name)
    }

    /// Whether a yes-or-no setting says yes.
    pub fn says_yes(&self, name: &str) -> bool {
        self.value(name).eq_ignore_ascii_case("yes")
    }

    /// The steps of one of the restriction lists.
    pub fn steps(&self, list: &str) -> Vec<Step> {
        let classes = self.value("smtpd_restriction_classes");
        let class = |word: &str| {
            let known = list::words(&classes).contains(&word);
            known.then(|| self.value(word))
        };
        list::steps(&self.value(list), &class)
    }

    /// Whether clients can log in.
    pub fn has_logins(&self) -> bool {
        self.says_yes("smtpd_sasl_auth_enable")
    }

    /// Whether it has something to show to clients that ask for TLS. `none` says that it needs nothing.
    pub fn has_certificate(&self) -> bool {
        CERTIFICATES.iter().any(|name| !self.value(name).is_empty())
    }

    /// Whether it switches logins on itself.
    pub fn has_own_logins(&self) -> bool {
        let own = self.service.options.get("smtpd_sasl_auth_enable");
        own.is_some() && self.has_logins()
    }

    /// Whether it is there for those who log in.
    pub fn is_submission(&self) -> bool {
        SUBMISSION.contains(&self.service.port()) || self.has_own_logins()
    }

    /// Whether mail from the outside comes in here, without a login.
    pub fn is_mail_exchange(&self) -> bool {
        MAIL_EXCHANGE.contains(&self.service.port()) || self.service.kind == "pass"
    }

    /// Whether `smtpd_delay_reject` puts questions off until RCPT.
    pub fn delays(&self) -> bool {
        self.says_yes("smtpd_delay_reject")
    }

    /// Whether outgate is asked about messages: at a stage at which it answers.
    pub fn asks(&self) -> bool {
        !self.milters.is_empty() || self.policies.iter().any(|policy| self.answers(policy))
    }

    /// Before MAIL there is nothing to say, and at END-OF-MESSAGE outgate says nothing.
    fn answers(&self, policy: &PolicyAsk) -> bool {
        let early = ["smtpd_client_restrictions", "smtpd_helo_restrictions"];
        policy.list != END_OF_DATA && (self.delays() || !early.contains(&policy.list))
    }

    /// Whether the last word on a message is asked by policy.
    pub fn asks_at_data(&self) -> bool {
        self.policies.iter().any(|policy| policy.list == DATA)
    }

    /// The word for `outgate postfix config --wiring`.
    pub fn wiring(&self) -> &'static str {
        match (self.auth.is_some(), self.milters.is_empty()) {
            (true, false) => "auth-milter",
            (false, false) => "milter",
            (true, true) => "auth-policy",
            (false, true) => "policy",
        }
    }

    /// Everything that it asks outgate, and the parameters that say so.
    pub fn asked(&self) -> impl Iterator<Item = (&'static str, &Ask)> {
        let milters = self.milters.iter().map(|ask| (MILTERS, ask));
        let policies = self
            .policies
            .iter()
            .map(|policy| (policy.list, &policy.ask));
        let auth = self.auth.iter().map(|ask| ("smtpd_sasl_path", ask));
        milters.chain(policies).chain(auth)
    }

    /// Whether its own options say so, and not main.cf.
    pub fn asks_by_itself(&self) -> bool {
        let own = |name: &str| self.service.options.contains_key(name);
        self.asked().any(|(parameter, _)| own(parameter))
    }

    /// Whether it is where a content filter hands mail back: for this host alone, without logins of
    /// its own.
    pub fn is_reentry(&self) -> bool {
        self.service.is_local() && !self.is_submission()
    }

    /// The commands that set one of its parameters, where that stands now.
    pub fn set(&self, name: &str, value: &str) -> String {
        self.postfix.set_where_it_stands(self.service, name, value)
    }

    /// The commands that take one of its parameters back to the default.
    pub fn unset(&self, name: &str) -> String {
        if self.service.options.contains_key(name) {
            self.postfix.unset_for(self.service, name)
        } else {
            self.postfix.unset(name)
        }
    }
}

/// The servers of a milter list.
pub fn servers(list: &str) -> impl Iterator<Item = Server> {
    list::words(list).into_iter().map(Server::parse)
}

/// Whether a list of milters in main.cf names outgate; `chroot`: of the program that asks.
pub fn names_milter(postfix: &Postfix, config: &Config, list: &str, chroot: bool) -> bool {
    let queue = postfix.queue();
    let endpoint = &config.listen.milter;
    servers(list).any(|s| compare(&s.place, "milter", endpoint, &queue, chroot).is_some())
}

/// `None`: somebody else's server. Otherwise it is outgate that is meant, and perhaps missed.
fn compare(
    text: &str,
    listener: &'static str,
    endpoint: &Endpoint,
    queue: &Path,
    chroot: bool,
) -> Option<Option<Missed>> {
    let missed = |looks_at: String, right: String| {
        Some(Some(Missed {
            looks_at,
            listener,
            listens_at: endpoint.to_string(),
            right,
        }))
    };
    let right = match endpoint {
        Endpoint::Unix(path) => relative(path, queue),
        Endpoint::Inet { .. } => endpoint.to_string(),
        Endpoint::Off => String::new(),
    };
    match (Place::parse(text), endpoint) {
        (Place::Unix(path), Endpoint::Unix(ours)) => {
            let seen = place::seen(&path, queue, chroot);
            if seen == *ours {
                return Some(None);
            }
            let below = path.strip_prefix("/").unwrap_or(&path);
            let meant = path == *ours || queue.join(below) == *ours || is_same_tail(&path, ours);
            (meant || is_named_after_us(&path))
                .then(|| missed(format!("unix:{}", seen.display()), right))?
        }
        (Place::Unix(path), Endpoint::Inet { .. } | Endpoint::Off) => {
            let seen = place::seen(&path, queue, chroot);
            is_named_after_us(&path).then(|| missed(format!("unix:{}", seen.display()), right))?
        }
        (
            Place::Inet { host, port },
            Endpoint::Inet {
                host: ours,
                port: our_port,
            },
        ) => {
            if port != our_port.to_string() {
                return None;
            }
            match same_host(&host, ours) {
                true => Some(None),
                false => missed(text.to_owned(), right),
            }
        }
        (Place::Inet { .. }, Endpoint::Unix(_) | Endpoint::Off) => None,
    }
}

/// The way that works with a chroot and without.
fn relative(path: &Path, queue: &Path) -> String {
    let path = path.strip_prefix(queue).unwrap_or(path);
    format!("unix:{}", path.display())
}

/// Whether directory and name are the same, which stay when a path is written another way.
fn is_same_tail(one: &Path, other: &Path) -> bool {
    let tail = |path: &Path| {
        let directory = path.parent()?.file_name()?.to_owned();
        Some((directory, path.file_name()?.to_owned()))
    };
    tail(one).is_some_and(|one| tail(other) == Some(one))
}

fn is_named_after_us(path: &Path) -> bool {
    let named = |part: &std::ffi::OsStr| part.to_string_lossy().starts_with("outgate");
    path.iter().any(named)
}

fn same_host(one: &str, other: &str) -> bool {
    let everywhere = |host: &str| host.is_empty() || host == "0.0.0.0" || host == "::";
    let here = |host: &str| host == "localhost" || host == "::1" || host.starts_with("127.");
    let named = |one: &str, other: &str| one == "localhost" && here(other);
    one == other || everywhere(other) || named(one, other) || named(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_compared_with_the_listener() {
        let queue = Path::new("/q");
        let unix = "unix:/q/outgate/m.sock".parse().unwrap();
        let outside = "unix:/run/og/m.sock".parse().unwrap();
        let top = "unix:/m.sock".parse().unwrap();
        let inet = "inet:127.0.0.1:99".parse().unwrap();
        let all = "inet:0.0.0.0:99".parse().unwrap();
        let verdict = |text: &str, endpoint: &Endpoint, chroot| match compare(
            text, "milter", endpoint, queue, chroot,
        ) {
            None => "other",
            Some(None) => "reached",
            Some(Some(_)) => "missed",
        };
        for (text, endpoint, chroot, expected) in [
            ("unix:outgate/m.sock", &unix, true, "reached"),
            ("outgate/m.sock", &unix, false, "reached"),
            ("unix:/outgate/m.sock", &unix, true, "reached"),
            ("unix:/outgate/m.sock", &unix, false, "missed"),
            ("unix:/q/outgate/m.sock", &unix, true, "missed"),
            ("unix:/q/outgate/m.sock", &unix, false, "reached"),
            ("unix:private/outgate/m.sock", &unix, true, "missed"),
            ("unix:outgate/n.sock", &unix, true, "missed"),
            ("unix:rspamd/n.sock", &unix, true, "other"),
            ("inet:localhost:99", &unix, true, "other"),
            ("unix:/run/og/m.sock", &outside, false, "reached"),
            ("unix:/run/og/m.sock", &outside, true, "missed"),
            ("inet:localhost:99", &inet, true, "reached"),
            ("inet:192.0.2.1:99", &inet, true, "missed"),
            ("inet:[::1]:99", &inet, true, "missed"),
            ("inet:192.0.2.1:99", &all, true, "reached"),
            ("inet:127.0.0.1:98", &inet, true, "other"),
            ("smtpd", &unix, true, "other"),
            ("smtpd", &top, false, "other"),
            ("unix:outgate/m.sock", &Endpoint::Off, true, "missed"),
        ] {
            assert_eq!(
                verdict(text, endpoint, chroot),
                expected,
                "{text} {endpoint}"
            );
        }
    }
}
