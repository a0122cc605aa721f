//! `log`: what was decided, from the store.

use std::collections::BTreeSet;
use std::io;

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::{SignedDuration, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::Output;
use super::visible;
use super::when::When;
use crate::clock::Clock;
use crate::control::Request;
use crate::decision::reason::Reason;
use crate::journal::Fields;
use crate::model::name::{Login, Name, as_id};
use crate::store::StoreError;
use crate::store::log::{self, Batch, Entry, Filter, LogReader, Whose};

/// `outgate log …`
#[derive(Args)]
pub struct Options {
    /// Only of this user: its name, a former name, a login or the id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only of this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only what was refused or deferred, audit mode included
    #[arg(long)]
    refused: bool,
    /// Only what audit mode let pass and would have refused
    #[arg(long)]
    would_refuse: bool,
    /// Only of this reason
    #[arg(long, value_name = "REASON", value_parser = reasons(), hide_possible_values = true)]
    reason: Option<String>,
    /// Not before: 2h, 7d (so long ago), 2026-11-24, "2026-11-24 10:00" or 2026-11-24T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Before, likewise; a day is shown to its end
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Go on with what is decided from now on, until interrupted
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
}

/// Lines that are read and shown together: columns are as wide as these need.
const TOGETHER: usize = 1000;

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(Reason::ALL.map(Reason::id))
}

impl Options {
    /// Shows the newest lines that fit, oldest first.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        let mut filter = self.filter(host)?;
        let to_the_end = filter.until.is_none();
        if to_the_end {
            filter.until = Some(end_of_now(&host.clock));
            // Without a daemon there is nothing on its way; one that cannot write says so itself.
            host.ask(&Request::Logged);
        }
        let mut reader = log::reader(&host.config.store.url);
        let mut table = Table::new();
        // Before anything is read: what comes in between is found by the next look.
        let version = reader.version()?;
        let numbers = reader.numbers(&filter, self.limit)?;
        for some in numbers.chunks(TOGETHER) {
            table.page(&reader.lines(some)?, output);
            if output.is_left() {
                return Ok(Exit::Done);
            }
        }
        if to_the_end && !reader.numbers(&later(&filter), 1)?.is_empty() {
            output.say(
                "note",
                "lines of a clock that was ahead are left out; with --until 9999-01-01 they are shown",
            );
        }
        if self.follow {
            let clock = to_the_end.then_some(&host.clock);
            let mut tail = Tail::new(filter, numbers, host, clock);
            return tail.follow(reader.as_mut(), version, &mut table, output);
        }
        if numbers.is_empty() && !output.is_json() {
            output.say("outgate", "no decision in the log fits");
        }
        Ok(Exit::Done)
    }

    /// `None`: all. What audit mode does not touch was refused in it as well.
    fn reasons(&self) -> Option<Vec<&'static str>> {
        let wanted = |reason: &Reason| {
            let named = self.reason.as_deref().is_none_or(|id| id == reason.id());
            named && (!self.would_refuse || reason.bows_to_audit())
        };
        let some = self.reason.is_some() || self.would_refuse;
        some.then(|| {
            Reason::ALL
                .into_iter()
                .filter(wanted)
                .map(Reason::id)
                .collect()
        })
    }

    fn filter(&self, host: &Host) -> Result<Filter, Failure> {
        let (now, zone) = (host.clock.now(), host.time_zone());
        let account = self.account.as_deref().map(Name::parse).transpose();
        let account = account.map_err(|error| {
            Failure::refused(error.to_string(), "see the accounts: outgate account list")
        })?;
        let user = self.user.as_deref();
        Ok(Filter {
            user: user.map(|user| whose(user, host)).transpose()?,
            account,
            refused: self.refused || self.would_refuse,
            audit: self.would_refuse,
            reasons: self.reasons(),
            since: self.since.as_ref().map(|since| since.begin(now, zone)),
            until: self.until.as_ref().map(|until| until.end(now, zone)),
            after: None,
        })
    }
}

/// Whom a name, a login or an id means: today, and in old lines.
fn whose(text: &str, host: &Host) -> Result<Whose, Failure> {
    let mut id = as_id(text);
    if let (None, Ok(login)) = (id, Login::parse(text)) {
        let mut look = |tx: &mut dyn crate::store::Transaction| {
            id = tx.login_owner(&login)?;
            Ok(())
        };
        host.store()?.view(&mut look)?;
    }
    let text = text.to_lowercase();
    Ok(Whose { text, id })
}

/// The numbers of lines are ahead of the clock by an hour at the most. Those beyond are of a clock that was wrong,
/// for years perhaps, and must not stand for the newest ones.
fn end_of_now(clock: &Clock) -> Timestamp {
    let now = clock.now();
    now.checked_add(SignedDuration::from_hours(2))
        .unwrap_or(Timestamp::MAX)
}

/// What would fit, but lies behind the end.
fn later(filter: &Filter) -> Filter {
    Filter {
        since: filter.since.max(filter.until),
        until: None,
        ..filter.clone()
    }
}

/// How often to look for new lines.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Lines are written by the time of their id, some a little later than others: so far back they are looked
/// for, in microseconds.
const LATE: i64 = 5_000_000;

