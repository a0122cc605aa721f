//! One thing that is wrong, in the words of whoever has to mend it.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Mail passes unseen, or does not pass at all.
    Problem,
    /// Works, but perhaps not as it is meant.
    Advice,
}

/// One thing that is wrong. The names of the fields are a promise to scripts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Which check it comes from: a word that does not change, listed in `docs/src/reference/doctor.md`.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// What comes of it.
    pub why: String,
    /// The commands or lines that mend it, one a line.
    pub fix: String,
    /// The services of master.cf that it is about; empty: the whole host.
    pub services: Vec<String>,
}

impl Finding {
    /// Something that lets mail pass unseen, or stops it.
    pub fn problem(
        id: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            id,
            severity: Severity::Problem,
            what: what.into(),
            why: why.into(),
            fix: fix.into(),
            services: Vec::new(),
        }
    }

    /// Something that is perhaps not meant.
    pub fn advice(
        id: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Advice,
            ..Finding::problem(id, what, why, fix)
        }
    }

    /// The same, about a service of master.cf.
    pub fn of(self, service: &str) -> Finding {
        Finding {
            services: vec![service.to_owned()],
            ..self
        }
    }

    fn is_like(&self, other: &Finding) -> bool {
        (self.id, self.severity, &self.what, &self.why)
            == (other.id, other.severity, &other.what, &other.why)
    }

    fn take_in(&mut self, other: Finding) {
        for service in other.services {
            if !self.services.contains(&service) {
                self.services.push(service);
            }
        }
        self.fix = format!("{}\n{}", self.fix, other.fix);
    }
}

/// Each line once, and what makes Postfix read its files again behind all others.
fn in_order(fix: &str) -> String {
    let is_last = |line: &&str| line.starts_with("postfix ") && line.ends_with(" reload");
    let (last, others): (Vec<&str>, Vec<&str>) = fix.lines().partition(is_last);
    let mut lines: Vec<&str> = Vec::new();
    for line in others.into_iter().chain(last) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// What is wrong in the same way with several services is said once. Problems come first.
pub fn joined(findings: Vec<Finding>) -> Vec<Finding> {
    let mut joined: Vec<Finding> = Vec::new();
    for finding in findings {
        match joined.iter_mut().find(|known| known.is_like(&finding)) {
            Some(known) => known.take_in(finding),
            None => joined.push(finding),
        }
    }
    for finding in &mut joined {
        finding.fix = in_order(&finding.fix);
    }
    joined.sort_by_key(|finding| finding.severity);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fault_of_two_services_is_one_finding() {
        let fault = |service, fix: &str| Finding::advice("a", "b", "c", fix).of(service);
        let other = Finding::problem("a", "b", "c", "g");
        let all = joined(vec![
            fault("x", "e\npostfix reload"),
            other.clone(),
            fault("y", "d\npostfix reload\ne"),
        ]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], other);
        assert_eq!(all[1].services, ["x", "y"]);
        assert_eq!(all[1].fix, "e\nd\npostfix reload");
    }
}
