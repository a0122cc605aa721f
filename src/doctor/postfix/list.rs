//! Lists in values: words between commas and spaces, and `{ … }` around what belongs together.

/// The words of a list. What stands in braces is one word, braces included.
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut depth) = (None, 0_usize);
    for (at, c) in text.char_indices() {
        let parts = c == ',' || c.is_whitespace();
        if depth == 0 && parts {
            words.extend(start.take().and_then(|start| text.get(start..at)));
            continue;
        }
        start.get_or_insert(at);
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    words.extend(start.and_then(|start| text.get(start..)));
    words
}

/// What stands inside braces; the text itself where there are none.
pub fn bare(word: &str) -> &str {
    let word = word.trim();
    let inside = word.strip_prefix('{').and_then(|w| w.strip_suffix('}'));
    inside.unwrap_or(word).trim()
}

/// A server to ask, and how: `unix:path`, or `{ unix:path, timeout=10s, { default_action = 451 4.7.1 text } }`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Where it is.
    pub place: String,
    /// `name=value`, in order.
    pub attributes: Vec<(String, String)>,
    /// As it stands in the list.
    pub text: String,
}

impl Server {
    /// Reads one word of a list.
    pub fn parse(word: &str) -> Server {
        let mut parts = words(bare(word)).into_iter();
        Server {
            place: parts.next().unwrap_or_default().to_owned(),
            attributes: parts
                .filter_map(|part| bare(part).split_once('='))
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                .collect(),
            text: word.to_owned(),
        }
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// One step of a restriction list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// `check_policy_service SERVER`.
    Policy(Server),
    /// Any other word: a restriction, or the argument of one.
    Word(String),
}

impl Step {
    /// The restriction, in lower case: Postfix compares them so.
    pub fn word(&self) -> String {
        match self {
            Step::Policy(_) => "check_policy_service".to_owned(),
            Step::Word(word) => word.to_ascii_lowercase(),
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Policy(server) => write!(f, "check_policy_service {}", server.text),
            Step::Word(word) => f.write_str(word),
        }
    }
}

/// Steps as a list for main.cf.
pub fn text(steps: &[Step]) -> String {
    let steps: Vec<_> = steps.iter().map(Step::to_string).collect();
    steps.join(", ")
}

/// The steps of a restriction list, with restriction classes resolved.
pub fn steps(text: &str, class: &dyn Fn(&str) -> Option<String>) -> Vec<Step> {
    let mut steps = Vec::new();
    add_steps(text, class, 5, &mut steps);
    steps
}

fn add_steps(
    text: &str,
    class: &dyn Fn(&str) -> Option<String>,
    depth: usize,
    steps: &mut Vec<Step>,
) {
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("check_policy_service") {
            steps.extend(words.next().map(|word| Step::Policy(Server::parse(word))));
            continue;
        }
        match (class(word), depth.checked_sub(1)) {
            (Some(list), Some(depth)) => add_steps(&list, class, depth, steps),
            (Some(_) | None, _) => steps.push(Step::Word(word.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_braces() {
        for (text, expected) in [
            ("", &[][..]),
            (" a, b\tc,,d ", &["a", "b", "c", "d"]),
            ("a { b, { c = d e } } f", &["a", "{ b, { c = d e } }", "f"]),
            ("{a}{b} }c", &["{a}{b}", "}c"]),
            ("{ open", &["{ open"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn servers_with_attributes() {
        let server = Server::parse(
            "{ unix:x/y.sock, timeout=10s, { default_action = 451 4.7.1 Later, please } }",
        );
        assert_eq!(server.place, "unix:x/y.sock");
        assert_eq!(server.attribute("timeout"), Some("10s"));
        assert_eq!(
            server.attribute("default_action"),
            Some("451 4.7.1 Later, please")
        );
        assert_eq!(server.attribute("try_limit"), None);
        assert_eq!(Server::parse("inet:127.0.0.1:1").place, "inet:127.0.0.1:1");
        assert_eq!(Server::parse("").place, "");
    }

    #[test]
    fn classes_are_resolved() {
        let class = |name: &str| match name {
            "ours" => Some("permit_mynetworks check_policy_service unix:p".to_owned()),
            "circle" => Some("circle".to_owned()),
            _ => None,
        };
        let word = |word: &str| Step::Word(word.to_owned());
        let found = steps("Reject_x, ours circle check_policy_service", &class);
        let policy = Step::Policy(Server::parse("unix:p"));
        assert_eq!(
            found,
            [
                word("Reject_x"),
                word("permit_mynetworks"),
                policy,
                word("circle")
            ]
        );
    }
}
