//! The pages about replies: what a client reads is what a real Postfix with outgate beside it says in the case that
//! the page describes, the command that helps is the one that outgate names, and no reason is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use outgate::decision::Decision;
use outgate::decision::reason::Reason;
use outgate::decision::sentence::reply;
use outgate::model::header_from::FromError;
use serde_json::Value;

use crate::case::{Case, Heard, PASSWORD};
use crate::host::{Host, Setup};
use crate::page::{Page, root};

/// Everybody who plays a part in the pages.
const PEOPLE: &[&str] = &[
    "account add rival --plan pro",
    "account add trial --plan pro",
    "domain add example.com --trusted",
    "domain add rival.example --account rival --trusted",
    "user add shop --allow example.com",
    "user add office --allow example.com --ip 192.0.2.0/24",
    "user add newsletter --allow example.com --quota 100/day --max-recipients 50",
    "user add agency --mode any-domain",
    "user add freelance --account trial --mode any-domain",
    "user add resting --allow example.com",
    "user suspend resting",
    "account set trial --plan free",
];

const CONFIG: &str = r#"timeout = "2s"
[relay]
spf-include = "spf.relay.example"
[any-domain]
require-dmarc = true
[quota]
[sender]
[reply]
report-url = "https://relay.example/r/{id}"
"#;

/// Names that are alike but for one thing each.
const ZONE: &str = r#"
spf.relay.example       TXT "v=spf1 ip4:192.0.2.1 -all"
elsewhere.example       TXT "v=spf1 include:spf.another.example -all"
spf.another.example     TXT "v=spf1 ip4:198.51.100.0/24 -all"
twice.example           TXT "v=spf1 include:spf.relay.example -all"
twice.example           TXT "v=spf1 mx -all"
locked.example          TXT "v=spf1 include:spf.relay.example -all"
_outgate.locked.example TXT "v=og1 auth=somebody-else"
nodmarc.example         TXT "v=spf1 include:spf.relay.example -all"
broken.example          SERVFAIL
_dmarc.elsewhere.example TXT "v=DMARC1; p=none"
"#;

/// What explain has no command for is said in these words.
const NO_COMMAND: &str = "`explain` names no command";

fn pages() -> Vec<Page> {
    let mut pages = Page::all(&root().join("docs/src/replies"));
    pages.retain(|page| !page.path.ends_with("index.md"));
    pages
}

fn index() -> Page {
    Page::read(&root().join("docs/src/replies/index.md"))
}

