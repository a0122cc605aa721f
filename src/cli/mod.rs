//! The command line: reads arguments, calls what `manage` and the engine offer, prints the result.
//!
//! One file a noun. Nothing here knows SQL or decides a rule; only `output` prints.

mod account;
mod backup;
mod check_config;
mod doctor;
mod domain;
pub mod explain;
mod export;
mod failure;
pub mod host;
mod import;
mod log;
mod new_file;
mod operator;
mod output;
mod own_files;
pub mod postfix;
mod progress;
mod quota;
mod status;
mod user;
mod visible;
mod when;
mod word;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use failure::{Exit, Failure};
use host::Host;
use output::Output;

/// Decides who may send through Postfix
#[derive(Parser)]
#[command(
    name = "outgate",
    version = crate::version(),
    about = "Decides who may send through Postfix: SMTP logins, sender domains, client addresses, quotas",
    after_help = "Exit status: 0 done, 1 refused (doctor: something found), 2 usage, 75 temporary (try again), 78 wrong configuration.\n\
                  Standard output is data, standard error is talk.",
    subcommand_required = true,
    propagate_version = false,
    disable_help_subcommand = true
)]
struct Cli {
    /// The configuration file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "OUTGATE_CONFIG",
        hide_env_values = true,
        default_value = "/etc/outgate/outgate.toml"
    )]
    config: PathBuf,
    /// Print JSON, for programs: one value on standard output, errors as objects on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon that Postfix asks, until it is told to end
    Serve,
    /// Check the configuration file and say what is wrong with it
    CheckConfig,
    /// Tenants: each owns domains and users (a host with one tenant needs only `default`)
    #[command(subcommand)]
    Account(account::Command),
    /// Sender domains
    #[command(subcommand)]
    Domain(domain::Command),
    /// SMTP users: the name and password that one application logs in with
    #[command(subcommand)]
    User(Box<user::Command>),
    /// What is used of the quotas of users and accounts
    #[command(subcommand)]
    Quota(quota::Command),
    /// Say what would be answered to a message, and why; what is not given is not judged
    Explain(explain::Options),
    /// Show what was decided: each login, each refusal or deferral, each accepted message
    Log(log::Options),
    /// Find what is wrong with this host: Postfix's wiring, sockets, store, DNS, clock; each with its fix
    Doctor(doctor::Options),
    /// What this host's Postfix needs
    #[command(subcommand)]
    Postfix(postfix::Command),
    /// Read accounts, domains and users from a file: all of it or nothing
    Import(import::Options),
    /// Write accounts, domains and users to a file that import outgate reads
    Export(export::Options),
    /// Make a consistent copy of the store, also while the daemon uses it
    Backup(backup::Options),
    /// Ask the running daemon how it is
    Status,
    /// Print a script that completes outgate's commands in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// All commands and their options, for what is made from them: completions, manual pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut output = Output::new(cli.json);
    let done = cli.command.run(&cli.config, &mut output);
    end(done, &mut output)
}

/// Hands over what was printed and says what went wrong.
fn end(done: Result<ExitCode, Failure>, output: &mut Output) -> ExitCode {
    let written = output.finish();
    let exit = match done {
        Ok(exit) => written.map(|()| exit),
        Err(failure) => Err(failure),
    };
    exit.unwrap_or_else(|failure| {
        output.fail(&failure);
        failure.exit.into()
    })
}

impl Command {
    fn run(self, file: &Path, output: &mut Output) -> Result<ExitCode, Failure> {
        let exit = match self {
            // It reads its configuration itself, and again at each reload.
            Command::Serve => return Ok(crate::daemon::serve(file)),
            Command::CheckConfig => check_config::run(file, output)?,
            Command::Completions { shell } => completions(shell, output),
            Command::Account(command) => command.run(&Host::load(file)?, output)?,
            Command::Domain(command) => command.run(&Host::load(file)?, output)?,
            Command::User(command) => command.run(&Host::load(file)?, output)?,
            Command::Quota(command) => command.run(&Host::load(file)?, output)?,
            Command::Explain(options) => options.run(&Host::load(file)?, output)?,
            Command::Log(options) => options.run(&Host::load(file)?, output)?,
            Command::Doctor(options) => options.run(file, output)?,
            Command::Postfix(command) => command.run(file, output)?,
            Command::Import(options) => options.run(&Host::load(file)?, output)?,
            Command::Export(options) => options.run(&Host::load(file)?, output)?,
            Command::Backup(options) => options.run(&Host::load(file)?, output)?,
            Command::Status => status::run(&Host::load(file)?, output)?,
        };
        Ok(exit.into())
    }
}

fn completions(shell: clap_complete::Shell, output: &mut Output) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "outgate", &mut script);
    output.text("script", &String::from_utf8_lossy(&script));
    Exit::Done
}

/// Says what is wrong with the command line, or gives the help that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // Help is for people, whatever else is asked for.
        let mut output = Output::new(false);
        output.text("help", &text);
        return end(Ok(ExitCode::SUCCESS), &mut output);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (problem, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let problem = problem.split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = rest
        .split("\n\n")
        .find_map(|part| part.trim().strip_prefix("tip: "))
        .unwrap_or("see outgate --help, or outgate COMMAND --help");
    let mut output = Output::new(std::env::args_os().any(|arg| arg == "--json"));
    end(Err(Failure::new(Exit::Usage, problem, tip)), &mut output)
}
