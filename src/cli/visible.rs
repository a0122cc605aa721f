//! Text that others chose, as a terminal may show it: nothing in it moves the cursor, changes
//! colours, or turns the direction of what stands beside it.
//!
//! For `output` alone. Letters of all languages stay as they are.

use std::borrow::Cow;

/// Whether a terminal would act on the character instead of showing it, or show nothing at all:
/// controls (C0, DEL, C1), line separators, directional and joining marks, tags, the byte order mark.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text on one line, with everything harmful as `\u{…}`.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, false)
}

/// The same for text of ours that has several lines: its line ends and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, true)
}

fn escape(text: &str, keep_layout: bool) -> Cow<'_, str> {
    let harmful = |c: char| is_harmful(c) && !(keep_layout && ['\n', '\t'].contains(&c));
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            escaped.extend(c.escape_unicode());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_nothing_to_act_on() {
        for (text, shown) in [
            ("plain", "plain"),
            ("Bücher пример 例", "Bücher пример 例"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("abc\u{202e}txt.exe", "abc\\u{202e}txt.exe"),
            (
                "\u{2066}x\u{2069}\u{200b}\u{feff}",
                "\\u{2066}x\\u{2069}\\u{200b}\\u{feff}",
            ),
            ("\u{7f}\0", "\\u{7f}\\u{0}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(one_line(text), shown);
        }
        assert_eq!(lines("a\n\tb\x07\r"), "a\n\tb\\u{7}\\u{d}");
    }
}
