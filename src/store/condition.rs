//! What a stored file is like, for those who look at it before they use it.

/// What a store is to this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// There is none, or none yet.
    Unborn,
    /// Of this version.
    Current,
    /// Written by an earlier outgate.
    Older {
        /// Its version.
        found: usize,
        /// This program's.
        known: usize,
    },
}

/// Whether what is stored is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Soundness {
    /// Every page.
    Whole,
    /// As far as there was time to look.
    WholeSoFar,
    /// These are the first faults.
    Damaged(Vec<String>),
}
