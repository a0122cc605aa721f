//! What was decided and answered, counted: for the engine, in which every answer passes by.
//!
//! Counting is all that happens here. The cells are there from the start, one for each combination of
//! closed lists, so that nothing that a client sends can make them more.

use std::time::Duration;

use crate::decision::facts::{Allowance, Stage};
use crate::decision::reason::{Reason, Verdict};
use crate::journal::FrontEnd;
use crate::metrics::{Count, DURATIONS, Distribution, Histogram};

/// A quota is near its limit when so many percent of it are used.
pub const NEAR: u64 = 90;

/// All of them, in the order of their declaration.
const FRONT_ENDS: [FrontEnd; 3] = [FrontEnd::Auth, FrontEnd::Policy, FrontEnd::Milter];

/// What decisions are told apart by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decided {
    /// Where it was asked.
    pub front_end: FrontEnd,
    /// At what point of SMTP.
    pub stage: Stage,
    /// What was answered; in audit mode what would have been.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Recorded, not carried out.
    pub audit: bool,
}

/// The figures of all answers.
pub struct Answers {
    /// By audit mode, front end, stage, verdict and reason.
    decided: Box<[Count]>,
    /// By front end: from question to answer.
    spent: [Histogram; FRONT_ENDS.len()],
    near_limit: Count,
}

impl Default for Answers {
    fn default() -> Answers {
        let cells =
            2 * FRONT_ENDS.len() * Stage::ALL.len() * Verdict::ALL.len() * Reason::ALL.len();
        Answers {
            decided: (0..cells).map(|_| Count::default()).collect(),
            spent: std::array::from_fn(|_| Histogram::new(DURATIONS)),
            near_limit: Count::default(),
        }
    }
}

impl Answers {
    /// Counts a decision: once for each line in the decision log.
    pub fn decided(&self, decided: Decided) {
        if let Some(cell) = self.decided.get(decided.cell()) {
            cell.up();
        }
    }

    /// Counts an answer, and how long the question waited for it.
    pub fn answered(&self, front_end: FrontEnd, spent: Duration) {
        if let Some(histogram) = self.spent.get(front_end as usize) {
            histogram.time(spent);
        }
    }

    /// Takes note of an accepted message that was charged to these quotas.
    pub fn charged(&self, allowances: &[Allowance], recipients: u32) {
        let near = |allowance: &Allowance| {
            let used = allowance.used.saturating_add(allowance.needed(recipients));
            allowance.limit > 0
                && u128::from(used) * 100 >= u128::from(allowance.limit) * u128::from(NEAR)
        };
        if allowances.iter().any(near) {
            self.near_limit.up();
        }
    }

    /// How many decisions there were of each kind. Kinds that can come are listed also while none has:
    /// who watches a figure grow has to see it at 0.
    pub fn decisions(&self) -> impl Iterator<Item = (Decided, u64)> {
        every_kind().filter_map(|decided| {
            let count = self.decided.get(decided.cell()).map_or(0, Count::get);
            (count > 0 || decided.can_come()).then_some((decided, count))
        })
    }

    /// How long answers took.
    pub fn spent(&self) -> impl Iterator<Item = (FrontEnd, Distribution)> {
        let spent = self.spent.iter().map(Histogram::read);
        FRONT_ENDS.into_iter().zip(spent)
    }

    /// Accepted messages after which a quota of their user or account was nearly used up.
    pub fn near_limit(&self) -> u64 {
        self.near_limit.get()
    }
}

fn every_kind() -> impl Iterator<Item = Decided> {
    let audits = [false, true].into_iter();
    let asked = audits.flat_map(|audit| FRONT_ENDS.map(|front_end| (audit, front_end)));
    let at = asked.flat_map(|asked| Stage::ALL.map(|stage| (asked, stage)));
    let so = at.flat_map(|at| Verdict::ALL.map(|verdict| (at, verdict)));
    so.flat_map(|(((audit, front_end), stage), verdict)| {
        Reason::ALL.map(|reason| Decided {
            front_end,
            stage,
            verdict,
            reason,
            audit,
        })
    })
}

