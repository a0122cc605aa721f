//! master.cf, from what `postconf -M` and `postconf -P` print.

use std::collections::BTreeMap;

use super::settings::{Settings, lines};

/// One line of master.cf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// `submission`, `127.0.0.1:10025`, `cleanup`.
    pub name: String,
    /// `inet`, `unix`, `pass`.
    pub kind: String,
    /// Whether it runs in the queue directory.
    pub chroot: bool,
    /// How many processes it may have; `None`: no limit.
    pub limit: Option<u32>,
    /// The program.
    pub command: String,
    /// `-o name=value`, by name.
    pub options: BTreeMap<String, String>,
    /// The whole line as `postconf -M` prints it, one space between words.
    pub line: String,
}

impl Service {
    /// As `postconf` calls it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.name, self.kind)
    }

    /// The fifth column as it is written: `y`, `n`, or `-` for the default.
    pub fn chroot_column(&self) -> &str {
        self.line.split(' ').nth(4).unwrap_or("-")
    }

    /// Whether it speaks SMTP with clients.
    pub fn is_smtpd(&self) -> bool {
        self.command == "smtpd"
    }

    /// The port or the name of it, without an address in front.
    pub fn port(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or(&self.name)
    }

    /// The address that it is bound to; empty: all of the host's.
    pub fn address(&self) -> &str {
        self.name
            .rsplit_once(':')
            .map_or("", |(address, _)| address)
    }

    /// Whether only programs of this host reach it.
    pub fn is_local(&self) -> bool {
        let address = self.address().trim_matches(['[', ']']);
        address == "localhost" || address == "::1" || address.starts_with("127.")
    }
}

/// The services, in order. `services` is what `postconf -M` prints, `options` what `postconf -P` does.
pub fn parse(services: &str, options: &str, settings: &Settings) -> Vec<Service> {
    let mut found: Vec<Service> = services
        .lines()
        .filter_map(|line| service(line, settings))
        .collect();
    for (path, value) in lines(options) {
        // The name of a service may have slashes; the type and the parameter have none.
        let mut parts = path.rsplitn(3, '/');
        let (Some(parameter), Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let service = found
            .iter_mut()
            .find(|service| service.name == name && service.kind == kind);
        if let Some(service) = service {
            service
                .options
                .insert(parameter.to_owned(), value.to_owned());
        }
    }
    found
}

fn service(line: &str, settings: &Settings) -> Option<Service> {
    let mut words = line.split_whitespace();
    let (name, kind) = (words.next()?, words.next()?);
    let (_private, _unprivileged, chroot) = (words.next()?, words.next()?, words.next()?);
    let (_wakeup, limit, command) = (words.next()?, words.next()?, words.next()?);
    Some(Service {
        name: name.to_owned(),
        kind: kind.to_owned(),
        chroot: match chroot {
            "y" => true,
            "n" => false,
            _ => chroot_by_default(settings),
        },
        limit: match limit {
            "-" => settings
                .get("default_process_limit")
                .and_then(|limit| limit.parse().ok())
                .or(Some(100)),
            "0" => None,
            number => number.parse().ok(),
        },
        command: command.rsplit('/').next().unwrap_or(command).to_owned(),
        options: BTreeMap::new(),
        line: line.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

/// Postfix 3.0 turned the default round, for configurations that say that they know of it.
fn chroot_by_default(settings: &Settings) -> bool {
    let level = settings.get("compatibility_level").unwrap_or("0");
    level
        .split('.')
        .next()
        .is_none_or(|major| major.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_options() {
        let settings = Settings::parse("default_process_limit = 50\ncompatibility_level = 3.6", "");
        let services = parse(
            "submission inet n - y - - smtpd -o a=b\n[::1]:10025 inet n - - - 0 /usr/lib/postfix/smtpd\nbad line\n\
             private/x unix - - n - 7 smtpd\n",
            "submission/inet/a = b = c\nprivate/x/unix/d =\nnobody/inet/a = 1\n",
            &settings,
        );
        let [submission, back, private] = services.as_slice() else {
            panic!("{services:?}");
        };
        assert!(submission.chroot && submission.is_smtpd() && !submission.is_local());
        assert_eq!(
            (submission.limit, submission.port()),
            (Some(50), "submission")
        );
        assert_eq!(submission.options["a"], "b = c");
        assert!(!back.chroot && back.is_smtpd() && back.is_local());
        assert_eq!((back.limit, back.port()), (None, "10025"));
        assert_eq!(private.limit, Some(7));
        assert_eq!(private.options["d"], "");
    }
}
