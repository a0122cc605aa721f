//! Users and domains that are perhaps not what their operator means.

use crate::host::{Host, Postfix};
use crate::nameserver::{Server, Zone};

#[track_caller]
fn finds(host: &Host, postfix: &Postfix, id: &str, says: &str, fix: &str) {
    let findings = host.doctor(postfix);
    assert_eq!(crate::host::ids(&findings), [id], "{findings:#?}");
    let text = |field: &str| findings[0][field].as_str().unwrap().to_owned();
    assert!(text("what").contains(says), "{findings:#?}");
    assert!(text("fix").contains(fix), "{findings:#?}");
}

#[test]
fn users_and_domains() {
    let server = Server::start(Zone::parse("").unwrap());
    let dns = |more: &str| format!("{more}\n[dns]\nservers = [\"{}\"]\n", server.address());
    let host = Host::new(&dns(""));
    let (milter, policy) = (host.postfix("auth-milter"), host.postfix("policy"));
    host.outgate("domain add o.test --trusted");

    host.outgate("user add four --allow o.test --ip 192.0.2.0/24");
    finds(
        &host,
        &milter,
        "one-family",
        "four (IPv4)",
        "user set four --add-ip",
    );
    // Where Postfix speaks one family alone, nobody comes by the other.
    milter.edit("-e inet_protocols=ipv4");
    assert_eq!(host.ids(&milter), [] as [&str; 0]);
    milter.edit("-X inet_protocols");
    host.outgate("user set four --add-ip 2001:db8::/32");
    assert_eq!(host.ids(&milter), [] as [&str; 0]);

    host.outgate("user set four --check-from header");
    assert_eq!(host.ids(&milter), [] as [&str; 0]);
    finds(
        &host,
        &policy,
        "header-only",
        "four",
        "user set four --check-from both",
    );
    host.outgate("user set four --check-from both");

    host.outgate("domain add later.test");
    assert_eq!(host.ids(&milter), [] as [&str; 0]);
    host.outgate("user set four --add-allow later.test");
    finds(
        &host,
        &milter,
        "pending-grants",
        "later.test (1 user",
        "domain verify later.test --account default",
    );
    host.outgate("domain remove later.test");

    host.outgate("user set four --mode any-domain --allow=");
    finds(&host, &milter, "any-domain-published", "four", "egress");
    host.outgate("user remove four");

    let old = "{\"type\":\"user\",\"id\":\"01a2130f-cc1a-713c-a65a-e65942d46003\",\"name\":\"old\",\
               \"mode\":\"all-domains\",\"created_at\":\"2020-01-01T00:00:00Z\"}";
    let file = host.path("users.jsonl");
    std::fs::write(&file, old).unwrap();
    host.outgate(&format!("import outgate {}", file.display()));
    finds(&host, &milter, "unused-users", "old", "user suspend old");
    host.outgate("user suspend old");
    assert_eq!(host.ids(&milter), [] as [&str; 0]);
}

#[test]
fn name_servers_that_do_not_answer() {
    // A port that was free a moment ago.
    let closed = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let host = Host::new(&format!(
        "[dns]\nservers = [\"{closed}\"]\ntimeout = \"1s\"\n"
    ));
    let postfix = host.postfix("auth-milter");
    finds(&host, &postfix, "resolver", "example.com", "servers = ");
}
