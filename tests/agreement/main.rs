//! `explain` and the daemon agree: over 10,000 random messages, handed in by policy and by milter to a
//! running daemon, each is explained first. Verdict, reason and reply are the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../nameserver/mod.rs"]
mod nameserver;
#[path = "../daemon/site.rs"]
#[allow(dead_code, reason = "the daemon's own tests use the rest")]
mod site;
mod smtpd;
#[path = "../daemon/submission.rs"]
#[allow(dead_code, reason = "the daemon's own tests use the rest")]
mod submission;

use std::collections::BTreeSet;

use clap::Parser;
use nameserver::{Server, Zone};
use outgate::cli::explain::{Expert, Options};
use outgate::cli::host::Host;
use serde_json::Value;
use site::{Daemon, Site};
use smtpd::{Message, Milter, Policy, Said, Stage};

const ZONE: &str = r#"
    pass.example            TXT "v=spf1 ip4:198.51.100.7 -all"
    pass.example            MX 10 mx.pass.example
    _dmarc.pass.example     TXT "v=DMARC1; p=none"
    include.example         TXT "v=spf1 include:spf.relay.example ?all"
    spf.relay.example       TXT "v=spf1 ip4:198.51.100.7 -all"
    other.example           TXT "v=spf1 ip4:203.0.113.0/24 -all"
    never.example           TXT "v=spf1 -all"
    broken.example          TXT "v=spf1 a:%{bad} -all"
    twice.example           TXT "v=spf1 +all"
    twice.example           TXT "v=spf1 -all"
    locked.example          TXT "v=spf1 ip4:198.51.100.7 -all"
    _outgate.locked.example TXT "v=og1 auth=nobody"
    mine.example            TXT "v=spf1 ip4:198.51.100.7 -all"
    _outgate.mine.example   TXT "v=og1 auth=any"
    empty.example           A 192.0.2.1
    trouble.example         SERVFAIL
"#;

/// Everything that `outgate` is told, a command a line.
const SETUP: &str = "
    account add acme
    account add poor --plan free
    domain add example.com --trusted
    domain add wide.example --trusted --with-subdomains
    domain add pending.example
    domain add acme.example --account acme --trusted
    domain add poor.example --account poor --trusted
    user add shop --allow example.com --allow *.wide.example --ip 192.0.2.0/24 --ip 2001:db8::/32
    user add boss --allow boss@example.com --login boss@example.com
    user add open --allow example.com --check-from envelope
    user add head --allow example.com --check-from header
    user add list --allow wide.example --max-recipients 3
    user add trial --allow example.com --ip 192.0.2.7 --enforce audit
    user add gone --allow example.com
    user suspend gone
    user add late --allow pending.example
    user add all --mode all-domains
    user add acme --account acme --mode all-domains --quota 2/total_recipients
    user add any --mode any-domain
    user add poor --account poor --mode default --allow poor.example
    account add fell
    user add fell --account fell --mode any-domain
    account set fell --plan free
    user add full --allow example.com --quota 1/total
    user add few --allow example.com --quota 40/total_recipients
";

const LOGINS: &[&str] = &[
    "shop",
    "SHOP",
    "boss",
    "Boss@Example.com",
    "open",
    "head",
    "list",
    "trial",
    "gone",
    "late",
    "all",
    "acme",
    "any",
    "any",
    "any",
    "poor",
    "fell",
    "full",
    "few",
    "stranger",
    "str%anger",
    "bad name",
];

const CLIENTS: &[&str] = &[
    "192.0.2.7",
    "192.0.2.200",
    "::ffff:192.0.2.9",
    "2001:db8::1",
    "203.0.113.9",
    "unknown",
];

const LOCALS: &[&str] = &[
    "a", "boss", "BOSS", "boss+tag", "\"a b\"", "a%b", "x!y", "jürgen",
];

