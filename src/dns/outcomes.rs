//! What look-ups came to, counted by the closed list of outcomes. For `flight`.

use crate::metrics::Count;
use crate::model::dns::{Answer, Trouble};

/// How many look-ups ended how, since the resolver was made.
#[derive(Default)]
pub struct Outcomes {
    records: Count,
    no_data: Count,
    no_name: Count,
    serv_fail: Count,
    timed_out: Count,
    refused: Count,
    lame: Count,
    crowded: Count,
}

impl Outcomes {
    /// Counts one.
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

    /// All of them, by the name of the outcome.
    pub fn read(&self) -> [(&'static str, u64); 8] {
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
