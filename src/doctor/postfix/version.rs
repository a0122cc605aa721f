//! Which Postfix this is, and which mends it has.

use std::fmt;

/// `mail_version`: `3.7.11`, or `3.12-20260821` for a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// Reads it; what is no number is 0.
    pub fn parse(text: &str) -> Version {
        let numbers = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let mut numbers = numbers.chain(std::iter::repeat(0));
        let mut next = || numbers.next().unwrap_or(0);
        Version {
            major: next(),
            minor: next(),
            patch: next(),
        }
    }

    /// Whether smtpd survives a refusal at END-OF-MESSAGE: mended on 2026-08-09, in all branches
    /// that were still kept.
    pub fn survives_end_of_message(self) -> bool {
        let mended = match (self.major, self.minor) {
            (3, 5) => 27,
            (3, 6) => 20,
            (3, 7) => 22,
            (3, 8) => 20,
            (3, 9) => 14,
            (3, 10) => 13,
            (3, 11) => 6,
            (3, minor) => return minor > 11,
            (major, _) => return major > 3,
        };
        self.patch >= mended
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_survive() {
        for (version, survives) in [
            ("3.4.28", false),
            ("3.5.26", false),
            ("3.5.27", true),
            ("3.7.11", false),
            ("3.7.22", true),
            ("3.10.12", false),
            ("3.11.6", true),
            ("3.12-20260821", true),
            ("4.0.0", true),
            ("2.11.3", false),
            ("", false),
        ] {
            let found = Version::parse(version).survives_end_of_message();
            assert_eq!(found, survives, "{version}");
        }
    }
}