/// The reasons that a page says it is about.
fn reasons(page: &Page) -> BTreeSet<String> {
    let prose = page.prose();
    let (_, rest) = prose.split_once("Reason in the log: ").unwrap_or_else(|| {
        panic!("{} does not name its reason", page.name());
    });
    let sentence = rest.split('\n').next().unwrap();
    sentence
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Without what is another one each time: ids and times.
fn settled(line: &str) -> String {
    let mut settled = line.to_owned();
    for (before, stand_in) in [
        (" See https://relay.example/r/", "ID"),
        ("try again after ", "TIME"),
    ] {
        if let Some(at) = settled.find(before) {
            let start = at + before.len();
            let end = settled[start..]
                .find(' ')
                .map_or(settled.len(), |n| start + n);
            settled.replace_range(start..end, stand_in);
        }
    }
    settled
}

/// `550 5.7.1 …`
fn is_reply(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 10
        && bytes[..3].iter().all(u8::is_ascii_digit)
        && bytes[3] == b' '
        && bytes[5] == b'.'
}

/// One host, whose configuration follows what the cases want.
struct Stage {
    host: Host,
    wiring: &'static str,
    original: String,
    in_force: Vec<String>,
}

impl Stage {
    fn new(wiring: &'static str) -> Stage {
        let setup = Setup {
            config: CONFIG,
            zone: ZONE,
            main: "mydestination = example.com\nsmtpd_hard_error_limit = 1000\nsmtpd_junk_command_limit = 1000\n",
            ..Setup::new(wiring)
        };
        let host = Host::start(setup, PEOPLE);
        let original = fs::read_to_string(host.path("outgate.toml")).unwrap();
        Stage {
            host,
            wiring,
            original,
            in_force: Vec::new(),
        }
    }

    /// Puts these settings (`table.key = value`) in force, beside what is always there.
    fn configure(&mut self, settings: &[String]) {
        if self.in_force == settings {
            return;
        }
        let mut text = self.original.clone();
        for setting in settings {
            let (table, rest) = setting.split_once('.').unwrap();
            let (key, _) = rest.split_once(" = ").unwrap();
            let others = text
                .lines()
                .filter(|line| !line.starts_with(&format!("{key} = ")));
            let lines: Vec<&str> = others.collect();
            text = lines
                .join("\n")
                .replace(&format!("[{table}]"), &format!("[{table}]\n{rest}"));
            assert!(text.contains(rest), "no [{table}] in the configuration");
        }
        self.host.stop_outgate();
        fs::write(self.host.path("outgate.toml"), text).unwrap();
        self.host.start_outgate();
        self.in_force = settings.to_vec();
    }

    fn plays(&self, case: &Case) -> bool {
        case.wiring
            .as_deref()
            .is_none_or(|wiring| wiring == self.wiring)
    }

    fn play(&mut self, case: &Case, also: &[String]) -> Heard {
        let settings: Vec<String> = case.config.iter().chain(also).cloned().collect();
        self.configure(&settings);
        case.play(&self.host)
    }

    /// The command that outgate names for what was heard.
    fn fix(&self, case: &Case, heard: &Heard) -> String {
        let answer = if heard.logged["stage"] == "auth" && case.mail.is_none() {
            self.login_test(case)
        } else {
            self.host.explain_id(heard.logged["id"].as_str().unwrap())
        };
        answer["fix"].as_str().unwrap().to_owned()
    }

    fn login_test(&self, case: &Case) -> Value {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outgate"))
            .arg("-c")
            .arg(self.host.path("outgate.toml"))
            .args(["--json", "user", "test", case.login.as_deref().unwrap()])
            .args(["--ip", case.address(), "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let password = case.password.as_deref().unwrap_or(PASSWORD);
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
    }
}

/// What was heard in the cases of each page, and the commands that were named.
#[derive(Default)]
struct Found {
    replies: BTreeMap<String, BTreeSet<String>>,
    fixes: BTreeMap<String, BTreeSet<String>>,
}

fn play(wiring: &'static str) -> Found {
    let mut stage = Stage::new(wiring);
    let mut cases: Vec<Case> = pages().iter().flat_map(Case::all).collect();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    cases.retain(|case| stage.plays(case));
    // Those of one configuration after each other.
    cases.sort_by_key(|case| case.config.clone());
    let mut found = Found::default();
    for case in &cases {
        let heard = stage.play(case, &[]);
        let replies = found.replies.entry(case.page.clone()).or_default();
        replies.insert(settled(&heard.answer));
        let fix = stage.fix(case, &heard);
        found
            .fixes
            .entry(case.page.clone())
            .or_default()
            .insert(fix);
    }
    if wiring == "auth-milter" {
        let short = ["reply.detail = false".to_owned()];
        for case in &cases {
            let heard = stage.play(case, &short);
            let replies = found.replies.entry(case.page.clone()).or_default();
            replies.insert(settled(&heard.answer));
        }
    }
    found
}

#[test]
fn replies_are_what_postfix_says_and_commands_what_outgate_names() {
    let (milter, policy) = std::thread::scope(|scope| {
        let milter = scope.spawn(|| play("auth-milter"));
        let policy = play("auth-policy");
        (milter.join().unwrap(), policy)
    });
    let mut faults = Vec::new();
    for page in pages() {
        let name = page.name();
        let of = |found: &BTreeMap<String, BTreeSet<String>>| {
            found.get(&name).cloned().unwrap_or_default()
        };
        let mut heard = of(&milter.replies);
        heard.extend(of(&policy.replies));
        let code = page.code();
        let written: BTreeSet<String> = code
            .iter()
            .filter(|l| is_reply(l))
            .map(|l| settled(l))
            .collect();
        for reply in heard.difference(&written) {
            faults.push(format!("{name} lacks:\n    {reply}"));
        }
        for reply in written.difference(&heard) {
            faults.push(format!("{name} says what nobody heard:\n    {reply}"));
        }
        let mut fixes = of(&milter.fixes);
        fixes.extend(of(&policy.fixes));
        for fix in &fixes {
            let there = match fix.as_str() {
                "" => page.text.contains(NO_COMMAND),
                fix => code.contains(&fix),
            };
            if !there {
                faults.push(format!("{name} lacks the command:\n    {fix:?}"));
            }
        }
        if !fixes.contains("") && page.text.contains(NO_COMMAND) {
            faults.push(format!("{name} says that there is no command: {fixes:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_reason_has_one_page_and_every_page_a_reason() {
    let mut found: Vec<String> = Vec::new();
    for page in pages() {
        let named = reasons(&page);
        assert!(!named.is_empty(), "{} is about no reason", page.name());
        for case in Case::all(&page) {
            assert!(
                named.contains(&case.reason),
                "{}: {}",
                page.name(),
                case.reason
            );
        }
        found.extend(named);
    }
    found.sort();
    let refusals = Reason::ALL
        .into_iter()
        .filter(|reason| *reason != Reason::Allowed);
    let mut all: Vec<String> = refusals.map(|reason| reason.id().to_owned()).collect();
    all.sort();
    assert_eq!(found, all);
}

#[test]
fn every_reason_is_heard_in_a_case() {
    let cases = pages().iter().flat_map(Case::all).collect::<Vec<_>>();
    let heard: BTreeSet<&str> = cases.iter().map(|case| case.reason.as_str()).collect();
    for reason in Reason::ALL {
        let expected = !matches!(reason, Reason::Allowed | Reason::InternalError);
        assert_eq!(heard.contains(reason.id()), expected, "{reason}");
    }
    // A fault of ours, or of a Postfix that withholds what it should say: nobody causes it by mail.
    let fault = Decision::trouble(Reason::InternalError);
    let wording = outgate::config::Config::default().wording();
    let said = reply(&fault, &fault.findings[0], &wording, "", "shop", 0).unwrap();
    let pages = pages();
    let page = pages
        .iter()
        .find(|page| reasons(page).contains("internal-error"));
    assert!(
        page.unwrap().code().contains(&said.to_string().as_str()),
        "{said}"
    );
}

/// The title is what somebody types into a search engine: the reply, with dots for what is theirs.
#[test]
fn titles_are_replies() {
    for page in pages() {
        let title = page.title();
        let is_one = page.code().iter().any(|line| {
            let mut rest = *line;
            title.split('…').all(|part| match rest.find(part.trim()) {
                Some(at) => {
                    rest = &rest[at + part.trim().len()..];
                    true
                }
                None => false,
            })
        });
        assert!(is_one, "{}: {title}", page.name());
    }
}

/// People search for the end of the line as well.
#[test]
fn everything_that_can_be_wrong_with_a_header_from_is_named() {
    for error in FromError::ALL {
        let page = match error.is_missing() {
            true => "header-from-missing.md",
            false => "header-from-malformed.md",
        };
        let page = Page::read(&root().join("docs/src/replies").join(page));
        assert!(
            page.text.contains(&error.to_string()),
            "{}: {error}",
            page.name()
        );
    }
}

/// Whether it is worth waiting is said on each page, in the same words.
#[test]
fn pages_say_whether_the_client_tries_again() {
    for page in pages() {
        let code = page.code();
        let begins = |class: &str| {
            code.iter()
                .any(|line| is_reply(line) && line.starts_with(class))
        };
        let temporary = page.text.contains("**Temporary:**");
        let permanent = page.text.contains("**Permanent:**");
        assert_eq!(
            (begins("4"), begins("5")),
            (temporary, permanent),
            "{}",
            page.name()
        );
    }
}

#[test]
fn the_index_names_every_page_with_its_reply_and_reasons() {
    let index = index();
    let rows: Vec<&str> = index
        .text
        .lines()
        .filter(|line| line.starts_with("| ["))
        .collect();
    assert_eq!(rows.len(), pages().len());
    for page in pages() {
        let file = page.path.file_name().unwrap().to_str().unwrap().to_owned();
        let link = format!("| [{}]({file}) |", page.title());
        let row = rows.iter().find(|row| row.starts_with(&link));
        let row = row.unwrap_or_else(|| panic!("the index lacks: {link}"));
        for reason in reasons(&page) {
            assert!(row.contains(&format!("`{reason}`")), "{row}: {reason}");
        }
    }
}
