//! What logins cost, counted in hashes: no clock tells more reliably what an answer gives away.

use crate::socket::Front;

const WORLD: &str = "
    user shop --password correct-horse --login jane@example.com
    user office --password correct-horse --ip 192.0.2.0/24
    user idle --password correct-horse --suspended
    user bare
";

const HERE: &str = "192.0.2.7";
const ELSEWHERE: &str = "198.51.100.7";

/// Logs in, and counts the hashes.
async fn cost(front: &Front, name: &str, password: &str, client: &str) -> u64 {
    let before = front.authenticator.hashed();
    let _ = front.login(name, password, client).await;
    front.authenticator.hashed() - before
}

#[tokio::test]
async fn whoever_is_refused_costs_one_hash_whether_the_name_exists_or_not() {
    let front = Front::new(WORLD);
    for (name, password, client) in [
        ("shop", "wrong", HERE),
        ("nobody", "wrong", HERE),
        ("no body", "wrong", HERE),
        ("idle", "wrong", HERE),
        ("idle", "correct-horse", HERE),
        ("idle", "correct-horse", HERE),
        ("office", "wrong", ELSEWHERE),
        ("office", "correct-horse", ELSEWHERE),
        ("shop", "wrong", HERE),
    ] {
        assert_eq!(cost(&front, name, password, client).await, 1, "{name}");
    }
    // No password is that long: not worth a hash for anybody.
    let long = "x".repeat(513);
    for name in ["shop", "nobody", "idle"] {
        assert_eq!(cost(&front, name, &long, HERE).await, 0, "{name}");
    }
    assert_eq!(cost(&front, "shop", &"x".repeat(512), HERE).await, 1);
}

#[tokio::test]
async fn a_remembered_login_costs_nothing_from_anywhere_by_any_name() {
    let front = Front::new(WORLD);
    assert_eq!(cost(&front, "shop", "correct-horse", HERE).await, 1);
    for (name, client) in [
        ("shop", HERE),
        ("SHOP", ELSEWHERE),
        ("jane@example.com", ""),
    ] {
        assert_eq!(cost(&front, name, "correct-horse", client).await, 0);
    }
    assert_eq!(cost(&front, "shop", "correct-horsf", HERE).await, 1);
    assert_eq!(cost(&front, "office", "correct-horse", HERE).await, 1);
    // Told openly, a wrong address need not be slow.
    assert_eq!(cost(&front, "office", "correct-horse", ELSEWHERE).await, 0);
}

#[tokio::test]
async fn where_the_address_is_hidden_its_refusal_costs_as_much_as_a_wrong_password() {
    let front = Front::new(&format!("{WORLD}\nconfig auth.hide-ip-reason = true"));
    assert_eq!(cost(&front, "office", "correct-horse", HERE).await, 1);
    assert_eq!(cost(&front, "office", "correct-horse", HERE).await, 0);
    for _ in 0..3 {
        assert_eq!(cost(&front, "office", "correct-horse", ELSEWHERE).await, 1);
    }
}

#[tokio::test]
async fn what_needs_no_look_at_a_password_costs_nothing() {
    let front = Front::new(WORLD);
    let mut smtpd = front.connect().await;
    for line in [
        "AUTH\t1\tPLAIN\tresp=AHNob3AAY29ycmVjdC1ob3JzZQ==\n",
        "AUTH\t1\tCRAM-MD5\tsecured\n",
        "AUTH\t1\tPLAIN\tsecured\tresp=AAAA\n",
    ] {
        smtpd.send(line.as_bytes()).await;
        assert_eq!(smtpd.line().await, "FAIL\t1\treason=Authentication failed");
    }
    assert_eq!(front.authenticator.hashed(), 0);
}

#[tokio::test]
async fn many_right_logins_at_once_cost_one_hash() {
    let front = Front::new(WORLD);
    let logins = (0..500).map(|_| front.login("shop", "correct-horse", HERE));
    for answer in futures_util::future::join_all(logins).await {
        assert_eq!(answer, "OK shop");
    }
    // A connection that comes up just when the first hash is done may need one of its own.
    assert!(
        front.authenticator.hashed() <= 2,
        "{}",
        front.authenticator.hashed()
    );
    assert_eq!(front.reasons().len(), 500);
}

#[tokio::test]
async fn many_wrong_logins_at_once_are_all_answered_or_closed() {
    let front = Front::new(WORLD);
    let clients: Vec<_> = (0..500)
        .map(|n| (format!("user{n}"), format!("10.0.{}.{}", n / 250, n % 250)))
        .collect();
    let logins = clients
        .iter()
        .map(|(name, client)| front.login(name, "wrong", client));
    let answers = futures_util::future::join_all(logins).await;
    let closed = answers.iter().filter(|a| *a == "(closed)").count();
    let failed = answers
        .iter()
        .filter(|a| *a == "Authentication failed")
        .count();
    assert_eq!(closed + failed, 500);
    assert!(failed >= 256, "the queue takes 256, {failed} were answered");
    assert_eq!(front.authenticator.hashed(), failed as u64);
    let reasons = front.reasons();
    let overloaded = reasons.iter().filter(|r| *r == "internal-error").count();
    assert_eq!((reasons.len(), overloaded), (500, closed));
    // It is over when it is over.
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
}

#[tokio::test]
async fn guesses_at_once_are_held_to_the_same_limit_as_one_after_the_other() {
    let front = Front::new(&format!("{WORLD}\nconfig auth.max-concurrent-hashes = 2"));
    let passwords: Vec<_> = (0..200).map(|n| format!("guess-{n}")).collect();
    let guesses = passwords
        .iter()
        .map(|password| front.login("shop", password, ELSEWHERE));
    let answers = futures_util::future::join_all(guesses).await;
    let looked_at = answers
        .iter()
        .filter(|a| *a == "Authentication failed")
        .count();
    let throttled = answers.iter().filter(|a| a.starts_with("Too many")).count();
    assert_eq!(looked_at + throttled, 200);
    // Ten, and one that was being looked at beside the tenth.
    assert!((10..=11).contains(&looked_at), "{looked_at}");
    assert_eq!(front.authenticator.hashed(), looked_at as u64);
}
