//! Addresses that stand in a display name, where a reader takes them for the sender.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::address::Address;

/// The addresses with a domain that a display name contains, encoded words (RFC 2047) decoded as
/// a mail reader would show them.
pub fn addresses_in(display_name: &str) -> Vec<Address> {
    let shown = decode(display_name);
    let between = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\"'".contains(c);
    shown
        .split(between)
        .filter_map(|word| Address::split(word.trim_end_matches(['.', '!', '?'])).ok())
        .filter(|address| {
            let dotted = address.domain().is_some_and(|d| d.as_str().contains('.'));
            dotted && !address.local.is_empty()
        })
        .collect()
}

/// Replaces encoded words by what they stand for. Charsets are not converted: an address is
/// ASCII, and every charset in use for mail leaves ASCII as it is.
fn decode(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, candidate) = rest.split_at(start);
        let Some((bytes, length)) = encoded_word(candidate) else {
            shown.push_str(before);
            shown.push_str("=?");
            rest = &candidate[2..];
            after_word = false;
            continue;
        };
        // White space between two encoded words is not shown (RFC 2047 6.2).
        if !(after_word && before.trim().is_empty()) {
            shown.push_str(before);
        }
        shown.push_str(&String::from_utf8_lossy(&bytes));
        rest = &candidate[length..];
        after_word = true;
    }
    shown.push_str(rest);
    shown
}

/// The bytes of the encoded word that the text begins with, and its length in the text.
fn encoded_word(text: &str) -> Option<(Vec<u8>, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, tail) = (parts.next()?, parts.next()?, parts.next()?);
    let end = tail.find("?=")?;
    let encoded = &tail[..end];
    let bytes = match encoding {
        "B" | "b" => STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?,
        "Q" | "q" => quoted(encoded)?,
        _ => return None,
    };
    Some((bytes, 2 + charset.len() + 1 + encoding.len() + 1 + end + 2))
}

fn quoted(encoded: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
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
            let addresses: Vec<_> = addresses_in(name).iter().map(ToString::to_string).collect();
            assert_eq!(addresses, found, "{name}");
        }
    }
}