/// Within this time a line is written, in microseconds.
const WRITTEN: i64 = 1_000_000;

/// What was shown last of a log that is followed.
struct Tail<'a> {
    filter: Filter,
    /// Goes on for as long as this does.
    clock: Option<&'a Clock>,
    newest: i64,
    /// Numbers of lines that were shown, as far back as is looked.
    shown: BTreeSet<i64>,
}

impl<'a> Tail<'a> {
    fn new(filter: Filter, numbers: Vec<i64>, host: &Host, clock: Option<&'a Clock>) -> Tail<'a> {
        let shown: BTreeSet<i64> = numbers.into_iter().collect();
        // What was decided just now may not have been written when the page was read.
        let just_now = host.clock.now().as_microsecond() - WRITTEN;
        Tail {
            filter,
            clock,
            newest: shown.last().copied().unwrap_or(just_now),
            shown,
        }
    }

    /// Until nobody reads any more.
    fn follow(
        &mut self,
        reader: &mut dyn LogReader,
        mut version: u64,
        table: &mut Table,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        // Lines from before the first page are not news.
        let start = self.shown.first().copied().unwrap_or(self.newest);
        loop {
            if !output.flush() || reader_has_left()? {
                return Ok(Exit::Done);
            }
            match self.look(start, version, reader, table, output) {
                Ok(seen) => version = seen,
                Err(StoreError::Busy(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Shows what is new since this version of the log; the version that was seen.
    fn look(
        &mut self,
        start: i64,
        version: u64,
        reader: &mut dyn LogReader,
        table: &mut Table,
        output: &mut Output,
    ) -> Result<u64, StoreError> {
        let now = reader.version()?;
        if now == version {
            return Ok(now);
        }
        self.filter.after = Some(start.max(self.newest - LATE) - 1);
        self.filter.until = self.clock.map(end_of_now).or(self.filter.until);
        let mut news = reader.numbers(&self.filter, usize::MAX)?;
        news.retain(|number| !self.shown.contains(number));
        for some in news.chunks(TOGETHER) {
            table.page(&reader.lines(some)?, output);
            self.shown.extend(some);
        }
        self.newest = self.shown.last().copied().unwrap_or(self.newest);
        self.shown = self.shown.split_off(&(self.newest - LATE));
        Ok(now)
    }
}

/// Waits for the time of the next look. True: whoever read standard output has left.
fn reader_has_left() -> Result<bool, Failure> {
    let out = io::stdout();
    let mut watched = [PollFd::new(&out, PollFlags::empty())];
    match poll(&mut watched, Some(&LOOK)) {
        Ok(_) => Ok(watched[0]
            .revents()
            .intersects(PollFlags::ERR | PollFlags::NVAL)),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(Failure::temporary(
            format!("cannot wait for news: {error}"),
            "",
        )),
    }
}

/// Lines for eyes, one below the other; or, for programs, an object each.
struct Table {
    widths: [usize; HEAD.len()],
    begun: bool,
}

const HEAD: [&str; 8] = [
    "time", "verdict", "reason", "asked", "client", "user", "sender", "id",
];

/// Columns grow no wider for the lines around a long cell: clients choose what stands in them.
const WIDEST: usize = 48;

impl Table {
    fn new() -> Table {
        Table {
            widths: [0; HEAD.len()],
            begun: false,
        }
    }

    fn page(&mut self, batch: &Batch, output: &mut Output) {
        if output.is_json() {
            batch.iter().for_each(|entry| output.value(&Fields(&entry)));
            return;
        }
        let rows: Vec<_> = batch.iter().map(|entry| cells(&entry)).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row).take(HEAD.len() - 1) {
                let letters = visible::one_line(cell).chars().count();
                *width = letters.min(WIDEST).max(*width);
            }
        }
        if !self.begun && !rows.is_empty() {
            self.begun = true;
            output.columns(&mut self.widths, WIDEST, &HEAD.map(str::to_owned));
        }
        for row in &rows {
            output.columns(&mut self.widths, WIDEST, row);
        }
    }
}

fn cells(entry: &Entry<'_>) -> [String; HEAD.len()] {
    let audit = if entry.audit { " (audit)" } else { "" };
    let header_from: Vec<_> = entry.header_from.iter().collect();
    let sender = match entry.mail_from {
        _ if entry.reason.starts_with("header-from") && !header_from.is_empty() => {
            format!("From: {}", header_from.join(", "))
        }
        None => "-".to_owned(),
        Some("") => "<>".to_owned(),
        Some(sender) => sender.to_owned(),
    };
    let user = match entry.user {
        Some(user) if user == entry.login => user.to_owned(),
        Some(user) => format!("{user} ({})", entry.login),
        None if entry.login.is_empty() => "-".to_owned(),
        None => format!("? ({})", entry.login),
    };
    [
        format!("{:.0}", entry.at),
        format!("{}{audit}", entry.verdict),
        entry.reason.to_owned(),
        format!("{} {}", entry.front_end, entry.stage),
        entry.client.to_owned(),
        user,
        sender,
        entry.id.to_string(),
    ]
}
