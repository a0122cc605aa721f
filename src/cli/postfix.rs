//! `postfix config`: the lines that this host's Postfix needs; putting them there, and taking them out.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::{Output, Shown};
use crate::doctor::look::{self, Places, postconf};
use crate::doctor::postfix::quoted;
use crate::doctor::{Finding, examine};
use crate::wire::change::Change;
use crate::wire::lines;
use crate::wire::plan::Wish;
use crate::wire::session::Session;
use crate::wire::wiring;

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

impl From<Wiring> for wiring::Wiring {
    fn from(word: Wiring) -> wiring::Wiring {
        match word {
            Wiring::AuthMilter => wiring::Wiring::AuthMilter,
            Wiring::Milter => wiring::Wiring::Milter,
            Wiring::AuthPolicy => wiring::Wiring::AuthPolicy,
            Wiring::Policy => wiring::Wiring::Policy,
        }
    }
}

/// `outgate postfix …`
#[derive(Subcommand)]
pub enum Command {
    /// The main.cf and master.cf lines for this host: print them, put them in place, or take them out again
    Config(Options),
}

/// `outgate postfix config …`
#[derive(Args)]
pub struct Options {
    /// What outgate is asked for
    #[arg(long, value_enum, default_value_t = Wiring::AuthMilter)]
    wiring: Wiring,
    /// Change main.cf and master.cf: show the change, ask, keep a copy, make it, check it
    #[arg(long)]
    apply: bool,
    /// Take out what --apply has put in
    #[arg(long, conflicts_with_all = ["apply", "wiring"])]
    undo: bool,
    /// Show the change and make none
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Afterwards, make Postfix read its files again
    #[arg(long)]
    reload: bool,
    /// A service of master.cf to wire, instead of those for submission; made if it is submission or submissions
    #[arg(long, value_name = "NAME", requires = "apply")]
    service: Vec<String>,
    /// A parameter of main.cf that stays as it is
    #[arg(long, value_name = "PARAMETER", requires = "apply")]
    keep: Vec<String>,
    /// Postfix's configuration directory, if it is not the usual one
    #[arg(long, value_name = "DIR")]
    postfix: Option<PathBuf>,
}

impl Command {
    /// Does it.
    pub(super) fn run(self, file: &Path, output: &mut Output) -> Result<Exit, Failure> {
        let Command::Config(options) = self;
        if options.undo {
            // Needs nothing of outgate's: it works where its configuration is broken, or gone.
            return options.take_out(output);
        }
        let host = Host::load(file)?;
        match options.apply {
            true => options.put_in(&host, file, output),
            false => options.print(&host, output),
        }
    }
}

impl Options {
    fn print(&self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        if self.dry_run || self.yes || self.reload {
            return Err(Failure::new(
                Exit::Usage,
                "--dry-run, --yes and --reload go with --apply or --undo",
                "without those two, the lines are printed and nothing is changed",
            ));
        }
        let ask = |arguments: &[&str]| {
            let text = postconf::ask(self.postfix.as_ref(), arguments).ok()?;
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let queue = ask(&["-h", "queue_directory"]);
        let queue = PathBuf::from(queue.unwrap_or_else(|| "/var/spool/postfix".to_owned()));
        let known = |name: &str| ask(&["-d", name]);
        let lines = lines::all(self.wiring.into(), &host.config.listen, &queue, known)
            .map_err(|error| Failure::refused(error, "see [listen] in the configuration"))?;
        output.text("config", &lines);
        Ok(Exit::Done)
    }

    fn wish(&self) -> Wish {
        Wish {
            wiring: self.wiring.into(),
            services: self.service.clone(),
            keep: self.keep.clone(),
        }
    }

    /// Whether somebody is there to agree, where that is needed.
    fn can_be_asked(&self, output: &Output) -> Result<(), Failure> {
        let answers = std::io::stdin().is_terminal() && !output.is_json();
        if self.yes || self.dry_run || answers {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Usage,
            "nobody is there to agree to the change: standard input is no terminal, or --json was given",
            "--dry-run shows the change; --yes makes it without asking",
        ))
    }

    /// smtpd ends without the auth socket, and puts mail off without the others.
    fn is_safe_to_reload(&self, found: &[Finding]) -> Result<(), Failure> {
        let stopped = found
            .iter()
            .any(|finding| finding.id == "daemon-not-running");
        match self.reload && stopped && !self.dry_run {
            true => Err(Failure::refused(
                "outgate does not run: Postfix would find nobody to ask after a reload",
                "start it first: systemctl start outgate; or leave out --reload",
            )),
            false => Ok(()),
        }
    }

