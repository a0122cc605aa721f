//! The one place that prints. Standard output is data, standard error is talk.
//!
//! Nobody else writes to either. Whoever stops reading (`outgate user list | head`) is no error;
//! data that could not be written (a full disk) is one. What others chose is made harmless for
//! terminals here, in tables and in JSON alike.

use std::io::{self, BufWriter, ErrorKind, Write};

use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::failure::Failure;
use super::visible;
use crate::manage::warning::Warning;

/// Something that is shown by itself: as JSON, or as one line a field.
pub trait Shown: Serialize {
    /// Names and values for eyes, in order.
    fn fields(&self) -> Vec<(&'static str, String)>;
}

/// Something that is shown in lists: as JSON, or as one row of a table.
pub trait Listed: Serialize {
    /// The heads of the columns.
    const HEAD: &'static [&'static str];
    /// The cells of one row, as many as there are heads.
    fn row(&self) -> Vec<String>;
}

/// Where a command's words go.
pub struct Output {
    json: bool,
    out: BufWriter<io::Stdout>,
    /// The first write that failed; nothing is written after it.
    trouble: Option<io::Error>,
}

impl Output {
    /// On the process's own streams; `json`: for programs instead of eyes.
    pub fn new(json: bool) -> Output {
        Output {
            json,
            out: BufWriter::with_capacity(64 * 1024, io::stdout()),
            trouble: None,
        }
    }

    /// Whether programs read this.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Shows one thing.
    pub fn show(&mut self, thing: &impl Shown) {
        if self.json {
            self.value(thing);
        } else {
            self.fields(&thing.fields());
        }
    }

    /// Whether nobody reads any more.
    pub fn is_left(&self) -> bool {
        self.trouble.is_some()
    }

    /// Writes one JSON value on a line of its own.
    pub fn value(&mut self, value: &impl Serialize) {
        self.json_text(value);
        self.write(b"\n");
    }