const DOMAINS: &[&str] = &[
    "example.com",
    "EXAMPLE.com.",
    "sub.example.com",
    "wide.example",
    "a.wide.example",
    "b.a.wide.example",
    "pending.example",
    "acme.example",
    "poor.example",
    "pass.example",
    "include.example",
    "other.example",
    "never.example",
    "broken.example",
    "twice.example",
    "locked.example",
    "mine.example",
    "empty.example",
    "trouble.example",
    "missing.example",
    "bücher.example",
    "[192.0.2.1]",
    "-.example",
    "localhost",
    "a..b",
    "",
];

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % most as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn address(&mut self) -> String {
        format!("{}@{}", self.one(LOCALS), self.one(DOMAINS))
    }

    fn sender(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => self.one(LOCALS).to_owned(),
            2..=5 => "a@example.com".to_owned(),
            _ => self.address(),
        }
    }

    fn header(&mut self) -> String {
        let (one, two) = (self.address(), self.address());
        match self.below(10) {
            0 => format!("{one}, Jane <{two}>"),
            1 => format!("\"{two}\" <{one}>"),
            2 => "Undisclosed:;".to_owned(),
            3 => format!("<{one}"),
            4 => format!("Jane <{one}> (Sales, (EU))"),
            5..=7 => "Jane <a@example.com>".to_owned(),
            _ => format!("Jane <{one}>"),
        }
    }

    fn message(&mut self) -> Message {
        // Without a field, `explain` judges none.
        let fields = [1, 1, 1, 1, 1, 1, 1, 2][self.below(8)];
        Message {
            login: self.one(LOGINS).to_owned(),
            client: self.one(CLIENTS),
            sender: self.sender(),
            from: (0..fields).map(|_| self.header()).collect(),
            recipients: u32::try_from([1, 1, 1, 2, 4, 50][self.below(6)]).unwrap(),
        }
    }
}

#[derive(Parser)]
struct Explain {
    #[command(flatten)]
    options: Options,
}

/// What `outgate explain` says of what is known of a message: its envelope, and at the last question
/// how many recipients it has, and its header.
fn explained(expert: &Expert, message: &Message, last: bool, header: bool) -> Value {
    let mut args = vec!["explain", "--user", &message.login, "--ip", message.client];
    args.extend(["--mail-from", &message.sender]);
    let recipients = message.recipients.to_string();
    if last {
        args.extend(["--recipients", &recipients]);
    }
    for from in message.from.iter().filter(|_| header) {
        args.extend(["--header-from", from]);
    }
    let Explain { options } = Explain::try_parse_from(args).unwrap();
    let answer = expert.answer(&options.case().unwrap()).unwrap();
    serde_json::to_value(&answer).unwrap()
}

/// What even audit mode does not let pass.
const IN_FORCE: [&str; 4] = [
    "suspended",
    "dns-unavailable",
    "store-unavailable",
    "internal-error",
];

fn passes(answer: &Value) -> bool {
    let audited =
        answer["audit"] == true && !IN_FORCE.contains(&answer["reason"].as_str().unwrap());
    answer["verdict"] == "allow" || audited
}

/// Fails unless the last word was the one that was explained, and all before it were to pass; what
/// was explained of the last stage.
fn compare<'a>(message: &Message, explained: &'a [(Stage, Value)], said: &Said) -> &'a Value {
    for (stage, answer) in explained {
        let expected = match passes(answer) {
            true => "",
            false => answer["reply"].as_str().unwrap(),
        };
        if *stage == said.stage {
            assert_eq!(said.reply, expected, "{message:?} at {stage:?}: {answer}");
            return answer;
        }
        assert_eq!(expected, "", "{message:?} passed {stage:?}: {answer}");
    }
    panic!("{message:?} ended at {said:?}");
}

/// The lines of one message in the daemon's log: up to the one that says what came of it.
fn lines_of_one(lines: &mut impl Iterator<Item = Value>) -> Vec<Value> {
    let mut of_one = Vec::new();
    for line in lines {
        let over = line["verdict"] == "allow" || !passes(&line);
        of_one.push(line);
        if over {
            break;
        }
    }
    of_one
}

/// Reasons that some message has to meet under every configuration.
const REASONS: [&str; 16] = [
    "allowed",
    "ip-not-authorized",
    "suspended",
    "plan",
    "sender-not-allowed",
    "sender-malformed",
    "owned-by-another-account",
    "locked-down",
    "spf-missing",
    "spf-invalid",
    "dns-unavailable",
    "header-from-not-allowed",
    "header-from-missing",
    "header-from-malformed",
    "quota-exceeded",
    "too-many-recipients",
];

