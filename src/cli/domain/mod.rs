//! `domain`: sender domains.

mod check;
mod verify;

use clap::Subcommand;

use crate::cli::failure::{Exit, Failure};
use crate::cli::host::Host;
use crate::cli::output::{Listed, Output, Shown};
use crate::cli::word;
use crate::manage::domain::{self, Terms};
use crate::manage::view::{ChallengeView, DomainRemovedView, DomainStatus, DomainView};

/// `outgate domain …`
#[derive(Subcommand)]
pub enum Command {
    /// Add a domain to an account
    Add {
        /// The domain
        domain: String,
        /// The account that it is added to (else: default)
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Vouch for it: verified at once, without a record in DNS
        #[arg(long)]
        trusted: bool,
        /// It covers the names below it too
        #[arg(long)]
        with_subdomains: bool,
    },
    /// List the domains
    List {
        /// Only of this account
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Look for the domain's challenge record in DNS, and verify the domain if it is there
    Verify {
        /// The domain
        domain: String,
        /// Needed only if it is pending on several accounts
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Show what the world sees of a domain: SPF, DMARC, MX, lockdown, and what is to be published
    Check {
        /// The domain; it need not have been added
        domain: String,
        /// Needed only if it is pending on several accounts
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Show a domain
    Show {
        /// The domain
        domain: String,
        /// Needed only if it is pending on several accounts
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Remove a domain, and the grants that stand on it
    Remove {
        /// The domain
        domain: String,
        /// Needed only if it is pending on several accounts
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
}

impl Command {
    /// Does it.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        let store = host.store()?;
        let store = store.as_ref();
        let now = host.clock.now();
        match self {
            Command::Add {
                domain,
                account,
                trusted,
                with_subdomains,
            } => {
                let terms = Terms {
                    trusted,
                    with_subdomains,
                };
                let done = domain::add(store, &domain, account.as_deref(), terms, now)?;
                output.warn(&done.warnings);
                host.changed(output, &DomainView::from(&done.record))
            }
            Command::List { account } => {
                let mut list = output.list();
                for record in domain::list(store, account.as_deref())? {
                    list.push(&DomainView::from(&record));
                }
                list.end("there is no domain; add one: outgate domain add DOMAIN");
                Ok(Exit::Done)
            }
            Command::Verify { domain, account } => {
                verify::run(host, output, &domain, account.as_deref())
            }
            Command::Check { domain, account } => {
                check::run(host, output, &domain, account.as_deref())
            }
            Command::Show { domain, account } => {
                let record = domain::show(store, &domain, account.as_deref())?;
                output.show(&DomainView::from(&record));
                Ok(Exit::Done)
            }
            Command::Remove { domain, account } => {
                let removed = domain::remove(store, &domain, account.as_deref(), now)?;
                host.changed(output, &DomainRemovedView::from(&removed))
            }
        }
    }
}

/// The name, and beside it how people write it.
fn with_unicode(view: &DomainView) -> String {
    match &view.unicode {
        Some(unicode) => format!("{} ({unicode})", view.domain),
        None => view.domain.clone(),
    }
}

/// How a record that is not there reads.
fn verified_by(view: &DomainView) -> String {
    view.verified_by
        .as_ref()
        .map_or_else(|| "-".to_owned(), word::of)
}

impl Shown for DomainView {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("domain", with_unicode(self)),
            ("account", self.account.clone()),
            ("status", word::of(&self.status)),
            ("verified by", verified_by(self)),
            ("with subdomains", word::yes_or_no(self.with_subdomains)),
            ("added", self.added_at.to_string()),
        ];
        match self.status {
            DomainStatus::Verified => {}
            DomainStatus::Pending => {
                let ChallengeView { name, kind, value } = &self.challenge;
                fields.push(("publish", format!("{name}. {kind} \"{value}\"")));
            }
        }
        fields
    }
}

impl Listed for DomainView {
    const HEAD: &'static [&'static str] = &[
        "domain",
        "account",
        "status",
        "verified by",
        "with subdomains",
    ];

    fn row(&self) -> Vec<String> {
        vec![
            with_unicode(self),
            self.account.clone(),
            word::of(&self.status),
            verified_by(self),
            word::yes_or_no(self.with_subdomains),
        ]
    }
}

impl Shown for DomainRemovedView {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("domain", self.domain.clone()),
            ("removed", word::yes_or_no(self.removed)),
            ("grants deleted", self.grants_deleted.to_string()),
        ]
    }
}
