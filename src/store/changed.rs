//! What one transaction changed: gathered while it runs, kept with it when it is done.

use std::collections::HashSet;

use super::Change;

/// More changes than these in one transaction, or in one answer, are [`Change::Everything`].
pub const MAX_LISTED: usize = 1000;

/// The changes of one transaction, in order, without repetition.
#[derive(Default)]
pub struct Changed {
    listed: Vec<Change>,
    seen: HashSet<Change>,
    too_many: bool,
}

impl Changed {
    /// Takes note of one.
    pub fn note(&mut self, change: Change) {
        if self.too_many || self.seen.contains(&change) {
            return;
        }
        if change == Change::Everything || self.listed.len() >= MAX_LISTED {
            self.too_many = true;
            self.listed.clear();
            self.seen.clear();
            return;
        }
        self.seen.insert(change.clone());
        self.listed.push(change);
    }

    /// What is to be kept.
    pub fn into_list(self) -> Vec<Change> {
        if self.too_many {
            vec![Change::Everything]
        } else {
            self.listed
        }
    }
}

impl Change {
    /// Whether what counters hold may be another than what was charged.
    pub fn concerns_uses(&self) -> bool {
        match self {
            Change::Quota(_) | Change::Everything => true,
            Change::Login(_) | Change::Domain(_) | Change::Account(_) | Change::Reset { .. } => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Login;

    fn login(number: usize) -> Change {
        Change::Login(Login::parse(&format!("u{number}")).unwrap())
    }

    #[test]
    fn repetitions_are_dropped_and_floods_become_everything() {
        let mut changed = Changed::default();
        for number in [1, 2, 1, 3] {
            changed.note(login(number));
        }
        assert_eq!(changed.into_list(), [login(1), login(2), login(3)]);

        let mut changed = Changed::default();
        (0..MAX_LISTED).for_each(|number| changed.note(login(number)));
        changed.note(login(0));
        assert_eq!(changed.listed.len(), MAX_LISTED);
        changed.note(login(MAX_LISTED));
        changed.note(login(0));
        assert_eq!(changed.into_list(), [Change::Everything]);
    }
}