/// A site with all users and domains, and the name server that it asks.
fn site(config: &str) -> (Site, Server) {
    let server = Server::start(Zone::parse(ZONE).unwrap());
    let dns = format!("[dns]\nservers = [\"{}\"]\n", server.address());
    let site = Site::with(&format!("{config}{dns}"));
    for command in SETUP.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<String> = command
            .split(' ')
            .map(|word| word.replace('_', " "))
            .collect();
        site.done(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    (site, server)
}

/// Hands in so many messages to a daemon with this configuration, some of which meet these reasons
/// and [`REASONS`].
fn agree(seed: u64, messages: usize, config: &str, reasons: &[&str]) {
    let (site, _server) = site(&format!("{config}[log]\nformat = \"json\"\n"));
    let daemon = site.ready();
    let expert = Expert::new(&Host::load(&site.config()).unwrap()).unwrap();
    let mut policy = Policy::connect(&site);
    let mut dice = Dice(seed);
    let mut last_words = Vec::with_capacity(messages);
    for number in 0..messages {
        let message = dice.message();
        let envelope = explained(&expert, &message, false, false);
        let (before, said) = if number % 2 == 0 {
            let last = explained(&expert, &message, true, false);
            let before = vec![(Stage::Rcpt, envelope), (Stage::Data, last)];
            (before, policy.hand_in(&message, number))
        } else {
            let last = explained(&expert, &message, true, true);
            let early = [Stage::Mail, Stage::Rcpt, Stage::Data];
            let mut before = early.map(|stage| (stage, envelope.clone())).to_vec();
            before.push((Stage::Eom, last));
            (before, Milter::connect(&site).hand_in(&message))
        };
        let answer = compare(&message, &before, &said).clone();
        last_words.push((message, answer));
    }
    let seen: BTreeSet<&str> = last_words
        .iter()
        .filter_map(|(_, answer)| answer["reason"].as_str())
        .collect();
    for reason in REASONS.iter().chain(reasons) {
        assert!(seen.contains(reason), "no message met {reason}: {seen:?}");
    }
    assert_logged(daemon, &last_words);
}

/// Fails unless the daemon has written verdict, reason and reply of each message as explained.
fn assert_logged(daemon: Daemon, last_words: &[(Message, Value)]) {
    let log = daemon.err.clone();
    daemon.stop();
    let log = log.text();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut decisions = lines.filter(|line| line["front_end"].is_string());
    for (message, answer) in last_words {
        let logged = lines_of_one(&mut decisions);
        let same = |line: &Value| {
            ["verdict", "reason", "reply"]
                .iter()
                .all(|field| line[field] == answer[field])
        };
        assert!(
            logged.iter().any(same),
            "{message:?}: {answer}, logged {logged:#?}"
        );
    }
    assert_eq!(decisions.next(), None, "nobody asked for this");
}

#[test]
fn by_default() {
    agree(
        1,
        4000,
        "[relay]\negress = [\"198.51.100.7\"]\n",
        &["unknown-user", "spf-not-passing"],
    );
}

#[test]
fn with_everything_else() {
    agree(
        2,
        3000,
        "[relay]\nspf-include = \"spf.relay.example\"\n[sender]\nrecipient-delimiter = \"+\"\n\
         display-name-addresses = \"refuse\"\n[any-domain]\nrequire-dmarc = true\n\
         [lockdown]\napply = \"always\"\n[quota]\nover-limit = \"reject\"\ntime-zone = \"Europe/Berlin\"\n\
         [enforcement]\nunknown-user = \"allow\"\n",
        &["dmarc-missing", "spf-not-including-relay"],
    );
}

#[test]
fn in_audit_mode_without_details() {
    agree(
        3,
        3000,
        "[reply]\ndetail = false\n[enforcement]\nmode = \"audit\"\n",
        &["unknown-user"],
    );
}

/// What `outgate explain -` says of each line of this log that is a decision's.
fn explained_lines(site: &Site, log: &str) -> Vec<Value> {
    let file = site.path("log");
    std::fs::write(&file, log).unwrap();
    let ran = site
        .command(&["--json", "explain", "-"])
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let answers = String::from_utf8(ran.stdout).unwrap();
    answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// In both forms of the log, each line says enough to be explained.
#[test]
fn lines_of_the_log_are_explained() {
    for (seed, format) in [(4, "text"), (5, "json")] {
        let relay = "[relay]\negress = [\"198.51.100.7\"]\n";
        let (site, _server) = site(&format!("{relay}[log]\nformat = \"{format}\"\n"));
        let daemon = site.ready();
        let mut policy = Policy::connect(&site);
        let mut dice = Dice(seed);
        let mut number = 0;
        while number < 300 {
            let message = dice.message();
            // What is left of a quota is another question a moment later; audit mode writes several
            // lines about one message.
            if ["full", "few", "acme", "trial"].contains(&message.login.as_str()) {
                continue;
            }
            number += 1;
            policy.hand_in(&message, number);
        }
        let log = daemon.err.clone();
        daemon.stop();
        let log = log.text();
        let mark = if format == "text" {
            " reason="
        } else {
            "\"reason\":\""
        };
        let reasons: Vec<&str> = log
            .lines()
            .filter_map(|line| line.split_once(mark)?.1.split([' ', '"']).next())
            .collect();
        assert!(reasons.len() >= 300);
        let explained = explained_lines(&site, &log);
        let explained: Vec<&str> = explained
            .iter()
            .map(|answer| answer["reason"].as_str().unwrap())
            .collect();
        assert_eq!(explained, reasons);
    }
}
