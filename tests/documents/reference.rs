//! The reference against the program: commands, configuration, reasons.

use std::collections::BTreeMap;

use outgate::config::load::parse;
use outgate::decision::reason::{Reason, Verdict};
use outgate::decision::sentence::TAGS;

use crate::command_page;
use crate::page::{Page, root};

const SAMPLE: &str = include_str!("../../config/outgate.toml");

fn page(name: &str) -> Page {
    Page::read(&root().join("docs/src/reference").join(name))
}

/// The cells of the rows of a table, without those that head it.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let line = line.trim_matches(['|', ' ']);
            line.split(" | ").map(str::trim).collect()
        })
        .collect()
}

#[test]
fn every_command_is_described_as_it_is() {
    let made = command_page::page(outgate::cli::command());
    let written = page("commands.md").text;
    let differs = made
        .lines()
        .zip(written.lines())
        .find(|(made, written)| made != written);
    assert!(
        made == written,
        "docs/src/reference/commands.md is out of date, first at {differs:?}: \
         cargo run --example manual target/manual && cp target/manual/commands.md docs/src/reference/"
    );
    let help = outgate::cli::command()
        .get_after_help()
        .unwrap()
        .to_string();
    let status = help.split(". ").next().unwrap();
    let told = |number: &str| status.split([' ', ',']).any(|word| word == number);
    let codes: Vec<&str> = written
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|cell| cell.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    assert_eq!(codes, ["0", "1", "2", "75", "78"]);
    assert!(codes.iter().all(|code| told(code)), "{help}");
}

/// `table.key`, and its default as the sample writes it.
fn sample() -> BTreeMap<String, String> {
    let (mut table, mut keys) = ("", BTreeMap::new());
    for line in SAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
        }
        let setting = line
            .strip_prefix("# ")
            .and_then(|rest| rest.split_once(" = "));
        if let Some((key, value)) = setting
            && !table.is_empty()
            && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        {
            keys.insert(format!("{table}.{key}"), value.to_owned());
        }
    }
    keys
}

/// `table.key`, type, default.
fn documented() -> Vec<(String, String, String)> {
    let text = page("configuration.md").text;
    let mut keys = Vec::new();
    for section in text.split("\n## [").skip(1) {
        let (table, rest) = section.split_once(']').unwrap();
        for row in rows(rest) {
            assert_eq!(row.len(), 4, "{row:?}");
            let bare = |cell: &str| cell.trim_matches('`').to_owned();
            keys.push((
                format!("{table}.{}", bare(row[0])),
                row[1].to_owned(),
                bare(row[2]),
            ));
        }
    }
    keys
}

#[test]
fn every_key_is_described_with_its_default() {
    // tests/config.rs holds the sample and the program together.
    let written: BTreeMap<String, String> = documented()
        .into_iter()
        .map(|(key, _, default)| (key, default))
        .collect();
    assert_eq!(
        written.len(),
        documented().len(),
        "a key stands there twice"
    );
    assert_eq!(written, sample());
}