impl Decided {
    fn cell(self) -> usize {
        let mut cell = usize::from(self.audit);
        cell = cell * FRONT_ENDS.len() + self.front_end as usize;
        cell = cell * Stage::ALL.len() + self.stage as usize;
        cell = cell * Verdict::ALL.len() + self.verdict as usize;
        cell * Reason::ALL.len() + self.reason as usize
    }

    /// Whether there is such a decision. It decides what is shown at 0, and nothing else.
    fn can_come(self) -> bool {
        let so = self.verdict == self.reason.verdict()
            || (self.reason == Reason::QuotaExceeded && self.verdict == Verdict::Refuse);
        let at = match self.front_end {
            FrontEnd::Auth => self.stage == Stage::Auth,
            FrontEnd::Policy => !matches!(self.stage, Stage::Auth | Stage::Eom),
            FrontEnd::Milter => self.stage != Stage::Auth,
        };
        so && at && self.reason_can_come()
    }

    fn reason_can_come(self) -> bool {
        let milter = self.front_end == FrontEnd::Milter;
        match self.reason {
            // The last word on a login or a message.
            Reason::Allowed => match self.front_end {
                FrontEnd::Auth => true,
                FrontEnd::Policy => self.stage == Stage::Data,
                FrontEnd::Milter => self.stage == Stage::Eom,
            },
            Reason::BadPassword
            | Reason::NoSuchUser
            | Reason::Mechanism
            | Reason::TlsRequired
            | Reason::Throttled => self.stage == Stage::Auth,
            Reason::Suspended
            | Reason::IpNotAuthorized
            | Reason::StoreUnavailable
            | Reason::InternalError => true,
            Reason::Unauthenticated => milter && self.stage == Stage::Mail,
            Reason::HeaderFromNotAllowed
            | Reason::HeaderFromMissing
            | Reason::HeaderFromMalformed => self.stage == Stage::Eom,
            Reason::UnknownUser
            | Reason::SenderNotAllowed
            | Reason::SenderMalformed
            | Reason::Plan
            | Reason::OwnedByAnotherAccount
            | Reason::LockedDown
            | Reason::SpfMissing
            | Reason::SpfInvalid
            | Reason::SpfNotIncludingRelay
            | Reason::SpfNotPassing
            | Reason::DmarcMissing
            | Reason::DnsUnavailable
            | Reason::QuotaExceeded
            | Reason::TooManyRecipients => self.stage != Stage::Auth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_cell_of_its_own() {
        let answers = Answers::default();
        let mut cells: Vec<usize> = every_kind().map(Decided::cell).collect();
        cells.sort_unstable();
        let all: Vec<usize> = (0..answers.decided.len()).collect();
        assert_eq!(cells, all);
    }

    #[test]
    fn what_can_come_is_shown_at_nothing_and_what_came_all_the_same() {
        let answers = Answers::default();
        let shown: Vec<_> = answers.decisions().collect();
        assert!(shown.iter().all(|(_, count)| *count == 0));
        assert!((200..400).contains(&shown.len()), "{}", shown.len());
        let odd = Decided {
            front_end: FrontEnd::Auth,
            stage: Stage::Eom,
            verdict: Verdict::Allow,
            reason: Reason::Plan,
            audit: true,
        };
        answers.decided(odd);
        assert_eq!(answers.decisions().count(), shown.len() + 1);
        assert!(answers.decisions().any(|shown| shown == (odd, 1)));
    }

    /// Where all threads count the same: the worst case.
    #[test]
    #[ignore = "a measurement: cargo test --release --lib counting_costs -- --ignored --nocapture"]
    fn what_counting_costs() {
        const TIMES: u32 = 2_000_000;
        let decided = Decided {
            front_end: FrontEnd::Policy,
            stage: Stage::Data,
            verdict: Verdict::Allow,
            reason: Reason::Allowed,
            audit: false,
        };
        let clock = crate::clock::Clock::system();
        for threads in [1, 2, 4] {
            let answers = Answers::default();
            let began = clock.instant();
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for _ in 0..TIMES {
                            answers.decided(std::hint::black_box(decided));
                            answers.answered(FrontEnd::Policy, Duration::from_micros(180));
                        }
                    });
                }
            });
            let each = (clock.instant() - began) / TIMES;
            println!("{threads} threads: {each:?} for each decision");
            assert!(each < Duration::from_micros(5), "{each:?}");
        }
    }
}
