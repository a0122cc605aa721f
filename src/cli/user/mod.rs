//! `user`: SMTP users.

mod options;
mod password;
pub mod shown;
mod test;
mod unlock;

use clap::Subcommand;

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::Output;
use crate::config::value::Duration;
use crate::manage::edit::Amendment;
use crate::manage::view::{RemovedView, UserView};
use crate::manage::{quota, user};
use crate::model::user::UserRecord;
use crate::store::{ManageError, Store};
use options::Options;
use password::NewPassword;
use shown::WithPassword;

/// `outgate user …`
#[derive(Subcommand)]
pub enum Command {
    /// Add a user; without --password-stdin a password is generated and printed once
    Add {
        /// The user: a-z 0-9 . _ - beginning with a letter or digit
        name: String,
        #[command(flatten)]
        options: Options,
    },
    /// Change a user; a list option replaces the whole list
    Set {
        /// The user
        name: String,
        #[command(flatten)]
        options: Options,
        /// A new name; the old one stays as an extra login
        #[arg(long, value_name = "NEW")]
        rename: Option<String>,
        /// Add a grant to the list (repeatable)
        #[arg(long, value_name = "GRANT", allow_hyphen_values = true)]
        add_allow: Vec<String>,
        /// Take a grant off the list (repeatable)
        #[arg(long, value_name = "GRANT", allow_hyphen_values = true)]
        drop_allow: Vec<String>,
        /// Add an address or network to the list (repeatable)
        #[arg(long, value_name = "NETWORK", allow_hyphen_values = true)]
        add_ip: Vec<String>,
        /// Take an address or network off the list (repeatable)
        #[arg(long, value_name = "NETWORK", allow_hyphen_values = true)]
        drop_ip: Vec<String>,
    },
    /// Give a user a new password; without --password-stdin one is generated and printed once
    Passwd {
        /// The user
        name: String,
        /// Read the password from standard input (one line)
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the users
    List {
        /// Only of this account
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Only those that have not been used for so long: 90d, 12h
        #[arg(long, value_name = "TIME")]
        unused_for: Option<Duration>,
    },
    /// Show a user
    Show {
        /// The user
        name: String,
    },
    /// Let a user neither log in nor send, also in open sessions
    Suspend {
        /// The user
        name: String,
        /// Why, for other operators
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        reason: Option<String>,
    },
    /// Let a suspended user send again
    Resume {
        /// The user
        name: String,
    },
    /// Remove a user; its name is free again
    Remove {
        /// The user
        name: String,
    },
    /// Say whether a login would work, and if not, why; without any effect
    Test(test::Options),
    /// Forget the wrong passwords that were counted against a user
    Unlock {
        /// The user
        name: String,
    },
}

impl Command {
    /// Does it.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        match self {
            Command::Add { name, options } => add(&name, options, host, output),
            Command::Set {
                name,
                options,
                rename,
                add_allow,
                drop_allow,
                add_ip,
                drop_ip,
            } => {
                let with_password = options.password_stdin;
                let amendment = Amendment {
                    settings: options.settings(host)?,
                    rename,
                    add_allow,
                    drop_allow,
                    add_ip,
                    drop_ip,
                };
                set(&name, &amendment, with_password, host, output)
            }
            Command::Passwd {
                name,
                password_stdin,
            } => passwd(&name, password_stdin, host, output),
            Command::List {
                account,
                unused_for,
            } => list(account.as_deref(), unused_for, host, output),
            Command::Show { name } => {
                let store = host.store()?;
                let done = user::show(store.as_ref(), &name)?;
                let user = view(&done.record, store.as_ref(), host)?;
                output.warn(&done.warnings);
                output.warn(&quota::warnings(&user.quotas));
                output.show(&user);
                Ok(Exit::Done)
            }
            Command::Suspend { name, reason } => {
                let store = host.store()?;
                let now = host.clock.now();
                let record = user::suspend(store.as_ref(), &name, reason.as_deref(), now)?;
                host.changed(output, &view(&record, store.as_ref(), host)?)
            }
            Command::Resume { name } => {
                let store = host.store()?;
                let record = user::resume(store.as_ref(), &name, host.clock.now())?;
                host.changed(output, &view(&record, store.as_ref(), host)?)
            }
            Command::Remove { name } => {
                let gone = user::remove(host.store()?.as_ref(), &name)?;
                host.changed(output, &RemovedView::new(&gone.user.name))
            }
            Command::Test(options) => options.run(host, output),
            Command::Unlock { name } => unlock::run(&name, host, output),
        }
    }
}

