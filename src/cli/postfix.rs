//! `postfix config`: the lines that this host's Postfix needs.

use std::path::Path;
use std::process;

use clap::{Subcommand, ValueEnum};

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::Output;
use crate::config::Config;
use crate::config::value::Endpoint;

/// What is wired to what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Wiring {
    /// outgate checks passwords and is asked as a milter (recommended)
    AuthMilter,
    /// Dovecot or Cyrus checks passwords as before; outgate is asked as a milter
    Milter,
    /// outgate checks passwords and is asked as a policy server; the header From is not seen
    AuthPolicy,
    /// Dovecot or Cyrus checks passwords as before; outgate is asked as a policy server
    Policy,
}

/// `outgate postfix …`
#[derive(Subcommand)]
pub enum Command {
    /// Print the main.cf and master.cf lines for this host
    Config {
        /// What outgate is asked for
        #[arg(long, value_enum, default_value_t = Wiring::AuthMilter)]
        wiring: Wiring,
    },
}

impl Command {
    /// Does it.
    pub(super) fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        match self {
            Command::Config { wiring } => {
                let lines = config(wiring, &host.config).map_err(|error| {
                    Failure::refused(error, "see [listen] in the configuration")
                })?;
                output.text("config", &lines);
            }
        }
        Ok(Exit::Done)
    }
}

/// The lines for this host: the files in `postfix/`, with its socket addresses and without the
/// settings that its Postfix does not know. An error names the listener that is switched off.
pub fn config(wiring: Wiring, config: &Config) -> Result<String, String> {
    let queue =
        postconf(&["-h", "queue_directory"]).unwrap_or_else(|| "/var/spool/postfix".to_owned());
    let place = |endpoint: &Endpoint, key: &str| address(endpoint, Path::new(&queue), key);
    let listen = &config.listen;
    let mut services = wiring.services().to_owned();
    if wiring.asks(AUTH) {
        // smtpd_sasl_path has no room for "unix:" in old versions, and needs none.
        let address = place(&listen.auth, "auth")?;
        let path = address.strip_prefix("unix:").unwrap_or(&address);
        services = services.replace(AUTH, path);
    }
    if wiring.asks(POLICY) {
        services = services.replace(POLICY, &place(&listen.policy, "policy")?);
    }
    if wiring.asks(MILTER) {
        services = services.replace(MILTER, &place(&listen.milter, "milter")?);
    }
    if services.contains("unix:/") || services.contains("smtpd_sasl_path=/") {
        let services_without_chroot = services.replace(CHROOTED, UNCHROOTED);
        services = format!("{OUTSIDE}{services_without_chroot}");
    }
    let settings = known_settings(MAIN, |name| postconf(&["-d", name]));
    Ok(format!("{settings}\n\n{services}"))
}

const MAIN: &str = include_str!("../../postfix/main.cf");
/// The addresses in the files: those of the default configuration.
const AUTH: &str = "outgate/auth.sock";
const POLICY: &str = "unix:outgate/policy.sock";
const MILTER: &str = "unix:outgate/milter.sock";
/// The fifth column of master.cf.
const CHROOTED: &str = " inet n - y - - smtpd";
const UNCHROOTED: &str = " inet n - n - - smtpd";
const OUTSIDE: &str = "# A socket lies outside Postfix's queue directory, where no chroot reaches: the fifth column is \"n\".\n";

impl Wiring {
    fn services(self) -> &'static str {
        match self {
            Wiring::AuthMilter => include_str!("../../postfix/auth-milter.master.cf"),
            Wiring::Milter => include_str!("../../postfix/milter.master.cf"),
            Wiring::AuthPolicy => include_str!("../../postfix/auth-policy.master.cf"),
            Wiring::Policy => include_str!("../../postfix/policy.master.cf"),
        }
    }

    fn asks(self, address: &str) -> bool {
        self.services().contains(address)
    }
}

