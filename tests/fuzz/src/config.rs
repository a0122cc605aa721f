//! A configuration is read or refused with the place of its error.

use outgate::config::load::parse;

/// Input: the text of the file.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Err(error) = parse(text, "outgate.toml") {
        let error = error.to_string();
        let place = error.strip_prefix("outgate.toml:").unwrap();
        let digits = place.split(':').next().unwrap_or_default();
        if let Ok(line) = digits.parse::<usize>() {
            assert!((1..=text.lines().count().max(1) + 1).contains(&line));
        }
        assert!(!error.contains('\n'), "{error:?}");
    }
}
