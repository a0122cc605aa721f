//! A service of the files in `postfix/`, taken apart.

/// One service that a wiring wants, with every option.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snippet {
    /// `submission`, `submissions`.
    pub name: String,
    /// The columns behind the name.
    columns: String,
    /// `-o` options, in order.
    options: Vec<(String, String)>,
}

/// The services of a file, in order.
pub fn parse(text: &str) -> Vec<Snippet> {
    let mut found: Vec<Snippet> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(option) = line.trim_start().strip_prefix("-o ") {
            let option = crate::doctor::postfix::list::bare(option);
            let pair = option.split_once('=');
            if let (Some(service), Some((name, value))) = (found.last_mut(), pair) {
                let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                service.options.push((name, value));
            }
        } else if let Some((name, columns)) = line.split_once(' ') {
            found.push(Snippet {
                name: name.to_owned(),
                columns: columns.trim().to_owned(),
                options: Vec::new(),
            });
        }
    }
    found
}

impl Snippet {
    /// The value of an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sets an option, in its place or behind the others.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.options.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.options.push((name.to_owned(), value.to_owned())),
        }
    }

    /// All options.
    pub fn options(&self) -> &[(String, String)] {
        &self.options
    }

    /// Whether the fifth column says so.
    pub fn is_chrooted(&self) -> bool {
        self.columns.split_whitespace().nth(3) == Some("y")
    }

    /// The same service under another name, in the log too.
    pub fn named(mut self, name: &str) -> Snippet {
        let label = name.rsplit(':').next().unwrap_or(name);
        for (option, value) in &mut self.options {
            match option.as_str() {
                "syslog_name" => *value = format!("postfix/{label}"),
                "smtpd_sasl_service" => label.clone_into(value),
                _ => {
                    let context = format!("policy_context={}", self.name);
                    *value = value.replace(&context, &format!("policy_context={label}"));
                }
            }
        }
        Snippet {
            name: name.to_owned(),
            ..self
        }
    }

    /// With another fifth column.
    pub fn with_chroot(mut self, chroot: &str) -> Snippet {
        let mut columns: Vec<&str> = self.columns.split_whitespace().collect();
        if let Some(column) = columns.get_mut(3) {
            *column = chroot;
        }
        self.columns = columns.join(" ");
        self
    }

    /// As one line of master.cf, as `postconf -M` takes it.
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.name, self.columns);
        for (name, value) in &self.options {
            line.push(' ');
            line.push_str(&option(name, value));
        }
        line
    }
}

/// `-o name=value`, in braces where white space is in it.
pub fn option(name: &str, value: &str) -> String {
    match value.contains(char::is_whitespace) || value.starts_with('{') {
        true => format!("-o {{ {name} = {value} }}"),
        false => format!("-o {name}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::wiring::Wiring;

    #[test]
    fn the_files_are_read_whole() {
        for wiring in Wiring::ALL {
            let text = wiring.services();
            let services = parse(text);
            let names: Vec<_> = services.iter().map(|s| s.name.as_str()).collect();
            assert_eq!(names, ["submission", "submissions"]);
            let lines = services.iter().map(Snippet::line);
            let read = lines.collect::<Vec<_>>().join(" ");
            let plain = text.lines().filter(|line| !line.starts_with('#'));
            let plain = plain.flat_map(str::split_whitespace);
            assert_eq!(
                read.split_whitespace().collect::<Vec<_>>(),
                plain.collect::<Vec<_>>(),
                "{wiring:?}"
            );
        }
    }

    #[test]
    fn another_name_and_chroot() {
        let text = "submission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n  \
                    -o { a = check { unix:p, policy_context=submission-data } }\n";
        let service = parse(text)
            .remove(0)
            .named("127.0.0.1:587")
            .with_chroot("-");
        assert_eq!(
            service.line(),
            "127.0.0.1:587 inet n - - - - smtpd -o syslog_name=postfix/587 \
             -o { a = check { unix:p, policy_context=587-data } }"
        );
    }
}
