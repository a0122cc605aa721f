//! Users for eyes.

use serde::Serialize;

use crate::cli::output::{Listed, Shown};
use crate::cli::word;
use crate::manage::view::{QuotaView, UserView};
use crate::model::password::Password;
use crate::model::user::Enforce;

/// A user whose password has just been generated: shown here and never again.
#[derive(Serialize)]
pub struct WithPassword<'a> {
    #[serde(flatten)]
    user: UserView,
    password: &'a str,
}

impl<'a> WithPassword<'a> {
    /// The two together.
    pub fn new(user: UserView, password: &'a Password) -> WithPassword<'a> {
        WithPassword {
            user,
            password: password.expose(),
        }
    }
}

impl Shown for WithPassword<'_> {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = self.user.fields();
        fields.push(("password", self.password.to_owned()));
        fields
    }
}

impl Shown for UserView {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("account", self.account.clone()),
            ("status", word::of(&self.status)),
        ];
        if !self.suspended_reason.is_empty() {
            fields.push(("suspended for", self.suspended_reason.clone()));
        }
        fields.extend([
            ("mode", word::of(&self.mode)),
            ("allow", or_dash(self.allow.join(", "))),
            (
                "ip",
                if self.ip.is_empty() {
                    "anywhere".to_owned()
                } else {
                    self.ip.join(", ")
                },
            ),
            ("logins", or_dash(self.logins.join(", "))),
            ("quotas", quotas(&self.quotas)),
            (
                "max recipients",
                self.max_recipients
                    .map_or_else(|| "no limit".to_owned(), |most| most.to_string()),
            ),
            ("check from", word::of(&self.check_from)),
            ("enforce", enforce(self)),
            ("note", or_dash(self.note.clone())),
            ("created", self.created_at.to_string()),
            ("updated", self.updated_at.to_string()),
            ("last used", last_used(self)),
        ]);
        fields
    }
}

impl Listed for UserView {
    const HEAD: &'static [&'static str] = &[
        "name",
        "account",
        "status",
        "mode",
        "allow",
        "ip",
        "enforce",
        "last used",
        "note",
    ];

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.account.clone(),
            word::of(&self.status),
            word::of(&self.mode),
            some(&self.allow, "-"),
            some(&self.ip, "anywhere"),
            enforce(self),
            last_used(self),
            beginning(&self.note),
        ]
    }
}

/// How many entries of a list fit into a cell.
const CELL: usize = 3;
/// How many characters of a text do.
const CHARACTERS: usize = 40;

fn beginning(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

fn some(items: &[String], none: &str) -> String {
    let shown = items
        .iter()
        .take(CELL)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match items.len() {
        0 => none.to_owned(),
        1..=CELL => shown,
        more => format!("{shown} and {} more", more - CELL),
    }
}

/// What is in force, and until when or since when.
fn enforce(user: &UserView) -> String {
    let word = word::of(&user.enforce);
    match (user.enforce, user.enforce_until) {
        (_, None) => word,
        (Enforce::Audit, Some(until)) => format!("{word} until {until}"),
        (Enforce::On, Some(until)) => format!("{word} (audit ended {until})"),
    }
}

fn last_used(user: &UserView) -> String {
    user.last_used_at
        .map_or_else(|| "never used".to_owned(), |time| time.to_string())
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// Limits and what is used of them.
pub fn quotas(quotas: &[QuotaView]) -> String {
    let one = |quota: &QuotaView| {
        let QuotaView {
            limit,
            window,
            unit,
            used,
            remaining,
            ..
        } = quota;
        let left = remaining.map_or_else(String::new, |left| format!(", {left} left"));
        format!("{limit}/{window} {unit} ({used} used{left})")
    };
    or_dash(quotas.iter().map(one).collect::<Vec<_>>().join(", "))
}
