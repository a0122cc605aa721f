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

/// One line a value, and what went wrong lately as a table.
fn show(mut answer: Value, output: &mut Output) {
    let errors = answer.as_object_mut().and_then(|a| a.remove("last_errors"));
    let mut lines = Vec::new();
    flatten("", &answer, &mut lines);
    let fields: Vec<_> = lines.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    output.fields(&fields);
    let errors = errors.as_ref().and_then(Value::as_array);
    let Some(errors) = errors.filter(|errors| !errors.is_empty()) else {
        return;
    };
    let columns = ["time", "level", "times", "message"];
    let row = |error: &Value| {
        let cell = |column: &&str| error.get(column).map(plain).unwrap_or_default();
        columns.iter().map(cell).collect()
    };
    output.text("", "");
    let rows: Vec<Vec<String>> = errors.iter().map(row).collect();
    output.table(&["last errors", "level", "times", "message"], &rows);
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
