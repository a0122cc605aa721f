//! A Postfix configuration as `postconf` shows it: settings, services, and what their values mean.
//!
//! Pure: reads what `postconf` has printed. Knows how Postfix reads its own files, and nothing of
//! what outgate wants from it.

pub mod expand;
pub mod list;
pub mod place;
pub mod service;
pub mod settings;
pub mod version;

use std::path::PathBuf;

use service::Service;
use settings::Settings;
use version::Version;

/// All of it.
#[derive(Clone, Debug)]
pub struct Postfix {
    /// The directory that was named; `None`: the one that Postfix uses by itself.
    pub directory: Option<PathBuf>,
    /// `mail_version`.
    pub version: Version,
    /// main.cf, and the defaults behind it.
    pub settings: Settings,
    /// master.cf.
    pub services: Vec<Service>,
}

impl Postfix {
    /// A setting of main.cf or its default, with everything in it expanded; empty if Postfix does not know it.
    pub fn value(&self, name: &str) -> String {
        let raw = self.settings.get(name).unwrap_or_default();
        expand::expand(raw, &|name| self.settings.get(name).map(str::to_owned))
    }

    /// A setting as a service sees it.
    pub fn value_for(&self, service: &Service, name: &str) -> String {
        let find = |name: &str| {
            let own = service.options.get(name).map(String::as_str);
            own.or_else(|| self.settings.get(name)).map(str::to_owned)
        };
        expand::expand(&find(name).unwrap_or_default(), &find)
    }

    /// The same as it is written, `$name` unexpanded.
    pub fn raw_for<'a>(&'a self, service: &'a Service, name: &str) -> &'a str {
        let own = service.options.get(name).map(String::as_str);
        own.or_else(|| self.settings.get(name)).unwrap_or_default()
    }

    /// A service by the name and type that `postconf` calls it by.
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id() == id)
    }

    /// The directory that relative socket paths start from, and that chroots go to.
    pub fn queue(&self) -> PathBuf {
        match self.value("queue_directory") {
            empty if empty.is_empty() => PathBuf::from("/var/spool/postfix"),
            queue => PathBuf::from(queue),
        }
    }

    /// Words for a command line: `postconf`, or `postconf -c DIR`.
    pub fn postconf(&self) -> String {
        match &self.directory {
            Some(directory) => format!("postconf -c {}", quoted(&directory.display().to_string())),
            None => "postconf".to_owned(),
        }
    }

    /// The commands that set a parameter of main.cf and make Postfix read it.
    pub fn set(&self, name: &str, value: &str) -> String {
        let assignment = quoted(&format!("{name} = {value}"));
        format!("{} -e {assignment}\n{}", self.postconf(), self.reload())
    }

    /// The commands that take a parameter out of main.cf.
    pub fn unset(&self, name: &str) -> String {
        format!("{} -X {name}\n{}", self.postconf(), self.reload())
    }

    /// The commands that set an option of a service. `postconf -P` takes no white space: where the value
    /// has some, the line for master.cf.
    pub fn set_for(&self, service: &Service, name: &str, value: &str) -> String {
        if value.contains(char::is_whitespace) {
            return format!(
                "in master.cf, below {}: -o {{ {name} = {value} }}\n{}",
                service.name,
                self.reload()
            );
        }
        let assignment = quoted(&format!("{}/{name}={value}", service.id()));
        format!("{} -P {assignment}\n{}", self.postconf(), self.reload())
    }

    /// The commands that take an option off a service.
    pub fn unset_for(&self, service: &Service, name: &str) -> String {
        format!(
            "{} -PX {}\n{}",
            self.postconf(),
            quoted(&format!("{}/{name}", service.id())),
            self.reload()
        )
    }

    /// The commands that mend a setting where it stands: in master.cf if the service has its own, else
    /// in main.cf.
    pub fn set_where_it_stands(&self, service: &Service, name: &str, value: &str) -> String {
        if service.options.contains_key(name) {
            self.set_for(service, name, value)
        } else {
            self.set(name, value)
        }
    }

    /// The command after every change.
    pub fn reload(&self) -> String {
        match &self.directory {
            Some(directory) => format!(
                "postfix -c {} reload",
                quoted(&directory.display().to_string())
            ),
            None => "postfix reload".to_owned(),
        }
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
