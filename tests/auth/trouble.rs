//! When a fact is missing: no word, and the connection is closed, within the time that Postfix waits.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use outgate::model::domain::Domain;
use outgate::model::name::{Login, Name, UserId};
use outgate::model::quota::{Counter, MessageKey};
use outgate::model::user::{AccountTerms, Ownership, User};
use outgate::store::{
    Answer, Change, Changes, Charge, Charged, Credential, Held, ManageError, Store, StoreError,
    Use, Work,
};

use crate::socket::Front;
use crate::world::World;

const HERE: &str = "192.0.2.7";

/// A store that knows users and says nothing of their passwords.
struct Ill {
    well: Arc<dyn Store>,
    /// `None`: it does not even fail.
    error: Option<StoreError>,
}

impl Store for Ill {
    fn user<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<User>> {
        self.well.user(login)
    }
    fn ownership<'a>(&'a self, domain: &'a Domain) -> Answer<'a, Option<Ownership>> {
        self.well.ownership(domain)
    }
    fn terms<'a>(&'a self, account: &'a Name) -> Answer<'a, Option<AccountTerms>> {
        self.well.terms(account)
    }
    fn charge(&self, charge: Charge) -> Answer<'_, Charged> {
        self.well.charge(charge)
    }
    fn used<'a>(&'a self, counters: &'a [(Counter, Timestamp)]) -> Answer<'a, Vec<Held>> {
        self.well.used(counters)
    }
    fn is_charged(&self, key: MessageKey) -> Answer<'_, bool> {
        self.well.is_charged(key)
    }
    fn credential(&self, _: UserId) -> Answer<'_, Option<Credential>> {
        match self.error.clone() {
            Some(error) => Box::pin(std::future::ready(Err(error))),
            None => Box::pin(std::future::pending()),
        }
    }
    fn logged_in_from(&self, user: UserId, network: IpNet, since: Timestamp) -> Answer<'_, bool> {
        self.well.logged_in_from(user, network, since)
    }
    fn record_uses(&self, uses: Vec<Use>) -> Answer<'_, ()> {
        self.well.record_uses(uses)
    }
    fn rehash(&self, user: UserId, credential: Credential, hash: String) -> Answer<'_, ()> {
        self.well.rehash(user, credential, hash)
    }
    fn changes(&self, after: u64) -> Answer<'_, Changes> {
        self.well.changes(after)
    }
    fn transact(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        self.well.transact(work)
    }
    fn view(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        self.well.view(work)
    }
}

fn ill(error: Option<StoreError>) -> Front {
    let well = World::new("user shop --password correct-horse").store;
    Front::on(Arc::new(Ill { well, error }))
}

#[tokio::test]
async fn a_store_in_trouble_closes_and_says_why_in_the_log() {
    let front = ill(Some(StoreError::Busy("by a backup".to_owned())));
    for name in ["shop", "nobody"] {
        for password in ["correct-horse", "wrong"] {
            assert_eq!(front.login(name, password, HERE).await, "(closed)");
        }
    }
    let logged = front.world.logged();
    assert_eq!(logged.len(), 4);
    for line in logged {
        assert_eq!(line["reason"], "store-unavailable");
        assert_eq!(line["verdict"], "defer");
    }
    // Nothing was counted against anybody, and the handshake does not depend on it.
    assert_eq!(front.authenticator.hashed(), 0);
    assert_eq!(front.connect().await.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_waited_for_as_long_as_postfix_waits() {
    let front = ill(None);
    let mut smtpd = front.connect().await;
    let started = tokio::time::Instant::now();
    assert_eq!(smtpd.login("shop", "correct-horse", HERE).await, "(closed)");
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(5) && waited < Duration::from_secs(8),
        "{waited:?}"
    );
    assert_eq!(front.reasons(), ["internal-error"]);
}

#[tokio::test]
async fn a_remembered_login_is_not_let_in_while_nothing_can_be_trusted() {
    let front = Front::new("user shop --password correct-horse");
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    let trouble = StoreError::Unusable("the file was replaced".to_owned());
    front.world.engine.directory.set_trouble(Some(trouble));
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "(closed)");
    assert_eq!(front.login("nobody", "wrong", HERE).await, "(closed)");
    front.world.engine.directory.set_trouble(None);
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
}

#[tokio::test]
async fn a_hash_that_cannot_be_used_is_trouble_and_not_a_wrong_password() {
    let front = Front::new("user bare\nuser shop --password correct-horse");
    assert_eq!(front.login("bare", "correct-horse", HERE).await, "(closed)");
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
}

#[tokio::test]
async fn clients_that_leave_at_once_leave_nothing_behind() {
    let front = Front::new("user shop --password correct-horse");
    let mut leaving = Vec::new();
    for number in 0..500 {
        let mut smtpd = front.connect().await;
        let request =
            format!("AUTH\t{number}\tPLAIN\trip=10.0.0.1\tsecured\tresp=AHVzZXIAd3Jvbmc=\n");
        smtpd.send(request.as_bytes()).await;
        leaving.push(smtpd);
    }
    drop(leaving);
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
}

#[tokio::test]
async fn a_password_that_changes_while_it_is_compared_is_the_new_one() {
    // The directory still remembers the user as it was: what the store says of it counts.
    let front = Front::new("user shop --password correct-horse");
    assert_eq!(front.login("shop", "correct-horse", HERE).await, "OK shop");
    let hash = outgate::auth::hash::hash(
        &outgate::model::password::Password::parse("battery-staple").unwrap(),
        front.world.engine.settings().config.auth.hash,
    )
    .unwrap();
    let name = "shop".parse().unwrap();
    front
        .world
        .store
        .transact(&mut |t| {
            let mut record = t.user_named(&name)?.unwrap();
            record.user.credential_version += 1;
            record
                .user
                .networks
                .push("198.51.100.0/24".parse().unwrap());
            Ok(t.put_user(&record, Some(&hash))?)
        })
        .unwrap();
    assert_eq!(
        front.login("shop", "battery-staple", HERE).await,
        "IP not authorized"
    );
    assert_eq!(
        front.login("shop", "battery-staple", "198.51.100.1").await,
        "OK shop"
    );
    front.world.engine.directory.forget(&Change::Everything);
    assert_eq!(
        front.login("shop", "correct-horse", HERE).await,
        "Authentication failed"
    );
}