    /// Writes names and values, one a line.
    pub fn fields(&mut self, fields: &[(&str, String)]) {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            let line = format!("{name:width$}  {}", visible::one_line(value));
            self.write(line.trim_end().as_bytes());
            self.write(b"\n");
        }
    }

    /// Writes text of ours as it is; for programs: inside an object, under this name.
    pub fn text(&mut self, name: &str, text: &str) {
        if self.json {
            self.value(&serde_json::json!({ name: text }));
        } else {
            self.write(visible::lines(text).as_bytes());
            if !text.ends_with('\n') {
                self.write(b"\n");
            }
        }
    }

    /// Begins a list, which may have more items than memory.
    pub fn list<T: Listed>(&mut self) -> List<'_, T> {
        List {
            output: self,
            rows: Vec::new(),
            count: 0,
            item: std::marker::PhantomData,
        }
    }

    /// Writes a small table.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        if !head.is_empty() {
            table.set_header(head);
        }
        for row in rows {
            table.add_row(row.iter().map(|cell| Cell::new(visible::one_line(cell))));
        }
        for line in table.lines() {
            // No borders: the first column begins at the edge.
            let line = line.strip_prefix(' ').unwrap_or(&line).trim_end();
            self.write(line.as_bytes());
            self.write(b"\n");
        }
    }

    /// Writes a line of columns that are at least so wide; each stays as wide as it had to become, up to
    /// the widest. A longer cell pushes aside what stands behind it on its own line alone.
    pub fn columns(&mut self, widths: &mut [usize], widest: usize, cells: &[String]) {
        let mut line = String::new();
        for (width, cell) in widths.iter_mut().zip(cells) {
            let cell = visible::one_line(cell);
            *width = cell.chars().count().min(widest).max(*width);
            line.push_str(&format!("{cell:width$}  "));
        }
        self.write(line.trim_end().as_bytes());
        self.write(b"\n");
    }

    /// Hands over what was written so far. False: nobody reads any more.
    pub fn flush(&mut self) -> bool {
        if self.trouble.is_none() {
            let flushed = self.out.flush();
            self.keep(flushed);
        }
        self.trouble.is_none()
    }

    /// Says something beside the data, on standard error.
    pub fn say(&mut self, kind: &str, words: &str) {
        let line = if self.json {
            to_json(&serde_json::json!({ kind: words }))
        } else {
            format!("{kind}: {}", visible::one_line(words))
        };
        // Nobody listening is no reason to stop.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Asks on the terminal, after all that was written so far. Anything but yes is no.
    pub fn ask(&mut self, question: &str) -> bool {
        self.flush();
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        read.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
    }

    /// Says what is allowed but perhaps not meant.
    pub fn warn(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            self.say("warning", &warning.to_string());
        }
    }

    /// Says what went wrong.
    pub fn fail(&mut self, failure: &Failure) {
        if self.json {
            let value = serde_json::json!({ "error": failure.error, "hint": failure.hint });
            let _ = writeln!(io::stderr(), "{}", to_json(&value));
            return;
        }
        self.say("outgate", &failure.error);
        if !failure.hint.is_empty() {
            self.say("hint", &failure.hint);
        }
    }

    /// Hands everything over. A reader that has left is no error.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.flush();
        match &self.trouble {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::temporary(
                format!("cannot write to standard output: {error}"),
                "make room or write elsewhere, then repeat the command",
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn json_text(&mut self, value: &impl Serialize) {
        self.write(to_json(value).as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.trouble.is_none() {
            let written = self.out.write_all(bytes);
            self.keep(written);
        }
    }

    fn keep(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.trouble = Some(error);
        }
    }
}

/// How many rows a table takes before it is written: its columns are as wide as these need.
const ROWS: usize = 1000;

/// A list on its way out.
#[must_use = "a list has to be ended"]
pub struct List<'a, T> {
    output: &'a mut Output,
    rows: Vec<Vec<String>>,
    count: usize,
    item: std::marker::PhantomData<T>,
}

impl<T: Listed> List<'_, T> {
    /// Adds an item. False: nobody reads any more, so that the rest need not be looked up.
    pub fn push(&mut self, item: &T) -> bool {
        if self.output.json {
            self.output
                .write(if self.count == 0 { b"[" } else { b",\n" });
            self.output.json_text(item);
        } else {
            self.rows.push(item.row());
            if self.rows.len() == ROWS {
                self.page();
            }
        }
        self.count += 1;
        self.output.trouble.is_none()
    }

    /// Ends it; `nothing` is said if nothing was in it.
    pub fn end(mut self, nothing: &str) {
        if self.output.json {
            let end: &[u8] = if self.count == 0 { b"[]\n" } else { b"]\n" };
            self.output.write(end);
        } else if self.count == 0 {
            self.output.say("outgate", nothing);
        } else {
            self.page();
        }
    }

    fn page(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let head = if self.count < ROWS { T::HEAD } else { &[] };
        if !rows.is_empty() {
            self.output.table(head, &rows);
        }
    }
}

/// Compact JSON in which harmful characters are escaped: the value stays the same.
pub fn to_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = Serializer::with_formatter(&mut bytes, Harmless);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // Only keys that are no text can bring this about, and no view has any.
        Err(error) => serde_json::json!({ "error": error.to_string() }).to_string(),
    }
}

/// JSON as serde_json writes it, with more characters escaped.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !fragment.contains(visible::is_harmful) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut units = [0_u16; 2];
        for c in fragment.chars() {
            if visible::is_harmful(c) {
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                write!(writer, "{c}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_harmless_and_says_the_same() {
        let text = "a\u{202e}b\x1b\u{9b}\u{e0041}\"\\\nü\u{7f}";
        let json = to_json(&serde_json::json!([text]));
        assert!(!json.contains(visible::is_harmful), "{json}");
        let read: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, [text]);
    }
}