    fn put_in(&self, host: &Host, file: &Path, output: &mut Output) -> Result<Exit, Failure> {
        self.can_be_asked(output)?;
        let session = Session::open(self.postfix.as_deref())?;
        let change = session.apply(&host.config, &self.wish(), host.clock.now())?;
        let found = still_found(&change, host, file);
        self.is_safe_to_reload(&found)?;
        let mut done = Done::new(self, &change)?;
        done.doctor = found.iter().map(words).collect();
        self.change(&change, done, output)
    }

    fn take_out(&self, output: &mut Output) -> Result<Exit, Failure> {
        self.can_be_asked(output)?;
        let change = Session::open(self.postfix.as_deref())?.undo()?;
        let done = Done::new(self, &change)?;
        if !change.is_any() && !self.dry_run {
            // The files are as they were: what is left is a record of nothing.
            change.make()?;
        }
        self.change(&change, done, output)
    }

    /// Shows it, asks, makes it, and says what is true then.
    fn change(
        &self,
        change: &Change,
        mut done: Done,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        if !output.is_json() {
            done.show_before(output);
        }
        change.leave_copy();
        if change.is_any() && !self.dry_run {
            change.is_permitted()?;
            if !self.yes && !output.ask("Change these files?") {
                return Err(Failure::refused("nothing was changed", ""));
            }
            change.make()?;
            done.changed = true;
            if self.reload {
                change.run_reload()?;
                done.next = String::new();
            }
        }
        output.show(&done);
        Ok(Exit::Done)
    }
}

/// What doctor will say about this.
fn still_found(change: &Change, host: &Host, file: &Path) -> Vec<Finding> {
    let places = Places {
        config_file: file.to_owned(),
        postfix: Some(change.copy().to_owned()),
    };
    examine(&look::gather(&host.config, places, &host.clock))
}

/// A finding in one line.
fn words(finding: &Finding) -> String {
    match finding.services.as_slice() {
        [] => format!("{}: {}", finding.id, finding.what),
        services => format!("{} ({}): {}", finding.id, services.join(", "), finding.what),
    }
}

/// What was done, or would be.
#[derive(Serialize)]
struct Done {
    changed: bool,
    /// `null` after an undo.
    wiring: Option<wiring::Wiring>,
    services: Vec<String>,
    files: Vec<String>,
    diff: String,
    changes: Vec<String>,
    undo: Option<String>,
    #[serde(skip)]
    way_back: String,
    notes: Vec<String>,
    doctor: Vec<String>,
    next: String,
}

impl Done {
    fn new(options: &Options, change: &Change) -> Result<Done, Failure> {
        let files = change.files.iter().map(|file| file.display().to_string());
        Ok(Done {
            changed: false,
            wiring: options.apply.then(|| options.wiring.into()),
            services: change.services.clone(),
            files: files.collect(),
            diff: change.diff.clone(),
            changes: change.short.clone(),
            undo: options.apply.then(|| change.undo.display().to_string()),
            way_back: match &options.postfix {
                Some(directory) => {
                    let directory = quoted(&directory.display().to_string());
                    format!("outgate postfix config --undo --postfix {directory}")
                }
                None => "outgate postfix config --undo".to_owned(),
            },
            notes: change.notes.clone(),
            doctor: Vec::new(),
            next: match change.is_any() {
                true => change.reload()?,
                false => String::new(),
            },
        })
    }

    /// What somebody reads before saying yes.
    fn show_before(&self, output: &mut Output) {
        if !self.diff.is_empty() {
            output.text("diff", &self.diff);
            output.text("", "");
            output.text("", "In short:");
            for line in &self.changes {
                output.text("", &format!("  {line}"));
            }
            output.text("", "");
            // Before what is said on the other stream.
            output.flush();
        }
        for note in &self.notes {
            output.say("note", note);
        }
        for found in &self.doctor {
            output.say("doctor will still find", found);
        }
    }
}

impl Shown for Done {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        fields.push(("changed", super::word::yes_or_no(self.changed)));
        if let Some(wiring) = self.wiring {
            fields.push(("wiring", wiring.name().to_owned()));
        }
        fields.push(("services", self.services.join(", ")));
        if !self.files.is_empty() {
            fields.push(("files", self.files.join(", ")));
        }
        if let Some(undo) = self.undo.clone().filter(|_| self.changed) {
            fields.push(("kept", undo));
            fields.push(("way back", self.way_back.clone()));
        }
        if !self.next.is_empty() && self.changed {
            fields.push(("now", self.next.clone()));
        }
        fields
    }
}
