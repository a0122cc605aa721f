//! Reads the fields of a text line of the decision log: `key=value`, what a client sent in quotes and
//! escaped as Rust writes strings.

/// The fields of one line. The first has lost its key and stands under no name.
pub struct Fields<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    /// Takes a line apart.
    pub fn of(mut line: &'a str) -> Fields<'a> {
        let mut fields = Vec::new();
        while !line.is_empty() {
            let (field, rest) = line.split_at(end(line));
            if let Some((key, value)) = field.split_once('=') {
                fields.push((key, value));
            }
            line = rest.trim_start_matches(' ');
        }
        Fields { fields }
    }

    /// A value as it stands there.
    pub fn raw(&self, key: &str) -> Option<&'a str> {
        let field = self.fields.iter().find(|(known, _)| *known == key);
        field.map(|(_, value)| *value)
    }

    /// A value as it was before it was escaped.
    pub fn text(&self, key: &str) -> Option<String> {
        plain(self.raw(key)?)
    }
}

/// `["…", "…"]`
pub fn list(text: &str) -> Option<Vec<String>> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut list = Vec::new();
    while !rest.is_empty() {
        let (item, behind) = rest.split_at(end(rest));
        list.push(plain(item.trim_end_matches(','))?);
        rest = behind.trim_start_matches(' ');
    }
    Some(list)
}

/// Where the field ends: at a space outside of quotes and brackets.
fn end(text: &str) -> usize {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_usize);
    for (place, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ' ' if !quoted && depth == 0 => return place,
            _ => {}
        }
    }
    text.len()
}

/// Without quotes and escapes, if it has quotes.
fn plain(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return Some(text.to_owned());
    };
    let mut plain = String::new();
    let mut chars = inner.strip_suffix('"')?.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => escape(&mut chars)?,
            c => c,
        });
    }
    Some(plain)
}

/// What stands behind a backslash.
fn escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'u' => {
            let rest = chars.as_str().strip_prefix('{')?;
            let (digits, behind) = rest.split_once('}')?;
            *chars = behind.chars();
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
        }
        c => c,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_again(login: String, sender: String, from: Vec<String>) {
            let line = format!("policy stage=mail login={login:?} mail_from={sender:?} header_from={from:?} ms=1");
            let fields = Fields::of(&line);
            prop_assert_eq!(fields.text("stage"), Some("mail".to_owned()));
            prop_assert_eq!(fields.text("login"), Some(login));
            prop_assert_eq!(fields.text("mail_from"), Some(sender));
            prop_assert_eq!(list(fields.raw("header_from").unwrap()), Some(from));
        }

        #[test]
        fn any_line_is_read_or_not(line: String) {
            let fields = Fields::of(&line);
            let _ = (fields.text("login"), list(&line));
        }
    }
}
