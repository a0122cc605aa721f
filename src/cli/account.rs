//! `account`: tenants.

use clap::{Args, Subcommand};

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::{Listed, Output, Shown};
use super::user::shown::quotas;
use super::word::{self, Plan};
use crate::manage::account::{self, AccountState};
use crate::manage::quota::warnings;
use crate::manage::view::{AccountView, RemovedView};

/// `outgate account …`
#[derive(Subcommand)]
pub enum Command {
    /// Add an account
    Add(Options),
    /// Change an account
    Set(Options),
    /// List the accounts
    List,
    /// Show an account
    Show {
        /// The account
        name: String,
    },
    /// Remove an account that owns nothing any more
    Remove {
        /// The account
        name: String,
    },
}

/// What describes an account. What is not given stays as it is.
#[derive(Args)]
pub struct Options {
    /// The account: a-z 0-9 . _ - beginning with a letter or digit
    name: String,
    /// What it may use (a new account: pro)
    #[arg(long, value_enum)]
    plan: Option<Plan>,
    /// A limit shared by all its users: 10000/day, "5000/month recipients" (repeatable, replaces the list; --quota= for none)
    #[arg(long, value_name = "QUOTA", allow_hyphen_values = true)]
    quota: Option<Vec<String>>,
}

impl Command {
    /// Does it.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        let store = host.store()?;
        let store = store.as_ref();
        let view =
            |state: &AccountState| AccountView::new(state, host.clock.now(), host.time_zone());
        match self {
            Command::Add(options) => {
                let Options { name, plan, quota } = options;
                let quota = quota.unwrap_or_default();
                let plan = plan.map(word::Plan::into);
                let state = account::add(store, &name, plan, &quota, host.clock.now())?;
                host.changed(output, &view(&state))
            }
            Command::Set(options) => {
                let Options { name, plan, quota } = options;
                let plan = plan.map(word::Plan::into);
                let account = view(&account::set(store, &name, plan, quota.as_deref())?);
                output.warn(&warnings(&account.quotas));
                host.changed(output, &account)
            }
            Command::List => {
                let mut list = output.list();
                for state in account::list(store)? {
                    list.push(&view(&state));
                }
                list.end("there is no account");
                Ok(Exit::Done)
            }
            Command::Show { name } => {
                let account = view(&account::show(store, &name)?);
                output.warn(&warnings(&account.quotas));
                output.show(&account);
                Ok(Exit::Done)
            }
            Command::Remove { name } => {
                let gone = account::remove(store, &name)?;
                host.changed(output, &RemovedView::new(&gone.name))
            }
        }
    }
}

impl Shown for AccountView {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.clone()),
            ("plan", word::of(&self.plan)),
            ("quotas", quotas(&self.quotas)),
            ("users", self.users.to_string()),
            ("domains", self.domains.to_string()),
            ("created", self.created_at.to_string()),
        ]
    }
}

impl Listed for AccountView {
    const HEAD: &'static [&'static str] = &["name", "plan", "users", "domains", "quotas"];

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            word::of(&self.plan),
            self.users.to_string(),
            self.domains.to_string(),
            quotas(&self.quotas),
        ]
    }
}

impl Shown for RemovedView {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("name", self.name.clone()), ("removed", "yes".to_owned())]
    }
}
