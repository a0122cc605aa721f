//! `status`: what the running daemon says of itself.

use serde_json::Value;

use super::failure::{Exit, Failure};
use super::host::Host;
use super::output::Output;
use crate::control::{Outcome, Request};

/// Asks and prints the answer as it is; for eyes, one line a value.
pub fn run(host: &Host, output: &mut Output) -> Result<Exit, Failure> {
    let socket = host.config.control_socket();
    match host.ask(&Request::Status) {
        Outcome::Done(answer) if output.is_json() => output.value(&answer),
        Outcome::Done(answer) => show(answer, output),
        Outcome::NoDaemon => {
            return Err(Failure::temporary(
                format!("no daemon answers on {}", socket.display()),
                "start it: systemctl start outgate, or outgate serve",
            ));
        }
        Outcome::Late(why) => {
            return Err(Failure::temporary(
                format!("the daemon on {} does not answer: {why}", socket.display()),
                "see its log: journalctl -u outgate",
            ));
        }
    }
    Ok(Exit::Done)
}

/// What somebody who asks wants to know first; the rest follows by the alphabet.
const FIRST: [&str; 10] = [
    "version",
    "commit",
    "pid",
    "started_at",
    "uptime_seconds",
    "config",
    "config_loaded_at",
    "store",
    "listeners",
    "connections",
];

/// One line a value, and what went wrong lately as a table.
fn show(mut answer: Value, output: &mut Output) {
    let mut take = |key: &str| answer.as_object_mut().and_then(|fields| fields.remove(key));
    let (errors, limits) = (take("last_errors"), take("connection_limits"));
    let mut lines = Vec::new();
    for key in FIRST {
        match (key, take(key)) {
            (_, None) => {}
            ("uptime_seconds", Some(seconds)) => {
                lines.push(("uptime".to_owned(), uptime(&seconds)))
            }
            ("listeners", Some(Value::Array(doors))) => lines.extend(doors.iter().map(listener)),
            ("connections", Some(Value::Object(open))) => {
                for (door, open) in &open {
                    let most = limits
                        .as_ref()
                        .and_then(|limits| limits.get(door)?.as_u64());
                    let of = most.map_or_else(String::new, |most| format!(" of {most}"));
                    lines.push((format!("{key}.{door}"), format!("{}{of}", plain(open))));
                }
            }
            (key, Some(value)) => flatten(key, &value, &mut lines),
        }
    }
    flatten("", &answer, &mut lines);
    let fields: Vec<_> = lines.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    output.fields(&fields);
    if let Some(Value::Array(errors)) = errors {
        show_errors(&errors, output);
    }
}

fn show_errors(errors: &[Value], output: &mut Output) {
    if errors.is_empty() {
        return;
    }
    let row = |error: &Value| {
        let cell = |column| error.get(column).map(plain).unwrap_or_default();
        ["time", "level", "times", "message"].map(cell).to_vec()
    };
    let rows: Vec<Vec<String>> = errors.iter().map(row).collect();
    output.text("", "");
    output.table(&["last errors", "level", "times", "message"], &rows);
}

/// Which front end listens where.
fn listener(door: &Value) -> (String, String) {
    match (door.get("front_end"), door.get("address")) {
        (Some(front_end), Some(address)) => {
            (format!("listening.{}", plain(front_end)), plain(address))
        }
        (_, _) => ("listening".to_owned(), plain(door)),
    }
}

/// `3d 4h 5m`, or seconds if they are few.
fn uptime(seconds: &Value) -> String {
    let Some(seconds) = seconds.as_u64() else {
        return plain(seconds);
    };
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
    ];
    let words: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    match words.is_empty() {
        true => format!("{seconds}s"),
        false => words.join(" "),
    }
}

/// `{"a":{"b":1},"c":[2,3]}` as `a.b` and `c`.
fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(&format!("{name}{dot}{key}"), value, lines);
            }
        }
        Value::String(text) => lines.push((name.to_owned(), text.clone())),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{name}.{at}"), item, lines);
            }
        }
        Value::Array(items) => {
            let words: Vec<_> = items.iter().map(plain).collect();
            lines.push((name.to_owned(), words.join(", ")));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            lines.push((name.to_owned(), plain(value)));
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
