//! The brake on guessing, as clients feel it.

use std::time::Duration;

use outgate::store::Use;

use crate::socket::Front;

const WORLD: &str = "
    user shop --password correct-horse --login jane@example.com
    user office --password correct-horse
";

const TOO_MANY: &str = "Too many failed logins, try again later";
const FAILED: &str = "Authentication failed";
const GUESSER: &str = "203.0.113.9";
const OWNER: &str = "192.0.2.7";

async fn guess(front: &Front, name: &str, client: &str, count: usize) {
    for number in 0..count {
        let answer = front.login(name, &format!("guess-{number}"), client).await;
        assert_eq!(answer, FAILED, "{name} {client} {number}");
    }
}

#[tokio::test]
async fn after_ten_different_ones_even_the_right_password_waits() {
    let front = Front::new(WORLD);
    guess(&front, "shop", GUESSER, 10).await;
    let hashed = front.authenticator.hashed();
    for password in ["correct-horse", "guess-0", "another"] {
        for name in ["shop", "jane@example.com"] {
            assert_eq!(front.login(name, password, GUESSER).await, TOO_MANY);
        }
    }
    assert_eq!(front.authenticator.hashed(), hashed);
    // Neither others from there, nor the same user from elsewhere, nor a neighbour.
    assert_eq!(
        front.login("office", "correct-horse", GUESSER).await,
        "OK office"
    );
    assert_eq!(front.login("shop", "correct-horse", OWNER).await, "OK shop");
    assert_eq!(
        front.login("shop", "correct-horse", "203.0.113.10").await,
        "OK shop"
    );
    front.world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(
        front.login("shop", "correct-horse", GUESSER).await,
        "OK shop"
    );
    let reasons = front.reasons();
    assert_eq!(reasons.iter().filter(|r| *r == "throttled").count(), 6);
}

#[tokio::test]
async fn a_remembered_login_waits_too() {
    let front = Front::new(WORLD);
    assert_eq!(
        front.login("shop", "correct-horse", GUESSER).await,
        "OK shop"
    );
    guess(&front, "shop", GUESSER, 10).await;
    assert_eq!(
        front.login("shop", "correct-horse", GUESSER).await,
        TOO_MANY
    );
}

#[tokio::test]
async fn an_old_password_repeated_locks_nobody_out() {
    let front = Front::new(WORLD);
    for _ in 0..200 {
        assert_eq!(front.login("shop", "old-password", OWNER).await, FAILED);
    }
    assert_eq!(front.login("shop", "correct-horse", OWNER).await, "OK shop");
}

#[tokio::test]
async fn names_that_nobody_has_wait_like_any_other() {
    let front = Front::new(WORLD);
    guess(&front, "nobody", GUESSER, 10).await;
    assert_eq!(front.login("NoBody", "one-more", GUESSER).await, TOO_MANY);
    assert_eq!(front.login("nobody2", "one-more", GUESSER).await, FAILED);
}

#[tokio::test]
async fn a_network_of_the_sixth_version_is_a_64() {
    let front = Front::new(WORLD);
    for number in 0..10 {
        let client = format!("2001:db8:1:2::{number}");
        let answer = front
            .login("shop", &format!("guess-{number}"), &client)
            .await;
        assert_eq!(answer, FAILED);
    }
    assert_eq!(
        front.login("shop", "x", "2001:db8:1:2:ffff::1").await,
        TOO_MANY
    );
    assert_eq!(front.login("shop", "x", "2001:db8:1:3::1").await, FAILED);
}

#[tokio::test]
async fn one_password_tried_on_many_names_counts_once_for_each() {
    let front = Front::new(WORLD);
    for number in 0..100 {
        let name = format!("user{number}");
        assert_eq!(front.login(&name, "Summer2026!", GUESSER).await, FAILED);
    }
    assert_eq!(
        front.login("shop", "correct-horse", GUESSER).await,
        TOO_MANY
    );
    assert_eq!(front.login("shop", "correct-horse", OWNER).await, "OK shop");
}

#[tokio::test]
async fn a_user_guessed_at_from_everywhere_is_locked_but_for_where_it_is_known() {
    let front = Front::new(WORLD);
    // One network is known from before a restart, one has logged in since.
    let mut id = None;
    let name = "shop".parse().unwrap();
    let mut read = |t: &mut dyn outgate::store::Transaction| {
        id = t.user_named(&name)?.map(|record| record.user.id);
        Ok(())
    };
    front.world.store.view(&mut read).unwrap();
    let known = |network: &str, days: u64| Use {
        user: id.unwrap(),
        at: front.world.clock.now() - Duration::from_secs(days * 24 * 3600),
        network: Some(network.parse().unwrap()),
    };
    let uses = vec![known("192.0.2.20/32", 29), known("192.0.2.31/32", 31)];
    front.world.store.record_uses(uses).await.unwrap();
    assert_eq!(front.login("shop", "correct-horse", OWNER).await, "OK shop");
    for number in 0..100 {
        let client = format!("203.0.113.{number}");
        let answer = front
            .login("shop", &format!("guess-{number}"), &client)
            .await;
        assert_eq!(answer, FAILED);
    }
    for client in ["198.51.100.1", "192.0.2.31", ""] {
        assert_eq!(
            front.login("shop", "correct-horse", client).await,
            TOO_MANY,
            "{client}"
        );
    }
    for client in [OWNER, "192.0.2.20"] {
        assert_eq!(
            front.login("shop", "correct-horse", client).await,
            "OK shop",
            "{client}"
        );
    }
    // Known or not, no network guesses more than ten times.
    guess(&front, "shop", OWNER, 10).await;
    assert_eq!(front.login("shop", "correct-horse", OWNER).await, TOO_MANY);
    assert_eq!(
        front.login("office", "correct-horse", "198.51.100.1").await,
        "OK office"
    );
}

#[tokio::test]
async fn an_operator_lifts_it() {
    let front = Front::new(WORLD);
    for name in ["shop", "office"] {
        guess(&front, name, GUESSER, 10).await;
        assert_eq!(front.login(name, "correct-horse", GUESSER).await, TOO_MANY);
    }
    let user = front.world.engine.directory.user("shop").await.unwrap();
    front.authenticator.unlock(user.unwrap().id);
    assert_eq!(
        front.login("shop", "correct-horse", GUESSER).await,
        "OK shop"
    );
    assert_eq!(
        front.login("office", "correct-horse", GUESSER).await,
        TOO_MANY
    );
}

#[tokio::test]
async fn limit_and_window_are_those_of_the_configuration() {
    let front = Front::new(&format!(
        "{WORLD}\nconfig auth.throttle = {{ distinct-failures = 2, window = \"1m\" }}"
    ));
    guess(&front, "shop", GUESSER, 2).await;
    assert_eq!(
        front.login("shop", "correct-horse", GUESSER).await,
        TOO_MANY
    );
    front.world.clock.advance(Duration::from_secs(60));
    assert_eq!(
        front.login("shop", "correct-horse", GUESSER).await,
        "OK shop"
    );
}

#[tokio::test]
async fn a_right_password_from_a_wrong_address_is_not_a_guess() {
    let front = Front::new("user shop --password correct-horse --ip 192.0.2.0/24");
    for _ in 0..30 {
        let answer = front.login("shop", "correct-horse", GUESSER).await;
        assert_eq!(answer, "IP not authorized");
    }
}