fn add(name: &str, options: Options, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
    let store = host.store()?;
    let password = NewPassword::get(options.password_stdin, host)?;
    let settings = options.settings(host)?;
    let now = host.clock.now();
    let done = user::add(store.as_ref(), name, &settings, &password.hash, now)?;
    output.warn(&done.warnings);
    changed_password(&done.record, &password, store.as_ref(), host, output)
}

fn set(
    name: &str,
    amendment: &Amendment,
    with_password: bool,
    host: &Host,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let store = host.store()?;
    let password = if with_password {
        Some(NewPassword::get(true, host)?)
    } else {
        None
    };
    let now = host.clock.now();
    let mut done = user::set(store.as_ref(), name, amendment, now)?;
    if let Some(password) = password {
        let name = done.record.user.name.as_str();
        done.record = user::passwd(store.as_ref(), name, &password.hash, now)?;
    }
    let user = view(&done.record, store.as_ref(), host)?;
    output.warn(&done.warnings);
    output.warn(&quota::warnings(&user.quotas));
    host.changed(output, &user)
}

fn passwd(
    name: &str,
    password_stdin: bool,
    host: &Host,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let store = host.store()?;
    let password = NewPassword::get(password_stdin, host)?;
    let record = user::passwd(store.as_ref(), name, &password.hash, host.clock.now())?;
    changed_password(&record, &password, store.as_ref(), host, output)
}

/// Shows a user, with its password if nobody has seen it yet.
fn changed_password(
    record: &UserRecord,
    password: &NewPassword,
    store: &dyn Store,
    host: &Host,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let user = view(record, store, host)?;
    match &password.generated {
        None => host.changed(output, &user),
        Some(password) => {
            if !output.is_json() {
                output.say(
                    "note",
                    "the password is shown this once; nobody can read it again",
                );
            }
            host.changed(output, &WithPassword::new(user, password))
        }
    }
}

/// One after the other: a million users need no more memory than one.
fn list(
    account: Option<&str>,
    unused_for: Option<Duration>,
    host: &Host,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let store = host.store()?;
    let unused_since = match unused_for {
        None => None,
        Some(Duration(length)) => Some(host.clock.now().checked_sub(length).map_err(|_| {
            Failure::refused(
                "--unused-for is longer ago than time goes",
                "write e.g. 90d",
            )
        })?),
    };
    let mut list = output.list();
    let mut left = false;
    let shown = user::list(
        store.as_ref(),
        account,
        unused_since,
        &mut |record, uses| {
            let user = UserView::new(&record, &uses, host.clock.now(), host.time_zone());
            left = !list.push(&user);
            if left {
                // Nobody reads any more: this ends the search, and is no failure.
                return Err(ManageError::refused("", ""));
            }
            Ok(())
        },
    );
    if !left {
        shown?;
        list.end(match unused_for {
            None => "there is no such user; add one: outgate user add NAME",
            Some(_) => "no user was unused for that long",
        });
    }
    Ok(Exit::Done)
}

fn view(record: &UserRecord, store: &dyn Store, host: &Host) -> Result<UserView, Failure> {
    let uses = quota::uses_of_user(store, &record.user)?;
    let now = host.clock.now();
    Ok(UserView::new(record, &uses, now, host.time_zone()))
}
