//! `doctor`: what is wrong with this host, and the commands that mend it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::Output;
use crate::doctor::look::{self, Places};
use crate::doctor::{Finding, Severity, examine, needs_dns};
use crate::model::dns::{Answer, DnsName, Known, Query, Unknown};

/// `outgate doctor …`
#[derive(Args)]
pub struct Options {
    /// Postfix's configuration directory, if it is not the usual one
    #[arg(long, value_name = "DIR")]
    postfix: Option<PathBuf>,
}

impl Options {
    /// Looks, judges, prints. Any finding makes exit status 1.
    pub(super) fn run(self, file: &Path, output: &mut Output) -> Result<Exit, Failure> {
        let host = Host::load(file)?;
        let places = Places {
            config_file: file.to_owned(),
            postfix: self.postfix,
        };
        let mut facts = look::gather(&host.config, places, &host.clock);
        facts.resolver = needs_dns(&facts).then(|| probe(&host));
        let findings = examine(&facts);
        if output.is_json() {
            output.value(&findings);
        } else {
            print(output, &findings);
        }
        Ok(match findings.is_empty() {
            true => Exit::Done,
            false => Exit::Refused,
        })
    }
}

/// Whether name servers say anything at all, be it that there is no such name.
fn probe(host: &Host) -> Result<(), String> {
    let query = |name: DnsName| Query::txt(name);
    let wanted = match host.config.relay.spf_include.name() {
        Some(name) => Some(name.clone()),
        None => DnsName::parse("example.com").ok(),
    };
    let Some(query) = wanted.map(query) else {
        return Ok(());
    };
    let judge = |known: &Known| -> Result<Result<(), String>, Unknown> {
        Ok(match known.get(&query)? {
            Answer::Trouble(trouble) => Err(format!("{query}: {trouble}")),
            Answer::Records(_) | Answer::NoData | Answer::NoName => Ok(()),
        })
    };
    host.look_up(judge)
        .unwrap_or_else(|failure| Err(failure.error))
}

fn print(output: &mut Output, findings: &[Finding]) {
    if findings.is_empty() {
        output.text("", "nothing wrong was found");
    }
    for (number, finding) in findings.iter().enumerate() {
        if number > 0 {
            output.text("", "");
        }
        output.text("", &block(finding));
    }
}

/// One finding, as a paragraph.
fn block(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Problem => "problem",
        Severity::Advice => "advice",
    };
    let services = match finding.services.as_slice() {
        [] => String::new(),
        services => format!(" ({})", services.join(", ")),
    };
    let mut lines = vec![
        format!("{severity}: {}{services}", finding.id),
        format!("  what  {}", one_line(&finding.what)),
        format!("  why   {}", one_line(&finding.why)),
    ];
    for (number, line) in finding.fix.lines().enumerate() {
        let head = if number == 0 { "fix" } else { "" };
        lines.push(format!("  {head:<5} {line}"));
    }
    lines.join("\n")
}

/// What Postfix or the system said may have several lines.
fn one_line(text: &str) -> String {
    text.split('\n').collect::<Vec<_>>().join("; ")
}
