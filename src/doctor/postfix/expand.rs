//! `$name` in values of main.cf and master.cf, as postconf(5) describes it.

use std::cell::Cell;

/// How deep names may lead to names; a loop ends here.
const DEEPEST: usize = 20;
/// How many names are replaced; names that double each other end here.
const MOST: usize = 10_000;
/// The longest value that is made, in bytes.
const LONGEST: usize = 256 * 1024;

/// Replaces `$name`, `${name}`, `$(name)`, `${name?text}`, `${name:text}` and `${name?{text}:{text}}`.
/// A name without a value is empty; `$$` is a dollar sign.
pub fn expand(text: &str, find: &dyn Fn(&str) -> Option<String>) -> String {
    let left = Cell::new(MOST);
    let find = |name: &str| {
        left.set(left.get().checked_sub(1)?);
        find(name)
    };
    let mut out = String::new();
    replace(text, &find, DEEPEST, &mut out);
    out
}

fn replace(text: &str, find: &dyn Fn(&str) -> Option<String>, depth: usize, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        push(out, before);
        let after = after.strip_prefix('$').unwrap_or(after);
        rest = match after.chars().next() {
            Some('$') => {
                push(out, "$");
                after.strip_prefix('$').unwrap_or(after)
            }
            Some(open @ ('{' | '(')) => {
                let (inside, rest) = enclosed(after, open);
                conditional(inside, find, depth, out);
                rest
            }
            Some(_) | None => {
                let (name, rest) = after.split_at(name_length(after));
                insert(name, find, depth, out);
                rest
            }
        };
        if out.len() >= LONGEST {
            return;
        }
    }
    push(out, rest);
}

fn push(out: &mut String, text: &str) {
    if out.len() + text.len() <= LONGEST {
        out.push_str(text);
    }
}

fn insert(name: &str, find: &dyn Fn(&str) -> Option<String>, depth: usize, out: &mut String) {
    if let (Some(value), Some(depth)) = (find(name), depth.checked_sub(1)) {
        replace(&value, find, depth, out);
    }
}

/// `name`, `name?text`, `name:text`, `name?{text}:{text}`, and a comparison in place of the name.
fn conditional(
    inside: &str,
    find: &dyn Fn(&str) -> Option<String>,
    depth: usize,
    out: &mut String,
) {
    let inside = inside.trim_start();
    if inside.starts_with('{') {
        return comparison(inside, find, depth, out);
    }
    let (name, test) = inside.split_at(name_length(inside));
    let test = test.trim_start();
    if test.is_empty() {
        return insert(name, find, depth, out);
    }
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let mut value = String::new();
    insert(name, find, depth, &mut value);
    let (yes, no) = match test.split_at_checked(1) {
        Some(("?", text)) => branches(text),
        Some((":", text)) => ("", branches(text).0),
        Some(_) | None => return,
    };
    replace(if value.is_empty() { no } else { yes }, find, depth, out);
}

/// `{text} == {text} ? {yes} : {no}`. Where the operator or the texts are no numbers that compare, no.
fn comparison(inside: &str, find: &dyn Fn(&str) -> Option<String>, depth: usize, out: &mut String) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let value = |text: &str| {
        let mut value = String::new();
        replace(text.trim(), find, depth, &mut value);
        value
    };
    let (left, rest) = enclosed(inside, '{');
    let (operator, rest) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
    let (right, rest) = enclosed(rest, '{');
    let holds = holds(&value(left), operator.trim(), &value(right));
    let (yes, no) = branches(rest.trim_start().strip_prefix('?').unwrap_or_default());
    replace(if holds { yes } else { no }, find, depth, out);
}

/// Numbers compare as numbers, levels (`3.6`) part by part, other texts as texts.
fn holds(left: &str, operator: &str, right: &str) -> bool {
    let level = |text: &str| -> Option<Vec<u64>> {
        text.split('.')
            .map(|part| part.trim().parse().ok())
            .collect()
    };
    let order = match (level(left), level(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (_, _) => left.cmp(right),
    };
    match operator.strip_suffix("level").unwrap_or(operator) {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => false,
    }
}

/// The text for yes and the text for no.
fn branches(text: &str) -> (&str, &str) {
    let text = text.trim();
    if !text.starts_with('{') {
        return (text, "");
    }
    let (yes, rest) = enclosed(text, '{');
    let no = rest
        .trim_start()
        .strip_prefix(':')
        .unwrap_or_default()
        .trim();
    match no.starts_with('{') {
        true => (yes.trim(), enclosed(no, '{').0.trim()),
        false => (yes.trim(), no),
    }
}

/// What stands inside the brackets that the text begins with, and what follows them.
fn enclosed(text: &str, open: char) -> (&str, &str) {
    let close = if open == '{' { '}' } else { ')' };
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                let inside = text.get(1..at).unwrap_or_default();
                return (inside, text.get(at + 1..).unwrap_or_default());
            }
        }
    }
    (text.get(1..).unwrap_or_default(), "")
}

fn name_length(text: &str) -> usize {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.find(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_as_postfix_does() {
        let find = |name: &str| {
            let value = match name {
                "a" => "1",
                "b" => "<$a>",
                "empty" => "",
                "loop" => "x$loop",
                "twice" => "$twice$twice$twice$twice",
                _ => return None,
            };
            Some(value.to_owned())
        };
        for (text, expanded) in [
            ("plain", "plain"),
            ("$a-$b/$(a)/${b}", "1-<1>/1/<1>"),
            ("$unknown.", "."),
            ("$$a $", "$a "),
            ("${a?yes}${empty?yes}", "yes"),
            ("${a:no}${empty:no}", "no"),
            ("${a?{y $b}:{n}} ${empty?{y}:{n $a}}", "y <1> n 1"),
            ("${{$a} <level {2.1} ? {low} : {high $b}}", "low"),
            (
                "${{3.10} >=level {3.9} ? {new} : {old}}|${{x} == {y}?{z}}",
                "new|",
            ),
            ("${{$a} != {1} ? {x} : {permit $a, y}}", "permit 1, y"),
            ("${{$a} ~ {1} ? {x} : {}}${{a", ""),
            ("${unclosed", ""),
            ("{ $a, { x = $b } }", "{ 1, { x = <1> } }"),
        ] {
            assert_eq!(expand(text, &find), expanded, "{text}");
        }
        assert!(expand("$loop", &find).len() <= DEEPEST + 1);
        assert!(expand("$twice", &find).len() <= LONGEST);
    }
}
