//! The lines for main.cf and master.cf, with this host's socket addresses.

use std::path::Path;

use super::wiring::Wiring;
use crate::config::Listen;
use crate::config::value::Endpoint;

const MAIN: &str = include_str!("../../postfix/main.cf");
/// The addresses in the files: those of the default configuration.
const AUTH: &str = "outgate/auth.sock";
const POLICY: &str = "unix:outgate/policy.sock";
const MILTER: &str = "unix:outgate/milter.sock";
/// The fifth column of master.cf.
const CHROOTED: &str = " inet n - y - - smtpd";
const UNCHROOTED: &str = " inet n - n - - smtpd";
const OUTSIDE: &str = "# A socket lies outside Postfix's queue directory, where no chroot reaches: the fifth column is \"n\".\n";

/// All lines for a host. `known` says what a parameter's default is, `None` for one that this
/// Postfix does not know. An error names the listener that is switched off.
pub fn all(
    wiring: Wiring,
    listen: &Listen,
    queue: &Path,
    known: impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let services = services(wiring, listen, queue)?;
    let head = match is_outside(&services) {
        true => OUTSIDE,
        false => "",
    };
    Ok(format!("{}\n\n{head}{services}", settings(known)))
}

/// The lines for master.cf.
pub fn services(wiring: Wiring, listen: &Listen, queue: &Path) -> Result<String, String> {
    let mut services = wiring.services().to_owned();
    if wiring.checks_passwords() {
        // smtpd_sasl_path has no room for "unix:" in old versions, and needs none.
        let address = address(&listen.auth, queue, "auth")?;
        let path = address.strip_prefix("unix:").unwrap_or(&address);
        services = services.replace(AUTH, path);
    }
    let (default, endpoint, key) = match wiring.is_milter() {
        true => (MILTER, &listen.milter, "milter"),
        false => (POLICY, &listen.policy, "policy"),
    };
    services = services.replace(default, &address(endpoint, queue, key)?);
    if is_outside(&services) {
        services = services.replace(CHROOTED, UNCHROOTED);
    }
    Ok(services)
}

/// Whether a socket lies where no chroot reaches.
pub fn is_outside(services: &str) -> bool {
    services.contains("unix:/") || services.contains("smtpd_sasl_path=/")
}

/// The lines for main.cf, without the parameters that this Postfix does not know.
pub fn settings(known: impl Fn(&str) -> Option<String>) -> String {
    known_settings(MAIN, known)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    fn lines(wiring: Wiring, listen: &Listen) -> String {
        all(wiring, listen, Path::new("/var/spool/postfix"), |_| None).unwrap()
    }

    #[test]
    fn each_wiring_asks_what_its_name_says() {
        for wiring in Wiring::ALL {
            let (word, services) = (wiring.name(), wiring.services());
            assert_eq!(services.contains(AUTH), wiring.checks_passwords(), "{word}");
            assert_eq!(services.contains(MILTER), wiring.is_milter(), "{word}");
            assert_eq!(services.contains(POLICY), !wiring.is_milter(), "{word}");
            assert_eq!(word.starts_with("auth"), wiring.checks_passwords());
            assert_eq!(word.ends_with("milter"), wiring.is_milter());
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
        for wiring in Wiring::ALL {
            let lines = lines(wiring, &configured.listen);
            assert!(!lines.contains(CHROOTED), "{lines}");
            assert!(lines.contains("/run/og/"), "{lines}");
        }
    }

    #[test]
    fn every_address_is_filled_in() {
        let text = "[listen]\nauth = \"inet:127.0.0.1:1\"\npolicy = \"inet:127.0.0.1:2\"\nmilter = \"inet:127.0.0.1:3\"\n";
        let configured = parse(text, "f").unwrap();
        for wiring in Wiring::ALL {
            let lines = lines(wiring, &configured.listen);
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
