//! How far a long command has come: a bar on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// In bytes; `None`: nobody knows how many there will be.
pub fn bytes(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => styled(
            ProgressBar::new(total),
            "{bar:40} {bytes}/{total_bytes} {eta} {msg}",
        ),
        None => styled(ProgressBar::new_spinner(), "{spinner} {bytes}"),
    }
}

/// In records, of which there will be as many as somebody says later.
pub fn records() -> ProgressBar {
    styled(ProgressBar::new(0), "{bar:40} {pos}/{len} {eta}")
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
