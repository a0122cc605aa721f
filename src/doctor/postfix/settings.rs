//! main.cf and the defaults behind it, from the lines `name = value` of `postconf`.

use std::collections::{HashMap, HashSet};

/// Every parameter that this Postfix knows.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: HashMap<String, String>,
    own: HashSet<String>,
}

impl Settings {
    /// From what `postconf` prints (all parameters), and `postconf -n` (those that main.cf sets).
    pub fn parse(all: &str, own: &str) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in lines(all).chain(lines(own)) {
            settings.values.insert(name.to_owned(), value.to_owned());
        }
        settings.own = lines(own).map(|(name, _)| name.to_owned()).collect();
        settings
    }

    /// As it stands in main.cf, else the default; `None` if this Postfix does not know it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// What main.cf sets, in no order.
    pub fn own(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(String::as_str)
    }

    /// Whether main.cf sets it.
    pub fn is_own(&self, name: &str) -> bool {
        self.own.contains(name)
    }
}

/// The names and values of `name = value` lines; lines of another shape are left out.
pub fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((name.trim(), value.trim()))
    })
}