#[test]
fn types_are_what_the_program_takes() {
    for (name, kind, default) in documented() {
        let (table, key) = name.split_once('.').unwrap();
        let error = |value: &str| {
            let text = format!("[{table}]\n{key} = {value}\n");
            parse(&text, "f")
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        let is_string = default.starts_with('"');
        let fits = match kind.as_str() {
            "true or false" => default == "true" || default == "false",
            "number" => default.parse::<u32>().is_ok(),
            "list" => default.starts_with('['),
            "table" => default.starts_with('{'),
            "time" => is_string && error("\"soon\"").contains("length of time"),
            "endpoint" => is_string && error("\"here\"").contains("endpoint"),
            "text" | "path" => is_string && !error("\"no-such-word\"").contains("unknown variant"),
            words => {
                let error = error("\"no-such-word\"");
                let known: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
                let written: Vec<&str> = words
                    .split(", ")
                    .map(|word| word.trim_matches(['`', '"']))
                    .collect();
                error.contains("unknown variant") && known == written
            }
        };
        assert!(fits, "{name}: {kind}: {default}");
    }
}

#[test]
fn every_reason_is_described_as_it_is() {
    let text = page("reasons.md").text;
    let rows = rows(&text);
    let names: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.id()).collect();
    assert_eq!(names, all);
    for (row, reason) in rows.iter().zip(Reason::ALL) {
        assert_eq!(row[2], reason.verdict().id(), "{reason}");
        let audit = match (reason.verdict(), reason.bows_to_audit()) {
            (Verdict::Allow, _) => continue,
            (_, true) => "passes",
            (Verdict::Refuse, false) => "refused",
            (Verdict::Defer, false) => "deferred",
        };
        assert_eq!(row[4], audit, "{reason}");
        // The page that the reply links to is the one that is about this reason, and shows the code.
        let (_, link) = row[3].rsplit_once("](../replies/").unwrap();
        let page = Page::read(
            &root()
                .join("docs/src/replies")
                .join(link.trim_end_matches(')')),
        );
        let line = page
            .text
            .lines()
            .find(|line| line.starts_with("Reason in the log: "))
            .unwrap();
        assert!(line.contains(&format!("`{reason}`")), "{reason}: {line}");
        for code in row[3]
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| code.as_bytes()[0].is_ascii_digit())
        {
            let begins = code.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let tag = code.split_once('[').map(|(_, tag)| format!("[{tag}"));
            let shown = page.code().iter().any(|line| {
                line.starts_with(&begins) && tag.as_ref().is_none_or(|tag| line.contains(tag))
            });
            assert!(shown, "{reason}: {code}");
        }
    }
    for tag in TAGS {
        assert!(text.contains(&format!("`{tag}`")), "{tag}");
    }
}

/// What the scripts of the package give which owner and mode, and where the package puts files.
#[test]
fn files_are_where_the_package_puts_them() {
    let text = page("files.md").text;
    let rows = rows(&text);
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let script = read("packaging/debian/postinst");
    let given: Vec<Vec<&str>> = script
        .split("own ")
        .map(|call| call.split([' ', '\n', ';']).take(4).collect())
        .filter(|words: &Vec<&str>| words.len() == 4 && words[0].parse::<u32>().is_ok())
        .collect();
    assert!(given.len() >= 3, "{given:?}");
    for own in given {
        let (mode, owner, path) = (own[0], format!("{}:{}", own[1], own[2]), own[3]);
        let row = [format!("`{path}`"), mode.to_owned(), owner];
        assert!(rows.iter().any(|cells| cells[..3] == row), "no row {row:?}");
    }
    let paths: Vec<&str> = rows
        .iter()
        .flat_map(|row| row[0].split('`').skip(1).step_by(2))
        .filter(|path| path.starts_with('/'))
        .collect();
    let cargo: toml::Table = read("Cargo.toml").parse().unwrap();
    let assets = cargo["package"]["metadata"]["deb"]["assets"]
        .as_array()
        .unwrap();
    for asset in assets {
        let place = format!("/{}", asset[1].as_str().unwrap());
        // The lists of what is there, and what every package has.
        let is_told = paths
            .iter()
            .any(|path| place.starts_with(path) || path.starts_with(&place));
        assert!(
            is_told,
            "docs/src/reference/files.md does not tell of {place}"
        );
    }
}

/// The book is installed, the sources are not.
#[test]
fn names_of_files_of_the_sources_are_not_left_alone() {
    for page in Page::all(&root().join("docs/src")) {
        for name in ["packaging/", "postfix/"] {
            let prose = page.prose();
            for (at, _) in prose.match_indices(&format!("`{name}")) {
                let around = &prose[at.saturating_sub(200)..];
                assert!(
                    around.contains("/usr/share/doc/outgate"),
                    "{} names {name} and not where it is installed",
                    page.name()
                );
            }
        }
    }
}
