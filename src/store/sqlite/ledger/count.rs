//! What one counter holds, and in which window. Plain arithmetic.

use std::cmp::Ordering;

/// A use, and the window that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// When the window began, in seconds since 1970.
    pub starts: i64,
    /// What was used in it; at most `i64::MAX`, as SQL's integers are signed.
    pub used: u64,
}

impl Count {
    /// Nothing yet, in a window before all others.
    pub const NOTHING: Count = Count {
        starts: i64::MIN,
        used: 0,
    };

    /// Both together. Of two windows the later one counts, and the other is worth nothing.
    pub fn and(self, other: Count) -> Count {
        match self.starts.cmp(&other.starts) {
            Ordering::Less => other,
            Ordering::Greater => self,
            Ordering::Equal => Count {
                starts: self.starts,
                used: self.used.saturating_add(other.used).min(i64::MAX as u64),
            },
        }
    }

    /// As it is in the window that began then, or in its own if that is later.
    pub fn at(self, starts: i64) -> Count {
        self.and(Count { starts, used: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_window_counts() {
        let count = |starts, used| Count { starts, used };
        assert_eq!(count(1, 2).and(count(1, 3)), count(1, 5));
        assert_eq!(count(1, 2).and(count(2, 3)), count(2, 3));
        assert_eq!(count(2, 3).and(count(1, 2)), count(2, 3));
        assert_eq!(count(1, 2).at(1), count(1, 2));
        assert_eq!(count(1, 2).at(0), count(1, 2));
        assert_eq!(count(1, 2).at(2), count(2, 0));
        assert_eq!(Count::NOTHING.at(5), count(5, 0));
        let full = count(1, i64::MAX as u64);
        assert_eq!(full.and(count(1, u64::MAX)), full);
    }
}