/// An endpoint as Postfix finds it: relative to the queue directory where it lies below, because
/// that works with chroot and without.
fn address(endpoint: &Endpoint, queue: &Path, key: &str) -> Result<String, String> {
    match endpoint {
        Endpoint::Off => Err(format!(
            "this wiring needs the listener {key}, and listen.{key} is switched off"
        )),
        Endpoint::Inet { .. } => Ok(endpoint.to_string()),
        Endpoint::Unix(path) => {
            let path = path.strip_prefix(queue).unwrap_or(path);
            Ok(format!("unix:{}", path.display()))
        }
    }
}

/// Leaves out the settings (with the comment above them) for which `known` finds nothing.
fn known_settings(text: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let speaks = known("mail_version").is_some();
    text.split("\n\n")
        .filter(|block| {
            let names = block
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once(" = "));
            !speaks
                || names
                    .map(|(name, _)| name)
                    .all(|name| known(name).is_some())
        })
        .collect::<Vec<_>>()
        .join("\n\n")
        .trim_end()
        .to_owned()
}

/// What Postfix says of itself; `None` where there is no Postfix, or it does not know the name.
fn postconf(arguments: &[&str]) -> Option<String> {
    let output = process::Command::new("postconf")
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    const ALL: [Wiring; 4] = [
        Wiring::AuthMilter,
        Wiring::Milter,
        Wiring::AuthPolicy,
        Wiring::Policy,
    ];

    #[test]
    fn each_wiring_asks_what_its_name_says() {
        for wiring in ALL {
            let word = wiring.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!(wiring.asks(AUTH), word.starts_with("auth"), "{word}");
            assert_eq!(wiring.asks(MILTER), word.contains("milter"), "{word}");
            assert_eq!(wiring.asks(POLICY), word.contains("policy"), "{word}");
        }
    }

    #[test]
    fn addresses_are_those_that_postfix_finds() {
        let queue = Path::new("/var/spool/postfix");
        let unix = |path: &str| Endpoint::Unix(path.into());
        let below = unix("/var/spool/postfix/outgate/auth.sock");
        assert_eq!(
            address(&below, queue, "auth").unwrap(),
            "unix:outgate/auth.sock"
        );
        let inet: Endpoint = "inet:127.0.0.1:9999".parse().unwrap();
        assert_eq!(
            address(&inet, queue, "auth").unwrap(),
            "inet:127.0.0.1:9999"
        );
        let outside = unix("/run/outgate/auth.sock");
        assert_eq!(
            address(&outside, queue, "auth").unwrap(),
            "unix:/run/outgate/auth.sock"
        );
        let error = address(&Endpoint::Off, queue, "auth").unwrap_err();
        assert!(error.contains("listen.auth is switched off"), "{error}");
    }

    #[test]
    fn sockets_outside_the_queue_directory_need_services_without_chroot() {
        let text = "[listen]\nauth = \"unix:/run/og/a\"\npolicy = \"unix:/run/og/p\"\nmilter = \"unix:/run/og/m\"\n";
        let configured = parse(text, "f").unwrap();
        for wiring in ALL {
            let lines = config(wiring, &configured).unwrap();
            assert!(!lines.contains(CHROOTED), "{lines}");
            assert!(lines.contains("/run/og/"), "{lines}");
        }
    }

    #[test]
    fn every_address_is_filled_in() {
        let text = "[listen]\nauth = \"inet:127.0.0.1:1\"\npolicy = \"inet:127.0.0.1:2\"\nmilter = \"inet:127.0.0.1:3\"\n";
        let configured = parse(text, "f").unwrap();
        for wiring in ALL {
            let lines = config(wiring, &configured).unwrap();
            assert!(!lines.contains(".sock"), "{lines}");
        }
    }

    #[test]
    fn settings_that_this_postfix_does_not_know_are_left_out() {
        let old = |name: &str| (name != "cleanup_replace_stray_cr_lf").then(String::new);
        let lines = known_settings(MAIN, old);
        assert!(lines.contains("message_reject_characters = \\0"));
        assert!(!lines.contains("cleanup_replace_stray_cr_lf"));
        assert!(!lines.contains("A lone CR"));
        // Without a Postfix to ask, all are shown.
        assert_eq!(known_settings(MAIN, |_| None), MAIN.trim_end());
    }
}
