//! `explain`: what would be answered to a message, and why, by the very code that the daemon runs.

mod answer;
mod case;
mod expert;
mod fix;
mod line;
mod past;
mod quoted;

use std::ffi::OsString;
use std::io::{self, BufRead, Read};

use clap::Args;

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::Output;
use line::Found;

pub use answer::Answer;
pub use case::{Case, client};
pub use expert::Expert;
pub use fix::{Situation, fix};

/// `outgate explain …`
#[derive(Args)]
pub struct Options {
    /// The id of a decision, as in the log or behind the link of a reply; or '-': read log lines from
    /// standard input, of outgate or of Postfix, or a reply that was passed on. What is not said there may be
    /// given with the options below
    #[arg(value_name = "ID|-", required_unless_present = "user")]
    what: Option<String>,
    /// The login, as the client gives it
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
    /// The client's address
    #[arg(long, value_name = "ADDR")]
    ip: Option<String>,
    /// The envelope sender; '' or '<>' is the null sender
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    mail_from: Option<OsString>,
    /// The value of a header From field; given again: another such field
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    header_from: Vec<OsString>,
    /// How many recipients the message has
    #[arg(long, value_name = "N")]
    recipients: Option<u32>,
}

/// A longer line is cut: no decision's is.
const MAX_LINE: u64 = 64 << 10;

impl Options {
    /// Asks the engine and prints what it says.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        let expert = Expert::new(host)?;
        match self.what.as_deref() {
            Some("-") => self.explain_lines(&expert, &mut io::stdin().lock(), output),
            Some(id) => past::explain(id, &self, host, &expert, output),
            None => Ok(expert.answer(&self.case()?)?.print(output)),
        }
    }

    /// The message that the options describe.
    pub fn case(&self) -> Result<Case, Failure> {
        let case = Case::new(self, Found::default())?;
        // The arguments' own rules see to that.
        case.ok_or_else(|| Failure::refused("it is not said who logs in", "give --user LOGIN"))
    }

    /// Explains what it can; refused if one of the messages would be.
    fn explain_lines(
        &self,
        expert: &Expert,
        input: &mut impl BufRead,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let mut exit = Exit::Done;
        let (mut number, mut explained) = (0_u64, 0_u64);
        // How many there are, and which one is the first.
        let mut nameless = (0_u64, 0_u64);
        while let Some(line) = next_line(input)? {
            number += 1;
            let Some(found) = line::read(&line) else {
                continue;
            };
            let Some(case) = Case::new(self, found)? else {
                nameless = match nameless {
                    (0, _) => (1, number),
                    (count, first) => (count + 1, first),
                };
                continue;
            };
            explained += 1;
            if let Exit::Refused = expert.answer(&case)?.print_line(number, &line, output) {
                exit = Exit::Refused;
            }
            if !output.flush() {
                break;
            }
        }
        if let (count @ 1.., first) = nameless {
            let words = format!(
                "{count} lines do not say who logged in, the first is line {first}: give --user"
            );
            output.say("note", &words);
        }
        if explained == 0 {
            return Err(Failure::refused(
                format!("none of {number} lines on standard input could be explained"),
                "give a line of outgate's log, a reject line of Postfix's, or a reply of outgate; or: outgate explain --user LOGIN …",
            ));
        }
        Ok(exit)
    }
}

/// The next line, as text whatever its bytes are.
fn next_line(input: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let read =
        |error: io::Error| Failure::temporary(format!("cannot read standard input: {error}"), "");
    input
        .by_ref()
        .take(MAX_LINE)
        .read_until(b'\n', &mut line)
        .map_err(read)?;
    if line.is_empty() {
        return Ok(None);
    }
    if !line.ends_with(b"\n") {
        input.skip_until(b'\n').map_err(read)?;
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}
