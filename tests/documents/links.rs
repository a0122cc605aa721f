//! Every page is in the summary, once, and every link leads somewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::page::{Page, root};

/// Without `.` and `..`, whatever is there.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(part),
        }
    }
    plain
}

/// Documents outside the book that link to it, and to each other.
fn others() -> Vec<Page> {
    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "postfix/README.md",
    ];
    names
        .iter()
        .map(|name| Page::read(&root().join(name)))
        .collect()
}

#[test]
fn every_page_is_in_the_summary_once() {
    let source = root().join("docs/src");
    let summary = Page::read(&source.join("SUMMARY.md"));
    let listed: Vec<PathBuf> = summary
        .links()
        .iter()
        .map(|(_, to)| source.join(to))
        .collect();
    let once: BTreeSet<&PathBuf> = listed.iter().collect();
    assert_eq!(
        once.len(),
        listed.len(),
        "a page is listed twice: {listed:?}"
    );
    let pages = Page::all(&source);
    let pages: BTreeSet<&PathBuf> = pages.iter().map(|page| &page.path).collect();
    let pages: BTreeSet<&PathBuf> = pages.into_iter().filter(|p| **p != summary.path).collect();
    assert!(pages.len() > 20, "{pages:?}");
    assert_eq!(once, pages);
}

/// Whoever reads the installed book has nothing of the sources but it.
#[test]
fn the_book_links_to_nothing_outside_itself() {
    let source = root().join("docs/src");
    let mut faults = Vec::new();
    for page in Page::all(&source) {
        for (_, target) in page.links() {
            let file = target.split('#').next().unwrap();
            let path = plain(&page.path.parent().unwrap().join(file));
            if !target.contains("://") && !path.starts_with(&source) {
                faults.push(format!("{}: {target}", page.name()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let (mut faults, mut count) = (Vec::new(), 0);
    for page in Page::all(&root().join("docs/src"))
        .into_iter()
        .chain(others())
    {
        for (_, target) in page.links() {
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.path.clone(),
                file => plain(&page.path.parent().unwrap().join(file)),
            };
            let found = match anchor {
                "" => path.exists(),
                anchor => path.is_file() && Page::read(&path).anchors().iter().any(|a| a == anchor),
            };
            if !found {
                faults.push(format!("{}: {target}", page.name()));
            }
        }
    }
    assert!(count > 100, "only {count} links were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A page that only the summary knows is found by nobody who reads another one. Tutorial and how-tos are where people
/// begin: they need no other page.
#[test]
fn every_page_is_named_by_another_one() {
    let source = root().join("docs/src");
    let pages = Page::all(&source);
    let mut named = BTreeSet::new();
    for page in pages
        .iter()
        .filter(|page| !page.path.ends_with("SUMMARY.md"))
    {
        for (_, target) in page.links() {
            let file = target.split('#').next().unwrap();
            let path = plain(&page.path.parent().unwrap().join(file));
            if path != page.path {
                named.insert(path);
            }
        }
    }
    let is_first = |page: &&Page| {
        let path = page.path.strip_prefix(&source).unwrap();
        path.starts_with("how-to") || path.parent() == Some(Path::new(""))
    };
    let alone: Vec<String> = pages
        .iter()
        .filter(|page| !is_first(page) && !named.contains(&page.path))
        .map(Page::name)
        .collect();
    assert!(alone.is_empty(), "{}", alone.join("\n"));
}
