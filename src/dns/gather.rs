//! Asks what a pure function wants to know, until it says something.
//!
//! For whoever judges what DNS says. Holds no rule and knows no name server.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::future::join_all;
use tokio::task::yield_now;

use super::{Resolver, memory};
use crate::model::dns::{Known, Query, Trouble, Unknown};

/// How many questions one decision may ask. SPF ends long before, by its own limits; this is for
/// what nobody has thought of.
const MOST_QUESTIONS: usize = 300;

/// What a judgement came to, and how long it counts.
#[derive(Clone, Debug)]
pub struct Gathered<T> {
    /// What was said.
    pub value: T,
    /// When the first of the answers ends that it rests on, troubles included. If nothing was
    /// asked: the longest that any answer counts.
    pub until: Instant,
}

impl Resolver {
    /// Calls `judge` with what is known, asks what it wants to know side by side, and calls it
    /// again, until it returns a value. What is not answered by `deadline` is known to be
    /// [`Trouble::TimedOut`], so that `judge` can say which name failed. After each call others
    /// have their turn: judging takes time too, and may go on for many calls that wait for nobody.
    ///
    /// # Panics
    ///
    /// If `judge` asks only for what it has been told already: it would go on for ever.
    pub async fn gather<T>(
        &self,
        deadline: Instant,
        mut judge: impl FnMut(&Known) -> Result<T, Unknown>,
    ) -> Gathered<T> {
        let mut known = Known::default();
        let mut until = self.clock.instant() + memory::LONGEST;
        loop {
            let Unknown(wanted) = match judge(&known) {
                Ok(value) => return Gathered { value, until },
                Err(unknown) => unknown,
            };
            let wanted: BTreeSet<Query> = wanted
                .into_iter()
                .filter(|query| known.get(query).is_err())
                .collect();
            assert!(
                !wanted.is_empty(),
                "a judgement of DNS asks again for what it knows"
            );
            yield_now().await;
            if self.clock.instant() >= deadline {
                known.close(Trouble::TimedOut);
                until = until.min(self.clock.instant() + memory::TROUBLE);
                continue;
            }
            let room = MOST_QUESTIONS.saturating_sub(known.len());
            let asked = wanted.iter().take(room);
            let answers = join_all(asked.map(|query| self.ask(query, deadline))).await;
            for (query, looked) in wanted.iter().zip(answers) {
                until = until.min(looked.until);
                known.insert(query.clone(), looked.answer);
            }
            if wanted.len() > room {
                known.close(Trouble::Crowded);
                until = until.min(self.clock.instant() + memory::TROUBLE);
            }
        }
    }
}
