//! Conversations, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::socket::Front;

const WORLD: &str = "
    user shop --password correct~horse --login jane@example.com
    user office --password correct~horse --ip 192.0.2.0/24 --ip 2001:db8::/32
    user idle --password correct~horse --suspended
    user trial --password correct~horse --ip 192.0.2.0/24 --enforce audit
    user begun --password correct~horse --ip 192.0.2.0/24 --enforce audit --until 2999-01-01T00:00:00Z
    user over --password correct~horse --ip 192.0.2.0/24 --enforce audit --until 2020-01-01T00:00:00Z
";

#[tokio::test]
async fn the_dialogues() {
    let mut count = 0;
    for dialogue in include_str!("dialogues.txt").split("\n= ").skip(1) {
        play(dialogue).await;
        count += 1;
    }
    assert!(count > 30, "only {count} dialogues");
}

async fn play(dialogue: &str) {
    let (title, lines) = dialogue.split_once('\n').unwrap();
    let front = Front::new(WORLD);
    let mut smtpd = front.connect().await;
    let mut reasons = String::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (who, what) = line.split_at(2);
        let what = bytes(what.strip_prefix(' ').unwrap_or(what));
        match who {
            "C:" => smtpd.send(&[&what, &b"\n"[..]].concat()).await,
            "S:" => {
                let expected = String::from_utf8(what).unwrap();
                assert_eq!(smtpd.line().await, expected, "{title}: {line}");
            }
            "L:" => reasons = String::from_utf8(what).unwrap(),
            _ => panic!("{title}: what is {line}?"),
        }
    }
    assert_eq!(smtpd.rest().await, "", "{title}");
    assert_eq!(front.reasons().join(" "), reasons, "{title}");
}

/// The bytes that a line of the dialogues stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '|' => bytes.push(b'\t'),
            '{' => {
                let (inside, more) = rest.split_once('}').unwrap();
                bytes.extend(STANDARD.encode(unescape(inside)).bytes());
                rest = more;
            }
            '\\' => {
                let length = if rest.starts_with('x') { 3 } else { 1 };
                bytes.extend(unescape(&format!("\\{}", &rest[..length])));
                rest = &rest[length..];
            }
            c => bytes.extend(c.to_string().bytes()),
        }
    }
    bytes
}

fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (byte, length) = match &part[..1] {
            "0" => (0, 1),
            "n" => (b'\n', 1),
            "r" => (b'\r', 1),
            "t" => (b'\t', 1),
            "x" => (u8::from_str_radix(&part[1..3], 16).unwrap(), 3),
            other => panic!("what is \\{other}?"),
        };
        bytes.push(byte);
        bytes.extend(part[length..].bytes());
    }
    bytes
}

#[tokio::test]
async fn the_handshake_comes_at_once_and_in_order() {
    let front = Front::new("");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut smtpd = front.open();
        let mut lines = Vec::new();
        loop {
            match smtpd.line().await.as_str() {
                "DONE" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let process = format!("SPID\t{}", std::process::id());
        assert_eq!(
            lines[..4],
            [
                "VERSION\t1\t2",
                "MECH\tPLAIN\tplaintext",
                "MECH\tLOGIN\tplaintext",
                &process
            ]
        );
        let cookie = lines[5].strip_prefix("COOKIE\t").unwrap();
        assert!(cookie.len() == 32 && cookie.bytes().all(|b| b.is_ascii_hexdigit()));
        ids.push(lines[4].strip_prefix("CUID\t").unwrap().to_owned());
        ids.push(cookie.to_owned());
        assert_eq!(smtpd.rest().await, "");
    }
    assert_ne!(ids[..2], ids[2..]);
}

#[tokio::test]
async fn bytes_that_come_singly_are_the_same_line() {
    let front = Front::new(WORLD);
    let mut smtpd = front.connect().await;
    for byte in bytes("AUTH|1|PLAIN|secured|resp={\\0shop\\0correct~horse}") {
        smtpd.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    smtpd.send(b"\n").await;
    assert_eq!(smtpd.line().await, "OK\t1\tuser=shop");
}

#[tokio::test]
async fn a_line_without_end_closes_its_connection_and_no_other() {
    let front = Front::new(WORLD);
    let mut other = front.connect().await;
    let mut smtpd = front.connect().await;
    let mut long = bytes("AUTH|1|PLAIN|secured|resp=");
    long.resize(16_384, b'A');
    smtpd.send(&[&long, &b"\n"[..]].concat()).await;
    assert_eq!(
        smtpd.line().await,
        "FAIL\t1\treason=Authentication failed",
        "as long as allowed"
    );
    smtpd.send(&[&long, &b"A\n"[..]].concat()).await;
    assert_eq!(smtpd.line().await, "(closed)");
    let mut endless = front.connect().await;
    for _ in 0..100 {
        endless.send(&[b'A'; 1000]).await;
    }
    assert_eq!(endless.line().await, "(closed)");
    assert_eq!(
        other.login("shop", "correct~horse", "192.0.2.7").await,
        "OK shop"
    );
}

#[tokio::test]
async fn clear_text_is_taken_where_the_configuration_says_so() {
    let front = Front::new(&format!("{WORLD}\nconfig auth.require-tls = false"));
    let mut smtpd = front.connect().await;
    smtpd
        .send(&bytes("AUTH|1|PLAIN|resp={\\0shop\\0correct~horse}"))
        .await;
    smtpd.send(b"\n").await;
    assert_eq!(smtpd.line().await, "OK\t1\tuser=shop");
}

#[tokio::test]
async fn a_login_is_logged_and_its_password_is_not() {
    let front = Front::new(WORLD);
    let name = format!("Jane@Example.com\n{}", "x".repeat(2000));
    front.login("shop", "correct~horse", "192.0.2.7").await;
    front
        .login("Jane@Example.com", "hunter2-hunter2", "192.0.2.8")
        .await;
    front.login(&name, "hunter2-hunter2", "").await;
    let logged = front.world.logged();
    let text = serde_json::to_string(&logged).unwrap();
    assert!(
        !text.contains("horse") && !text.contains("hunter2"),
        "{text}"
    );
    let [accepted, wrong, nobody] = &logged[..] else {
        panic!("{text}");
    };
    for (line, key, value) in [
        (accepted, "front_end", "auth"),
        (accepted, "stage", "auth"),
        (accepted, "verdict", "allow"),
        (accepted, "user", "shop"),
        (accepted, "account", "default"),
        (accepted, "client", "192.0.2.7"),
        (accepted, "reply", ""),
        (wrong, "verdict", "refuse"),
        (wrong, "login", "Jane@Example.com"),
        (wrong, "user", "shop"),
        (wrong, "reply", "535 5.7.8 Authentication failed"),
        (nobody, "client", "unknown"),
        (nobody, "login", &name[..256]),
    ] {
        assert_eq!(line[key], value, "{key} of {line}");
    }
    assert!(nobody["user"].is_null() && accepted["mail_from"].is_null());
}

#[tokio::test]
async fn the_reason_ip_can_be_kept_from_the_client() {
    let front = Front::new(&format!("{WORLD}\nconfig auth.hide-ip-reason = true"));
    let answer = front.login("office", "correct~horse", "198.51.100.7").await;
    assert_eq!(answer, "Authentication failed");
    let logged = front.world.logged();
    assert_eq!(logged[0]["reason"], "ip-not-authorized");
    assert_eq!(logged[0]["reply"], "535 5.7.8 Authentication failed");
}
