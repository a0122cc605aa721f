//! A page of the book, as its readers see it: title, anchors, links, lines of code.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory that this crate is in.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One Markdown file.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

impl Page {
    pub fn read(path: &Path) -> Page {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Page {
            path: path.to_owned(),
            text,
        }
    }

    /// All of a directory and those below it, in order.
    pub fn all(directory: &Path) -> Vec<Page> {
        let mut pages = Vec::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pages.extend(Page::all(&path));
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(Page::read(&path));
            }
        }
        pages.sort_by(|a, b| a.path.cmp(&b.path));
        pages
    }

    pub fn name(&self) -> String {
        let name = self.path.strip_prefix(root()).unwrap();
        name.display().to_string()
    }

    pub fn title(&self) -> &str {
        let line = self.text.lines().find(|line| line.starts_with("# "));
        line.unwrap_or_else(|| panic!("{} has no title", self.name()))[2..].trim()
    }

    /// Each line with whether it is code: fenced, or indented behind an empty line and not in a list.
    fn lines(&self) -> impl Iterator<Item = (bool, &str)> {
        let (mut fenced, mut indented, mut empty, mut list) = (false, false, true, false);
        let mut comment = false;
        self.text.lines().filter_map(move |line| {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
                empty = false;
                return None;
            }
            comment |= line.starts_with("<!--");
            if comment && !fenced {
                comment = !line.contains("-->");
                return None;
            }
            if !fenced && !line.is_empty() {
                let by = line.len() - line.trim_start().len();
                let item = line.starts_with("* ") || line.starts_with(|c: char| c.is_ascii_digit());
                list = if by == 0 {
                    item && line.contains(' ')
                } else {
                    list
                };
                let room = if list { 7 } else { 4 };
                indented = by >= room && (empty || indented);
            }
            empty = line.is_empty();
            Some((fenced || (indented && !empty), line))
        })
    }

    /// The lines of code, without their indent.
    pub fn code(&self) -> Vec<&str> {
        self.lines()
            .filter(|(code, line)| *code && !line.is_empty())
            .map(|(_, line)| line.trim())
            .collect()
    }

    /// What is no code.
    pub fn prose(&self) -> String {
        let lines: Vec<&str> = self
            .lines()
            .filter(|(code, _)| !code)
            .map(|(_, line)| line)
            .collect();
        lines.join("\n")
    }

    /// The targets of the links, each with its text.
    pub fn links(&self) -> Vec<(String, String)> {
        let prose = without_code(&self.prose());
        let mut links = Vec::new();
        let mut rest = prose.as_str();
        while let Some(at) = rest.find("](") {
            let text = rest[..at].rsplit('[').next().unwrap().to_owned();
            let (target, behind) = rest[at + 2..].split_once(')').unwrap();
            links.push((text, target.to_owned()));
            rest = behind;
        }
        links
    }

    /// What a link may name behind `#`, as mdBook makes it from the headings.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings
            .map(|line| {
                let words = line.trim_start_matches('#').trim();
                let kept = words.chars().filter_map(|c| match c {
                    ' ' => Some('-'),
                    '-' | '_' => Some(c),
                    _ => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
                });
                kept.collect()
            })
            .collect()
    }
}

/// Code inside a line left out: what stands there is no link.
fn without_code(prose: &str) -> String {
    let pieces = prose.split('`').enumerate();
    let kept = pieces.map(|(number, piece)| if number % 2 == 0 { piece } else { "code" });
    kept.collect()
}
