//! When the windows of quotas begin and end, by the calendar of the site.
//!
//! All quotas of all users are in the same few windows at a time, so these are made out once a
//! minute and not once a question.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::quota::Window;

/// The windows of a time zone.
pub struct Calendar {
    zone: TimeZone,
    page: ArcSwap<Page>,
}

/// One window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// When it began.
    pub starts: Timestamp,
    /// When it ends; `None`: never by itself.
    pub resets_at: Option<Timestamp>,
}

/// The windows of one minute: nothing begins or ends inside it.
struct Page {
    minute: Span,
    spans: [Span; Window::ALL.len()],
}

impl Calendar {
    /// By the clocks of this zone.
    pub fn new(zone: TimeZone) -> Calendar {
        let page = ArcSwap::from_pointee(Page::of(Timestamp::UNIX_EPOCH, &zone));
        Calendar { zone, page }
    }

    /// The window that a moment lies in.
    pub fn span(&self, window: Window, now: Timestamp) -> Span {
        let page = self.page.load();
        if page.minute.holds(now) {
            return page.span(window);
        }
        let page = Arc::new(Page::of(now, &self.zone));
        self.page.store(page.clone());
        page.span(window)
    }

    /// When the window ends that a moment lies in which need not be near; `None`: never by itself.
    pub fn end(&self, window: Window, moment: Timestamp) -> Option<Timestamp> {
        window.resets_at(moment, &self.zone)
    }
}

impl Span {
    fn of(window: Window, now: Timestamp, zone: &TimeZone) -> Span {
        Span {
            starts: window.starts_at(now, zone),
            resets_at: window.resets_at(now, zone),
        }
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.starts <= now && self.resets_at.is_none_or(|end| now < end)
    }
}

impl Page {
    fn of(now: Timestamp, zone: &TimeZone) -> Page {
        Page {
            minute: Span::of(Window::Minute, now, zone),
            spans: Window::ALL.map(|window| Span::of(window, now, zone)),
        }
    }

    fn span(&self, window: Window) -> Span {
        self.spans[window as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_stand_in_their_order() {
        for (place, window) in Window::ALL.into_iter().enumerate() {
            assert_eq!(window as usize, place);
        }
    }

    proptest! {
        /// Whatever was asked before, also about times long after: a clock may jump.
        #[test]
        fn a_page_says_what_the_calendar_says(
            seconds in proptest::collection::vec(1_700_000_000_i64..1_900_000_000, 1..20),
            steps in proptest::collection::vec(0_i64..7200, 1..20),
            zone in proptest::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let calendar = Calendar::new(zone.clone());
            for second in seconds.iter().flat_map(|s| steps.iter().map(move |step| s + step)) {
                let now = Timestamp::from_second(second).unwrap();
                for window in Window::ALL {
                    prop_assert_eq!(calendar.span(window, now), Span::of(window, now, &zone));
                }
            }
        }
    }
}
