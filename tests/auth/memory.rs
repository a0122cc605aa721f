//! How long a login is remembered: until anything about it changes.

use std::time::Duration;

use outgate::store::Change;

use crate::socket::Front;

const SHOP: &str = "user shop --password correct-horse";
const HERE: &str = "192.0.2.7";

async fn remembered() -> Front {
    let front = Front::new(SHOP);
    for _ in 0..2 {
        assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    }
    assert_eq!(front.authenticator.hashed(), 1);
    front
}

#[tokio::test]
async fn a_change_of_password_ends_it() {
    let front = remembered().await;
    front.world.change("user shop --password battery-staple");
    let old = front.login("shop", "correct-horse", HERE).await;
    assert_eq!(old, "Authentication failed");
    assert_eq!(front.login("shop", "battery-staple", HERE).await, "OK shop");
    // And back again: what was remembered does not revive, the hash decides.
    front.world.change("user shop --password correct-horse");
    let before = front.authenticator.hashed();
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    assert_eq!(front.authenticator.hashed(), before + 1);
}

#[tokio::test]
async fn a_suspension_ends_it() {
    let front = remembered().await;
    front.world.change("user shop --suspended");
    let answer = front.login("shop", "correct-horse", HERE).await;
    assert_eq!(answer, "Authentication failed");
    front.world.change("user shop");
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
}

#[tokio::test]
async fn a_change_of_the_ip_list_ends_it() {
    let front = remembered().await;
    front.world.change("user shop --ip 198.51.100.0/24");
    let answer = front.login("shop", "correct-horse", HERE).await;
    assert_eq!(answer, "IP not authorized");
    assert_eq!(
        front.login("shop", "correct-horse", "198.51.100.1").await,
        "OK shop"
    );
}

#[tokio::test]
async fn a_deletion_ends_it_and_the_name_given_anew_is_somebody_else() {
    let front = remembered().await;
    let name = "shop".parse().unwrap();
    front
        .world
        .store
        .transact(&mut |t| {
            let record = t.user_named(&name)?.unwrap();
            Ok(t.remove_user(record.user.id)?)
        })
        .unwrap();
    front.world.engine.directory.forget(&Change::Everything);
    let answer = front.login("shop", "correct-horse", HERE).await;
    assert_eq!(answer, "Authentication failed");
    front.world.change("user shop --password battery-staple");
    let answer = front.login("shop", "correct-horse", HERE).await;
    assert_eq!(answer, "Authentication failed");
}

#[tokio::test]
async fn it_lasts_as_long_as_the_configuration_says() {
    let front = remembered().await;
    front.world.clock.advance(Duration::from_secs(299));
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    assert_eq!(front.authenticator.hashed(), 1);
    front.world.clock.advance(Duration::from_secs(2));
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    assert_eq!(front.authenticator.hashed(), 2);
    front.world.reload("auth.cache-ttl = \"1s\"");
    front.world.clock.advance(Duration::from_secs(1));
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    assert_eq!(front.authenticator.hashed(), 3);
}

#[tokio::test]
async fn what_a_client_hears_follows_a_rename() {
    let front = remembered().await;
    let name = "shop".parse().unwrap();
    front
        .world
        .store
        .transact(&mut |t| {
            let mut record = t.user_named(&name)?.unwrap();
            record.user.name = "store".parse().unwrap();
            record.logins.push("shop".parse().unwrap());
            Ok(t.put_user(&record, None)?)
        })
        .unwrap();
    front.world.engine.directory.forget(&Change::Everything);
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK store");
    assert_eq!(
        front.login("store", "correct-horse", HERE).await,
        "OK store"
    );
    assert_eq!(
        front.authenticator.hashed(),
        1,
        "it is the same password of the same user"
    );
}

#[tokio::test]
async fn a_hash_with_other_parameters_is_renewed_at_the_next_login() {
    let front = remembered().await;
    let name = "shop".parse().unwrap();
    let stored = || {
        let mut hash = String::new();
        let mut read = |t: &mut dyn outgate::store::Transaction| {
            let record = t.user_named(&name)?.unwrap();
            hash = t.password_hash(record.user.id)?.unwrap();
            Ok(())
        };
        front.world.store.view(&mut read).unwrap();
        hash
    };
    let before = stored();
    let config = "auth.hash = { memory-kib = 128, iterations = 2, parallelism = 1 }";
    front.world.reload(config);
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    assert_eq!(stored(), before, "a remembered login has nothing to hash");
    front.world.clock.advance(Duration::from_secs(301));
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    while !stored().starts_with("$argon2id$v=19$m=128,t=2,p=1$") {
        tokio::task::yield_now().await;
    }
    // It is the same password, and the login is still remembered.
    let hashed = front.authenticator.hashed();
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    assert_eq!(front.authenticator.hashed(), hashed);
    front.world.clock.advance(Duration::from_secs(301));
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
}

#[tokio::test]
async fn a_login_is_noted_with_its_network() {
    let front = Front::new(SHOP);
    front.login("shop", "correct-horse", HERE).await;
    front
        .login("shop", "correct-horse", "2001:db8:1:2:3::4")
        .await;
    front.login("shop", "correct-horse", "").await;
    front.login("shop", "wrong", "198.51.100.7").await;
    let mut networks: Vec<_> = front
        .world
        .engine
        .uses()
        .take()
        .into_iter()
        .map(|one| one.network.map(|network| network.to_string()))
        .collect();
    networks.sort();
    let [four, six] = ["192.0.2.7/32", "2001:db8:1:2::/64"].map(|text| Some(text.to_owned()));
    assert_eq!(networks, [None, four, six]);
}
