//! What counting is made of: counts and histograms that cost one or two atomic additions, whoever
//! counts at the same time. No lock, no allocation, no name.
//!
//! For everybody who has something to count. What a figure is called and how it is shown is known
//! where it is read (`admin`).

mod count;
mod histogram;

pub use self::count::{Count, Hits};
pub use self::histogram::{DURATIONS, Distribution, Histogram};
