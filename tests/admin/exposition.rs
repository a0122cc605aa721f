//! The text format of Prometheus, read by hand: families, their types and samples.

use std::collections::{BTreeMap, BTreeSet};

/// Samples, by name and labels as they stand.
#[derive(Debug, Default)]
pub struct Exposition {
    /// The type of each family.
    pub families: BTreeMap<String, String>,
    pub samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// Anything that is not well-formed fails.
    #[track_caller]
    pub fn parse(text: &str) -> Exposition {
        let mut exposition = Exposition::default();
        let mut helped = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty(), "{line}");
                assert!(helped.insert(name.to_owned()), "{name} comes twice");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(helped.contains(name), "{name} has no help");
                exposition.families.insert(name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert!(
                    exposition.family(name(series)).is_some(),
                    "{series} belongs to no family"
                );
                let before = exposition.samples.insert(series.to_owned(), value);
                assert_eq!(before, None, "{series} comes twice");
            }
        }
        exposition
    }

    /// The family that a sample of this name belongs to.
    pub fn family(&self, name: &str) -> Option<&str> {
        let known = |name: &str| self.families.get_key_value(name);
        if let Some((family, _)) = known(name) {
            return Some(family);
        }
        let parts = ["_bucket", "_sum", "_count"];
        let family = parts.iter().find_map(|part| name.strip_suffix(part))?;
        let (family, kind) = known(family)?;
        (kind == "histogram").then_some(family.as_str())
    }

    /// One sample, by its name and labels.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        match self.samples.get(series) {
            Some(value) => *value,
            None => panic!("no {series} in {:#?}", self.samples.keys()),
        }
    }

    /// Samples whose name begins so, that have grown since then, and by how much.
    pub fn grown(&self, since: &Exposition, start: &str) -> BTreeMap<String, f64> {
        let of_name = self.samples.iter().filter(|(s, _)| s.starts_with(start));
        let grown = of_name.map(|(series, value)| {
            let before = since.samples.get(series).copied().unwrap_or(0.0);
            (series.clone(), value - before)
        });
        grown.filter(|(_, by)| *by != 0.0).collect()
    }
}

/// The name of a sample.
pub fn name(series: &str) -> &str {
    series.split('{').next().unwrap()
}
