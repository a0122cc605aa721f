//! A small world in words: configuration, accounts, domains and users, as the command line names
//! them, put into a store in memory with an engine on top. For the scenario files and for the tests
//! of front ends.
#![allow(
    dead_code,
    reason = "each test binary uses the part of the world that it needs"
)]

#[path = "../nameserver/mod.rs"]
pub mod nameserver;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use nameserver::{Server, Zone};
use outgate::clock::Clock;
use outgate::config::HashCost;
use outgate::directory::Directory;
use outgate::dns::Resolver;
use outgate::engine::Engine;
use outgate::journal::{Journal, Sink};
use outgate::model::domain::Domain;
use outgate::model::name::{Name, UserId};
use outgate::model::password::Password;
use outgate::model::quota::Quota;
use outgate::model::user::{
    Account, CheckFrom, DEFAULT_ACCOUNT, DomainRecord, Enforce, Mode, Plan, Status, User,
    UserRecord, VerifiedBy,
};
use outgate::store::memory::MemoryStore;
use outgate::store::{Store, StoreError, Transaction};
use tokio::runtime::Handle;

/// Where no name server answers: port 1 of this host.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// An engine on a store, and what it writes.
pub struct World {
    pub engine: Arc<Engine>,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub nameserver: Option<Server>,
    sink: Arc<Sink>,
}

impl World {
    /// Builds what the lines describe:
    ///
    /// ```text
    /// config  sender.recipient-delimiter = "+"
    /// account acme --plan free --quota 1000/day
    /// domain  example.com --account acme --with-subdomains      (--pending: not verified)
    /// user    shop --account acme --mode all-domains --allow example.com --ip 192.0.2.0/24
    ///              --login jane@example.com --check-from envelope --enforce audit --until 2026-12-01T00:00:00Z --suspended
    ///              --password correct-horse --quota 100/day_recipients --max-recipients 50
    /// dns     example.com TXT "v=spf1 -all"                     (a line of the test name server)
    /// ```
    ///
    /// (each on one line). Domains are verified unless said otherwise. With a `dns` line, a name server
    /// says that and nothing else; without one nobody answers.
    pub fn new(description: &str) -> World {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let mut config = "log.format = \"json\"\n".to_owned();
        let mut zone = String::new();
        for line in lines(description) {
            match line.split_once(' ') {
                Some(("config", key)) => config += &format!("{}\n", key.trim()),
                Some(("dns", record)) => zone += &format!("{}\n", record.trim()),
                _ => add(&store, line),
            }
        }
        let nameserver = (!zone.is_empty()).then(|| Server::start(Zone::parse(&zone).unwrap()));
        let address = nameserver.as_ref().map_or(NOBODY, Server::address);
        config += &format!("dns.servers = [\"{address}\"]\n");
        World {
            nameserver,
            ..World::on(store, &config)
        }
    }

    /// An engine on any store, with a configuration in TOML.
    pub fn on(store: Arc<dyn Store>, config: &str) -> World {
        let config = outgate::config::load::parse(config, "world").unwrap();
        let clock = Clock::movable();
        let sink = Sink::memory();
        let engine = Arc::new(Engine::new(
            Directory::new(store.clone()),
            Resolver::new(&config.dns, clock.clone(), Handle::current()).unwrap(),
            config,
            Journal::new(Some(sink.clone())),
            clock.clone(),
        ));
        World {
            engine,
            store,
            clock,
            nameserver: None,
            sink,
        }
    }

    /// Puts another configuration in force.
    pub fn reload(&self, config: &str) {
        let config = outgate::config::load::parse(config, "world").unwrap();
        let resolver = Resolver::new(&config.dns, self.clock.clone(), Handle::current()).unwrap();
        self.engine.reload(config, resolver);
    }

    /// Changes something, as an operator does, and forgets what was remembered.
    pub fn change(&self, line: &str) {
        add(&self.store, line);
        self.engine
            .directory
            .forget(&outgate::store::Change::Everything);
    }

    /// The decisions that were logged since the last time.
    pub fn logged(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.sink.take()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// What is neither empty nor a remark.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn add(store: &Arc<dyn Store>, line: &str) {
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap();
    let subject = words.next().unwrap_or_else(|| panic!("{line}: of what?"));
    let options = Options::read(line, words);
    match kind {
        "account" => options.account(store, subject),
        "domain" => options.domain(store, subject),
        "user" => options.user(store, subject),
        _ => panic!("{line}: not a config, account, domain or user"),
    }
}

/// `--name value` pairs; a switch has an empty value.
struct Options<'a> {
    line: &'a str,
    given: Vec<(&'a str, &'a str)>,
}

