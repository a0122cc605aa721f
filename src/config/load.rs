//! Reading the configuration file. An error names file, line, key and problem.

use std::fmt;
use std::path::Path;

use toml::de::DeTable;

use super::{Config, RequireSpf};

/// What is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    line: Option<usize>,
    key: Option<String>,
    problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Reads and checks a file. A file that is missing or cannot be read is an error: a daemon that
/// runs on defaults because it may not read its configuration is worse than none.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError {
        file: file.clone(),
        line: None,
        key: None,
        problem: format!("cannot read it: {e}"),
    })?;
    parse(&text, &file)
}

/// Checks the text of a file; `file` is its name in errors.
pub fn parse(text: &str, file: &str) -> Result<Config, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        ConfigError {
            file: file.to_owned(),
            line,
            key: line.and_then(|line| key_at(text, line)),
            problem: error.message().replace('\n', " "),
        }
    })?;
    match missing_key(&config) {
        None => Ok(config),
        Some((key, problem)) => Err(ConfigError {
            file: file.to_owned(),
            line: place(text, key).map(|at| line_at(text, at)),
            key: Some(key.to_owned()),
            problem: problem.to_owned(),
        }),
    }
}

/// The line of a place in the text, from 1.
fn line_at(text: &str, at: usize) -> usize {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// Where a dotted key stands, however it is written: below its table, with its dots, or in an
/// inline table.
fn place(text: &str, key: &str) -> Option<usize> {
    let file = DeTable::parse(text).ok()?;
    let mut table = file.get_ref();
    let mut at = None;
    for part in key.split('.') {
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        at = Some(name.span().start);
        let Some(inner) = value.get_ref().as_table() else {
            break;
        };
        table = inner;
    }
    at
}

/// A key whose value asks for another key that is not set.
fn missing_key(config: &Config) -> Option<(&'static str, &'static str)> {
    let problem = match config.any_domain.require_spf {
        RequireSpf::Include if config.relay.spf_include.name().is_none() => {
            "\"include\" needs relay.spf-include: the name that customers include"
        }
        RequireSpf::Pass if config.relay.egress.0.is_empty() => {
            "\"pass\" needs relay.egress: the addresses that mail leaves from"
        }
        RequireSpf::Auto | RequireSpf::Published | RequireSpf::Include | RequireSpf::Pass => {
            return None;
        }
    };
    Some(("any-domain.require-spf", problem))
}

/// The dotted key that stands on a line, or on the nearest line above it that begins one (a list
/// may go over several).
fn key_at(text: &str, line: usize) -> Option<String> {
    let mut name = None;
    for line in text
        .lines()
        .take(line)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        if let Some(table) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            let table = table.trim_matches(['[', ' ']);
            return Some(match name {
                Some(name) => format!("{table}.{name}"),
                None => table.to_owned(),
            });
        }
        if name.is_none() {
            name = line
                .split_once('=')
                .map(|(key, _)| key.trim().to_owned())
                .filter(|key| !key.is_empty() && !key.contains(['"', ',', '{']));
        }
    }
    name
}
