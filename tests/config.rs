//! The configuration: the sample file against the program, and every way to get it wrong.

use outgate::config::Config;
use outgate::config::load::parse;

const SAMPLE: &str = include_str!("../config/outgate.toml");

/// The sample with its keys switched on, and its sentences left out.
fn switched_on() -> String {
    SAMPLE
        .lines()
        .filter_map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => Some(rest),
            Some(_) => None,
            None => Some(line),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, value)| {
        let word = |c: char| c.is_ascii_lowercase() || c == '-';
        !key.is_empty()
            && key.chars().all(word)
            && value.starts_with(['"', '[', '{', 't', 'f', '0', '4'])
    })
}

#[test]
fn the_sample_as_shipped_changes_nothing() {
    assert_eq!(parse(SAMPLE, "sample").unwrap(), Config::default());
}

#[test]
fn the_sample_shows_every_key_at_its_default() {
    let text = switched_on();
    assert_eq!(parse(&text, "sample").unwrap(), Config::default());
    // A key that the program has and the sample lacks: every table refuses an unknown key and
    // names those that it knows.
    let table: toml::Table = text.parse().unwrap();
    for (section, keys) in &table {
        let error = parse(&format!("[{section}]\nno-such-key = 1\n"), "f")
            .unwrap_err()
            .to_string();
        let known: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(!known.is_empty(), "{error}");
        for key in known {
            assert!(
                keys.get(key).is_some(),
                "config/outgate.toml lacks {section}.{key}"
            );
        }
    }
    let error = parse("no-such-table = 1\n", "f").unwrap_err().to_string();
    for section in error.split('`').skip(3).step_by(2) {
        assert!(
            table.contains_key(section),
            "config/outgate.toml lacks [{section}]"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn an_error_names_file_line_key_and_problem() {
    for (text, place, problem) in [
        (
            "[milter]\nmax-conections = 3\n",
            "f:2: milter.max-conections: ",
            "unknown field",
        ),
        (
            "[milter]\nmax-connections = \"many\"\n",
            "f:2: milter.max-connections: ",
            "invalid type",
        ),
        (
            "[milter]\nmax-connections = 0\n",
            "f:2: milter.max-connections: ",
            "nonzero",
        ),
        (
            "[any-domain]\nrequire-spf = \"maybe\"\n",
            "f:2: any-domain.require-spf: ",
            "maybe",
        ),
        (
            "\n[listen]\nauth = \"unix:relative.sock\"\n",
            "f:3: listen.auth: ",
            "absolute",
        ),
        (
            "[listen]\npolicy = \"/run/x.sock\"\n",
            "f:2: listen.policy: ",
            "is not an endpoint",
        ),
        (
            "[listen]\npolicy = \"inet:127.0.0.1:99999\"\n",
            "f:2: listen.policy: ",
            "is not an endpoint",
        ),
        (
            "[listen]\nsocket-mode = \"0999\"\n",
            "f:2: listen.socket-mode: ",
            "octal",
        ),
        (
            "[listen]\nsocket-mode = 660\n",
            "f:2: listen.socket-mode: ",
            "invalid type",
        ),
        (
            "[store]\nurl = \"mysql://x\"\n",
            "f:2: store.url: ",
            "is not a store",
        ),
        (
            "[store]\nurl = \"sqlite:relative.db\"\n",
            "f:2: store.url: ",
            "sqlite:/absolute/path",
        ),
        (
            "[relay]\negress = [\"192.0.2.300\"]\n",
            "f:2: relay.egress: ",
            "192.0.2.300",
        ),
        (
            "[relay]\nspf-include = \"spf\"\n",
            "f:2: relay.spf-include: ",
            "is not a name that an SPF record can include",
        ),
        (
            "\n[any-domain]\n# require-spf\nrequire-dmarc = true\nrequire-spf = \"pass\"\n",
            "f:5: any-domain.require-spf: ",
            "needs relay.egress",
        ),
        (
            "\n\nany-domain.require-spf = \"pass\"\n",
            "f:3: any-domain.require-spf: ",
            "needs relay.egress",
        ),
        (
            "\nany-domain = { require-dmarc = true, require-spf = \"include\" }\n",
            "f:2: any-domain.require-spf: ",
            "needs relay.spf-include",
        ),
        (
            "[any-domain]\n\n\"require-spf\" = 'include'\n",
            "f:3: any-domain.require-spf: ",
            "needs relay.spf-include",
        ),
        (
            "[quota]\ntime-zone = \"Mars/Olympus\"\n",
            "f:2: quota.time-zone: ",
            "time zone",
        ),
        (
            "[log]\nkeep = \"soon\"\n",
            "f:2: log.keep: ",
            "length of time",
        ),
        (
            "[auth]\ncache-ttl = \"0s\"\n",
            "f:2: auth.cache-ttl: ",
            "longer than nothing",
        ),
        (
            "[auth]\nhash = { memory-kib = 1 }\n",
            "f:2: auth.hash: ",
            "memory-kib must be",
        ),
        (
            "[auth]\nthrottle = { distinct-failures = 0 }\n",
            "f:2: auth.throttle: ",
            "nonzero",
        ),
        (
            "[reply]\nreport-url = \"ftp://x\"\n",
            "f:2: reply.report-url: ",
            "report URL",
        ),
        (
            "[milter]\ntrace-header = \"From\"\n",
            "f:2: milter.trace-header: ",
            "header name",
        ),
        ("[log]\nformat = text\n", "f:2: log.format: ", ""),
        (
            "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
            "f:3: log.level: ",
            "duplicate",
        ),
        ("[nothing]\n", "f:1: nothing: ", "unknown field"),
        ("what is this", "f:1: ", ""),
    ] {
        let error = parse(text, "f").unwrap_err().to_string();
        assert!(error.starts_with(place), "{text:?}: {error}");
        assert!(error.contains(problem), "{text:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn an_empty_file_is_a_valid_configuration() {
    assert_eq!(parse("", "f").unwrap(), Config::default());
}

#[test]
fn what_is_written_is_what_is_meant() {
    let config = parse(
        "[listen]\nauth = \"\"\npolicy = \"inet:[::1]:10031\"\nsocket-mode = \"0666\"\n\
         [relay]\negress = [\"192.0.2.0/28\", \"2001:db8::1\"]\n[log]\nkeep = \"12h\"\n",
        "f",
    )
    .unwrap();
    assert_eq!(config.listen.auth.to_string(), "");
    assert_eq!(config.listen.policy.to_string(), "inet:[::1]:10031");
    assert_eq!(config.listen.socket_mode.0, 0o666);
    assert_eq!(config.relay.egress.0.len(), 2);
    assert_eq!(config.log.keep.0.as_secs(), 12 * 3600);
    let off = parse("[log]\nkeep = \"0\"\n", "f").unwrap();
    assert!(off.log.keep.0.is_zero());
}
