//! What questions to DNS came to, counted: for `flight`. A resolver that takes the place of another one
//! goes on with its figures.

use crate::metrics::{Count, Hits};
use crate::model::dns::{Answer, Trouble};

/// How many look-ups ended how, and how many were not needed.
#[derive(Default)]
pub struct Figures {
    /// How often memory had the answer.
    pub hits: Hits,
    records: Count,
    no_data: Count,
    no_name: Count,
    serv_fail: Count,
    timed_out: Count,
    refused: Count,
    lame: Count,
    crowded: Count,
}

impl Figures {
    /// Counts a look-up.
    pub fn note(&self, answer: &Answer) {
        let count = match answer {
            Answer::Records(_) => &self.records,
            Answer::NoData => &self.no_data,
            Answer::NoName => &self.no_name,
            Answer::Trouble(Trouble::ServFail) => &self.serv_fail,
            Answer::Trouble(Trouble::TimedOut) => &self.timed_out,
            Answer::Trouble(Trouble::Refused) => &self.refused,
            Answer::Trouble(Trouble::Lame) => &self.lame,
            Answer::Trouble(Trouble::Crowded) => &self.crowded,
        };
        count.up();
    }

    /// Those to which a name server gave an answer.
    pub fn answered(&self) -> u64 {
        self.records.get() + self.no_data.get() + self.no_name.get()
    }

    /// Those that ended in trouble.
    pub fn failed(&self) -> u64 {
        let troubles = [
            &self.serv_fail,
            &self.timed_out,
            &self.refused,
            &self.lame,
            &self.crowded,
        ];
        troubles.into_iter().map(Count::get).sum()
    }

    /// All look-ups, by the name of the outcome.
    pub fn outcomes(&self) -> [(&'static str, u64); 8] {
        [
            ("records", self.records.get()),
            ("no-data", self.no_data.get()),
            ("no-name", self.no_name.get()),
            ("servfail", self.serv_fail.get()),
            ("timed-out", self.timed_out.get()),
            ("refused", self.refused.get()),
            ("lame", self.lame.get()),
            ("crowded", self.crowded.get()),
        ]
    }
}
