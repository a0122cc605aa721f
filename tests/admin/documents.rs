//! Dashboard, alert rules and documentation name figures that there are, and the documentation all of
//! them.

use std::collections::BTreeSet;
use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

use crate::exposition::{Exposition, name};
use crate::web::{ready, site};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap()
}

fn exposition() -> Exposition {
    let site = site();
    let (_daemon, web) = ready(&site);
    web.scrape()
}

/// The figures that an expression or a text names, each with its matchers if it has some.
fn figures(text: &str) -> Vec<(&str, Option<&str>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.match_indices("outgate_");
    let alone = starts.filter(|(at, _)| !text[..*at].ends_with(is_name));
    alone
        .map(|(at, _)| {
            let rest = &text[at..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let matchers = rest[end..].strip_prefix('{');
            (&rest[..end], matchers.and_then(|m| m.split('}').next()))
        })
        .collect()
}

/// Whether the figure is there, and each label with each value that it is asked for.
#[track_caller]
fn exists(exposition: &Exposition, expression: &str) {
    for (figure, matchers) in figures(expression) {
        let of_name = |series: &&String| name(series) == figure;
        let series: Vec<&String> = exposition.samples.keys().filter(of_name).collect();
        let shown = exposition.families.contains_key(figure);
        assert!(shown || !series.is_empty(), "no {figure}: {expression}");
        for matcher in matchers.into_iter().flat_map(|m| m.split(',')) {
            let (label, rest) = matcher.split_once(['=', '!']).unwrap();
            if label == "instance" {
                continue;
            }
            let values = rest.trim_start_matches(['=', '~']).trim_matches('"');
            for value in values.split('|') {
                let pair = format!("{label}=\"{value}\"");
                let found = series.iter().any(|series| series.contains(&pair));
                assert!(found, "no {figure} with {pair}: {expression}");
            }
        }
    }
}

#[test]
fn alerts_are_about_what_is_there() {
    let exposition = exposition();
    let rules = YamlLoader::load_from_str(&read("packaging/prometheus/alerts.yml")).unwrap();
    let rules = rules[0]["groups"][0]["rules"].as_vec().unwrap();
    let mut names = BTreeSet::new();
    for rule in rules {
        let text = |value: &Yaml| value.as_str().unwrap().to_owned();
        let alert = text(&rule["alert"]);
        let expression = text(&rule["expr"]);
        if alert != "OutgateDown" {
            assert!(!figures(&expression).is_empty(), "{alert}");
        }
        exists(&exposition, &expression);
        let severity = text(&rule["labels"]["severity"]);
        assert!(["critical", "warning", "info"].contains(&severity.as_str()));
        for annotation in ["summary", "description"] {
            assert!(!text(&rule["annotations"][annotation]).is_empty());
        }
        let documented = read("docs/src/reference/monitoring.md").contains(&format!("`{alert}`"));
        assert!(documented, "{alert} is not in the documentation");
        assert!(names.insert(alert.clone()), "{alert} comes twice");
    }
    assert!(names.len() >= 10, "{names:?}");
}

#[test]
fn the_dashboard_shows_what_is_there() {
    let exposition = exposition();
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("packaging/grafana/outgate.json")).unwrap();
    let (mut ids, mut expressions) = (BTreeSet::new(), 0);
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert!(!figures(expression).is_empty(), "{panel}");
            exists(&exposition, expression);
            expressions += 1;
        }
    }
    assert!(expressions >= 30, "{expressions}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        exists(&exposition, variable["definition"].as_str().unwrap_or(""));
    }
}

#[test]
fn every_figure_is_documented() {
    let exposition = exposition();
    let text = read("docs/src/reference/monitoring.md");
    let documented: BTreeSet<&str> = figures(&text).into_iter().map(|(name, _)| name).collect();
    let shown: BTreeSet<&str> = exposition.families.keys().map(String::as_str).collect();
    assert_eq!(documented, shown);
}
