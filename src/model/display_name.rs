//! Addresses that stand in a display name, where a reader takes them for the sender.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::address::Address;

/// The first addresses with a domain that a display name contains, `most` of them, encoded words
/// (RFC 2047) decoded as a mail reader would show them. Takes time linear in the length of the
/// name.
pub fn addresses_in(display_name: &str, most: usize) -> Vec<Address> {
    let shown = decode(display_name);
    let between = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\"'".contains(c);
    shown
        .split(between)
        .filter_map(|word| Address::split(word.trim_end_matches(['.', '!', '?'])).ok())
        .filter(|address| {
            let dotted = address.domain().is_some_and(|d| d.as_str().contains('.'));
            dotted && !address.local.is_empty()
        })
        .take(most)
        .collect()
}

/// Replaces encoded words by what they stand for. Charsets are not converted: an address is
/// ASCII, and every charset in use for mail leaves ASCII as it is.
fn decode(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Where encoded words may end, looked for once and not for each that begins.
    let mut ends = text.match_indices("?=").map(|(at, _)| at).peekable();
    let mut done = 0;
    let mut after_word = false;
    while let Some(start) = text[done..].find("=?").map(|at| done + at) {
        let before = &text[done..start];
        let word = encoded_word(&text[start..]).and_then(|(encoding, skip)| {
            while ends.next_if(|end| *end < start + skip).is_some() {}
            let end = *ends.peek()?;
            let bytes = decoded(encoding, &text[start + skip..end])?;
            Some((bytes, end + "?=".len()))
        });
        let Some((bytes, end)) = word else {
            shown.push_str(before);
            shown.push_str("=?");
            done = start + "=?".len();
            after_word = false;
            continue;
        };
        // White space between two encoded words is not shown (RFC 2047 6.2).
        if !(after_word && before.trim().is_empty()) {
            shown.push_str(before);
        }
        shown.push_str(&String::from_utf8_lossy(&bytes));
        done = end;
        after_word = true;
    }
    shown.push_str(&text[done..]);
    shown
}

/// The encoding of the encoded word that the text begins with, and where its bytes begin.
fn encoded_word(text: &str) -> Option<(&str, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some((encoding, 2 + charset.len() + 1 + encoding.len() + 1))
}

/// The bytes of an encoded word. What is none is given up at its first wrong letter.
fn decoded(encoding: &str, encoded: &str) -> Option<Vec<u8>> {
    match encoding {
        "B" | "b" => {
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
            let padding = encoded.trim_start_matches(letter);
            if !padding.bytes().all(|b| b == b'=') {
                return None;
            }
            let letters = &encoded[..encoded.len() - padding.len()];
            STANDARD_NO_PAD.decode(letters).ok()
        }
        "Q" | "q" => quoted(encoded),
        _ => None,
    }
}

fn quoted(encoded: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut input = encoded.bytes();
    while let Some(byte) = input.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digits = [input.next()?, input.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_as_a_reader_sees_them() {
        for (name, found) in [
            ("ceo@bank.example", vec!["ceo@bank.example"]),
            ("The boss (ceo@bank.example)", vec!["ceo@bank.example"]),
            ("=?utf-8?q?ceo=40bank.example?=", vec!["ceo@bank.example"]),
            (
                "=?UTF-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?=",
                vec!["ceo@bank.example"],
            ),
            (
                "=?utf-8?q?ceo=40bank?= =?utf-8?q?.example?=",
                vec!["ceo@bank.example"],
            ),
            (
                "Write to a@x.example, b@y.example.",
                vec!["a@x.example", "b@y.example"],
            ),
            ("Jane Doe", vec![]),
            ("me @ home", vec![]),
            ("a@home", vec![]),
            ("=?utf-8?x?a@b.example", vec!["=?utf-8?x?a@b.example"]),
            ("=?=?=?", vec![]),
        ] {
            let addresses: Vec<_> = addresses_in(name, 10)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(addresses, found, "{name}");
        }
    }

    #[test]
    fn no_more_addresses_are_looked_for_than_wanted() {
        let name = "a@x.example ".repeat(10_000);
        assert_eq!(addresses_in(&name, 11).len(), 11);
    }

    #[test]
    fn what_begins_like_encoded_words_takes_no_time() {
        for (part, end) in [
            ("=?a?q? ", ""),
            ("=?a?q? ", "?="),
            ("=?a?b?AAAA", "?="),
            ("=?a?b? ", "=====?="),
            ("=?a?x?", "?="),
            ("=?", "?="),
        ] {
            // 512 KiB: what is quadratic would take minutes.
            let name = part.repeat((512 << 10) / part.len()) + end;
            assert_eq!(addresses_in(&name, 11), [], "{part}");
        }
    }
}
