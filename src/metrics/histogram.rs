//! How large the values of something are: counted in classes.

use std::time::Duration;

use super::Count;

/// The upper bounds of classes for lengths of time, in nanoseconds: 50 µs to 10 s.
pub const DURATIONS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Counts values by their size.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is beyond the last.
    classes: Box<[Count]>,
    sum: Count,
}

/// What a [`Histogram`] has counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    /// Upper bounds, and how many values are not above them but above the one before.
    pub classes: Vec<(u64, u64)>,
    /// How many values are above the last bound.
    pub beyond: u64,
    /// All values together.
    pub sum: u64,
}

impl Histogram {
    /// Nothing counted yet. The bounds ascend.
    pub fn new(bounds: &'static [u64]) -> Histogram {
        Histogram {
            bounds,
            classes: (0..=bounds.len()).map(|_| Count::default()).collect(),
            sum: Count::default(),
        }
    }

    /// Counts a value.
    pub fn add(&self, value: u64) {
        let class = self.bounds.iter().position(|&bound| value <= bound);
        if let Some(class) = self.classes.get(class.unwrap_or(self.bounds.len())) {
            class.up();
            self.sum.add(value);
        }
    }

    /// Counts a length of time, in nanoseconds.
    pub fn time(&self, spent: Duration) {
        self.add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What was counted until now. A value that comes meanwhile may be in a part of it only.
    pub fn read(&self) -> Distribution {
        let counts = self.classes.iter().map(Count::get);
        Distribution {
            classes: self.bounds.iter().copied().zip(counts).collect(),
            beyond: self.classes.last().map_or(0, Count::get),
            sum: self.sum.get(),
        }
    }
}

impl Distribution {
    /// How many values.
    pub fn count(&self) -> u64 {
        let classes = self.classes.iter().map(|(_, count)| count);
        classes.sum::<u64>() + self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_class() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, 1000] {
            histogram.add(value);
        }
        let read = histogram.read();
        assert_eq!(read.classes, [(1, 2), (10, 2)]);
        assert_eq!((read.beyond, read.sum, read.count()), (2, 1024, 6));
    }

    #[test]
    fn bounds_ascend() {
        assert!(DURATIONS.is_sorted_by(|a, b| a < b));
    }
}
