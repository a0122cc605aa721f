//! The samples of `docs/src/reference/json.md` are what outgate prints. Comments in the page say what is done on a host
//! with Postfix, from top to bottom; the block behind a `run` or `shape` is what came of it:
//!
//! ```text
//! <!-- do account add acme -->             only done
//! <!-- send shop ceo@bank.example -->      a message of this user as this sender
//! <!-- run account show acme -->           prints the same: but for ids, times, numbers that are always others, and what
//!                                          is cut with `…` in the page
//! <!-- shape status -->                    prints the same names with values of the same kind
//! ```

use serde_json::Value;

use crate::host::{Host, Setup};
use crate::page::{Page, root};

/// Numbers that are others each time.
const VOLATILE: &[&str] = &["ms", "bytes", "schema_version"];

/// How much has to be the same.
#[derive(Clone, Copy, PartialEq)]
enum Likeness {
    Text,
    Shape,
}

#[test]
fn samples_are_what_is_printed() {
    let setup = Setup {
        config: "timeout = \"2s\"\n[relay]\nspf-include = \"spf.relay.example\"\n",
        ..Setup::new("auth-milter")
    };
    let host = Host::start(setup, &[]);
    let page = Page::read(&root().join("docs/src/reference/json.md"));
    let (mut samples, mut faults) = (0, Vec::new());
    for piece in page.text.split("<!-- ").skip(1) {
        let (comment, behind) = piece.split_once(" -->").unwrap();
        let (word, rest) = comment.split_once(' ').unwrap();
        let likeness = match word {
            "do" => {
                host.outgate(rest);
                continue;
            }
            "send" => {
                send(&host, rest);
                continue;
            }
            "run" => Likeness::Text,
            "shape" => Likeness::Shape,
            _ => panic!("what is {comment:?}?"),
        };
        samples += 1;
        let (_, block) = behind.split_once("```json\n").unwrap();
        let (written, _) = block.split_once("```").unwrap();
        let written: Value =
            serde_json::from_str(written).unwrap_or_else(|e| panic!("{rest}: {e}"));
        let printed = printed(&host, rest);
        compare(&written, &printed, rest, likeness, &mut faults);
    }
    assert!(samples >= 15, "only {samples} samples");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn send(host: &Host, who: &str) {
    let (user, sender) = who.split_once(' ').unwrap();
    let mut smtp = host.connect();
    smtp.xclient("192.0.2.7", Some(user));
    smtp.send(
        sender,
        &["friend@elsewhere.example"],
        &format!("From: {sender}"),
    );
}

/// What a command prints, on standard output or, where it is refused, on standard error. `LAST` is the id of the
/// last decision.
fn printed(host: &Host, line: &str) -> Value {
    let mut line = line.replace("DIR", &host.path("").display().to_string());
    if line.contains("LAST") {
        let last = host.decisions().pop().unwrap();
        let id = last["id"].as_str().unwrap();
        host.explain_id(id);
        line = line.replace("LAST", id);
    }
    let output = host.run_outgate(&format!("--json {line}"));
    let text = match output.stdout.is_empty() {
        true => output.stderr,
        false => output.stdout,
    };
    let text = String::from_utf8(text).unwrap();
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(&text)
        .or_else(|_| serde_json::from_str(last))
        .unwrap_or_else(|e| panic!("{line}: {e}: {text}"))
}

fn compare(
    written: &Value,
    printed: &Value,
    at: &str,
    likeness: Likeness,
    faults: &mut Vec<String>,
) {
    match (written, printed) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                match other.get(key) {
                    Some(there) if VOLATILE.contains(&key.as_str()) => {
                        compare(
                            value,
                            there,
                            &format!("{at}: {key}"),
                            Likeness::Shape,
                            faults,
                        );
                    }
                    Some(there) => compare(value, there, &format!("{at}: {key}"), likeness, faults),
                    None => faults.push(format!("{at}: {key} is not printed")),
                }
            }
            for key in other.keys().filter(|key| !one.contains_key(*key)) {
                faults.push(format!("{at}: {key} is not described: {}", other[key]));
            }
        }
        (Value::Array(one), Value::Array(other)) if likeness == Likeness::Shape => {
            // Each is as the first.
            let pairs = one
                .first()
                .map(|first| other.iter().map(move |there| (first, there)));
            for (value, there) in pairs.into_iter().flatten() {
                compare(value, there, at, likeness, faults);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            if one.len() != other.len() {
                faults.push(format!("{at}: {} in place of {}", other.len(), one.len()));
            }
            for (value, there) in one.iter().zip(other) {
                compare(value, there, at, likeness, faults);
            }
        }
        (Value::String(one), Value::String(other)) => {
            if likeness == Likeness::Text && !says(one, other) {
                faults.push(format!("{at}: {other:?} in place of {one:?}"));
            }
        }
        // What is not there now is of any kind.
        (Value::Null, _) | (_, Value::Null) if likeness == Likeness::Shape => {}
        (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_))
            if likeness == Likeness::Shape => {}
        (one, other) => {
            if one != other {
                faults.push(format!("{at}: {other} in place of {one}"));
            }
        }
    }
}

/// Whether a text is the one in the page: `…` stands for anything, and a time for any time.
fn says(written: &str, printed: &str) -> bool {
    let is_time = |text: &str| text.parse::<jiff::Timestamp>().is_ok();
    if is_time(written) && is_time(printed) {
        return true;
    }
    let mut rest = printed;
    let mut parts = written.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(behind) = rest.strip_prefix(first) else {
        return false;
    };
    rest = behind;
    for part in parts {
        match rest.find(part) {
            // The last part ends the text.
            Some(_) if part.is_empty() => rest = "",
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}
