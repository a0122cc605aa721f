//! Lines by the number, as a host with so many users writes them.

use jiff::Timestamp;
use outgate::model::decision_id::DecisionId;
use outgate::model::name::UserId;
use outgate::store::log::{Addresses, Batch, Entry, LogWriter};
use uuid::Uuid;

/// 2026-11-18.
pub const START: i64 = 1_795_000_000_000_000;

/// What a line is made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    pub number: i64,
    /// `None`: a login that nobody has.
    pub user: Option<usize>,
    pub verdict: &'static str,
    pub reason: &'static str,
    pub audit: bool,
}

impl Fact {
    pub fn allowed(number: i64, user: usize) -> Fact {
        Fact {
            number,
            user: Some(user),
            verdict: "allow",
            reason: "allowed",
            audit: false,
        }
    }

    pub fn refused(number: i64, user: usize, reason: &'static str) -> Fact {
        Fact {
            verdict: "refuse",
            reason,
            ..Fact::allowed(number, user)
        }
    }

    /// The account of its user: there are ten.
    pub fn account(&self) -> Option<String> {
        self.user.map(|user| format!("account{}", user % 10))
    }

    pub fn id(&self) -> DecisionId {
        let mut token = [0; 16];
        token[..8].copy_from_slice(&self.number.to_be_bytes());
        DecisionId {
            number: self.number,
            token,
        }
    }

    pub fn with<T>(&self, work: impl FnOnce(&Entry<'_>) -> T) -> T {
        let user = self.user.map(name);
        let account = self.account();
        let allowed = self.verdict == "allow";
        let sender = [format!("news@d{:03}.example", self.number % 20)];
        let reply = if allowed {
            ""
        } else {
            "550 5.7.1 [ACL] Blocked: user shop may not send as news@d007.example (envelope sender)"
        };
        work(&Entry {
            id: self.id(),
            at: Timestamp::from_microsecond(self.number).unwrap(),
            front_end: "milter",
            stage: if allowed { "eom" } else { "mail" },
            verdict: self.verdict,
            reason: self.reason,
            reply,
            user: user.as_deref(),
            user_id: self.user.map(user_id),
            account: account.as_deref(),
            login: user.as_deref().unwrap_or("stranger"),
            client: "192.0.2.7",
            mail_from: Some(&sender[0]),
            header_from: Addresses::Each(&sender),
            recipients: 1,
            queue_id: "4cGhT91X2yz3",
            audit: self.audit,
            micros: 420,
        })
    }
}

pub fn name(user: usize) -> String {
    format!("user{user:06}")
}

pub fn user_id(user: usize) -> UserId {
    UserId(Uuid::from_u128(0x018f << 112 | 7 << 76 | user as u128))
}

/// Numbers that look like chance, the same each time.
pub struct Chance(u64);

impl Chance {
    pub fn new() -> Chance {
        Chance(88_172_645_463_325_252)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    /// A line some time after the last one: mostly accepted, of one of so many users.
    pub fn fact(&mut self, last: i64, users: u64) -> Fact {
        let number = last + 1 + self.below(1000) as i64;
        let user = self.below(users) as usize;
        match self.below(1000) {
            0 => Fact {
                user: None,
                ..Fact::refused(number, 0, "unknown-user")
            },
            1..=30 => Fact::refused(number, user, "sender-not-allowed"),
            31..=50 => Fact {
                audit: true,
                ..Fact::refused(number, user, "plan")
            },
            51..=60 => Fact::refused(number, user, "ip-not-authorized"),
            _ => Fact::allowed(number, user),
        }
    }
}

/// Appends a thousand or so at a time.
pub fn append(log: &mut dyn LogWriter, facts: impl Iterator<Item = Fact>) {
    let mut batch = Batch::default();
    for fact in facts {
        fact.with(|entry| batch.push(entry));
        if batch.len() == 1000 {
            log.append(&batch).unwrap();
            batch.clear();
        }
    }
    log.append(&batch).unwrap();
}

pub fn numbers(batch: &Batch) -> Vec<i64> {
    batch.iter().map(|entry| entry.id.number).collect()
}