impl<'a> Options<'a> {
    fn read(line: &'a str, words: impl Iterator<Item = &'a str>) -> Options<'a> {
        let mut given: Vec<(&str, &str)> = Vec::new();
        for word in words {
            match (word.strip_prefix("--"), given.last_mut()) {
                (Some(name), _) => given.push((name, "")),
                (None, Some((_, value))) if value.is_empty() => *value = word,
                (None, _) => panic!("{line}: what is {word}?"),
            }
        }
        let known = [
            "account",
            "allow",
            "check-from",
            "enforce",
            "ip",
            "login",
            "max-recipients",
            "mode",
            "password",
            "pending",
            "plan",
            "quota",
            "suspended",
            "until",
            "with-subdomains",
        ];
        for (name, _) in &given {
            assert!(known.contains(name), "{line}: no option --{name}");
        }
        Options { line, given }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.given
            .iter()
            .filter(move |(option, _)| *option == name)
            .map(|(_, value)| *value)
    }

    /// `100/day`, `10/day_recipients`.
    fn quotas(&self) -> Vec<Quota> {
        let quotas = self.all("quota").map(|text| text.replace('_', " "));
        quotas.map(|text| text.parse().unwrap()).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    fn list<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, name: &str) -> Vec<T> {
        self.all(name)
            .map(|text| {
                text.parse()
                    .unwrap_or_else(|e| panic!("{}: {e:?}", self.line))
            })
            .collect()
    }

    /// A word of a fixed list, as JSON spells it.
    fn word<T: serde::de::DeserializeOwned + Default>(&self, name: &str) -> T {
        match self.all(name).next() {
            None => T::default(),
            Some(word) => {
                serde_json::from_value(word.into()).unwrap_or_else(|e| panic!("{}: {e}", self.line))
            }
        }
    }

    fn owner(&self) -> Name {
        let account = self.all("account").next().unwrap_or(DEFAULT_ACCOUNT);
        account.parse().unwrap()
    }

    fn account(&self, store: &Arc<dyn Store>, subject: &str) {
        let account = Account {
            name: subject.parse().unwrap(),
            plan: self.word::<Plan>("plan"),
            quotas: self.quotas(),
            created_at: Timestamp::UNIX_EPOCH,
        };
        transact(store, |t| t.put_account(&account));
    }

    fn domain(&self, store: &Arc<dyn Store>, subject: &str) {
        let domain = DomainRecord {
            domain: subject.parse::<Domain>().unwrap(),
            account: self.owner(),
            verified_by: (!self.has("pending")).then_some(VerifiedBy::Operator),
            with_subdomains: self.has("with-subdomains"),
            token: "challenge".to_owned(),
            added_at: Timestamp::UNIX_EPOCH,
        };
        transact(store, |t| t.put_domain(&domain));
    }

    /// Adds a user, or gives the user of that name other settings.
    fn user(&self, store: &Arc<dyn Store>, subject: &str) {
        let name: Name = subject.parse().unwrap();
        let mut before = None;
        transact(store, |t| {
            before = t.user_named(&name)?.map(|record| record.user);
            Ok(())
        });
        let hash = match (self.all("password").next(), &before) {
            (Some(password), _) => Some(hash(password)),
            (None, Some(_)) => None,
            (None, None) => Some("$hash$".to_owned()),
        };
        let record = UserRecord {
            user: User {
                id: before.as_ref().map_or_else(UserId::new, |user| user.id),
                name,
                account: self.owner(),
                status: if self.has("suspended") {
                    Status::Suspended
                } else {
                    Status::Active
                },
                mode: self.word::<Mode>("mode"),
                grants: self.list("allow"),
                networks: self.list("ip"),
                check_from: self.word::<CheckFrom>("check-from"),
                enforce: self.word::<Enforce>("enforce"),
                enforce_until: self.all("until").next().map(|time| time.parse().unwrap()),
                max_recipients: self
                    .all("max-recipients")
                    .next()
                    .map(|n| n.parse().unwrap()),
                quotas: self.quotas(),
                credential_version: before.map_or(1, |user| user.credential_version + 1),
            },
            logins: self.list("login"),
            note: String::new(),
            suspended_reason: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            last_used_at: None,
        };
        transact(store, |t| t.put_user(&record, hash.as_deref()));
    }
}

/// As cheap as a hash can be.
fn hash(password: &str) -> String {
    let cost = HashCost {
        memory_kib: 64,
        iterations: 1,
        parallelism: 1,
    };
    outgate::auth::hash::hash(&Password::parse(password).unwrap(), cost).unwrap()
}

fn transact(
    store: &Arc<dyn Store>,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
) {
    store
        .transact(&mut |transaction| Ok(work(transaction)?))
        .unwrap();
}
