//! What has to change on a host so that its submission services ask outgate. Pure: compares what
//! `postconf` says with what a wiring wants. What a service says beside that stays.

use super::choice;
use super::edit::{Edit, Spot};
use super::failed::Failed;
use super::lines;
use super::messages;
use super::service::{Needs, behind};
use super::snippet::{self, Snippet};
use super::wiring::Wiring;
use crate::config::Config;
use crate::doctor::postfix::{Postfix, service};
use crate::doctor::wiring::{self, Door, MILTERS};

const LOGINS: &str = "smtpd_sasl_auth_enable";
/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Who checks passwords, and how outgate is asked.
    pub wiring: Wiring,
    /// The services; empty: those for submission.
    pub services: Vec<String>,
    /// Parameters of main.cf that stay as they are.
    pub keep: Vec<String>,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// The changes, in order.
    pub edits: Vec<Edit>,
    /// What the operator should know before saying yes.
    pub notes: Vec<String>,
    /// The services that ask outgate then.
    pub services: Vec<String>,
}

/// Compares a host with a wish.
pub fn make(postfix: &Postfix, config: &Config, wish: &Wish) -> Result<Plan, Failed> {
    let queue = postfix.queue();
    let text = lines::services(wish.wiring, &config.listen, &queue)
        .map_err(|error| Failed::refused(error, "see [listen] in outgate's configuration"))?;
    let snippets = snippet::parse(&text);
    let there = wiring::doors(postfix, config);
    let chosen = choice::choose(&there, wish)?;
    somebody_checks_passwords(postfix, &there, wish)?;
    // New services are looked at like those that are there: main.cf counts for them too.
    let mut host = postfix.clone();
    let mut fresh = Vec::new();
    for name in &chosen.made {
        let service = fresh_service(&host, config, &snippets, name);
        add(&mut host, &service);
        fresh.push(service);
    }
    let doors = wiring::doors(&host, config);
    let is_chosen = |door: &&Door<'_>| {
        let id = door.service.id();
        chosen.there.contains(&id) || chosen.made.iter().any(|name| format!("{name}/inet") == id)
    };
    let wired: Vec<&Door<'_>> = doors.iter().filter(is_chosen).collect();
    no_proxy(&wired, wish)?;
    let mut plan = Plan::default();
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    for door in &wired {
        let Some(first) = snippets.first() else {
            continue;
        };
        let like = first.clone().named(&door.service.name);
        let needs = Needs::of(door, &like, wish.wiring, config);
        for note in &needs.notes {
            match said.iter_mut().find(|(known, _)| known == note) {
                Some((_, names)) => names.push(door.service.name.clone()),
                None => said.push((note.clone(), vec![door.service.name.clone()])),
            }
        }
        plan.services.push(door.service.name.clone());
        match fresh.iter_mut().find(|new| new.name == door.service.name) {
            Some(new) => needs
                .options
                .iter()
                .for_each(|(name, value)| new.set(name, value)),
            None => plan.options(&host, door, &needs.options, lines::is_outside(&text)),
        }
    }
    let notes = said
        .iter()
        .map(|(note, names)| format!("{}: {note}", names.join(", ")));
    plan.notes.extend(notes);
    plan.main(&host, config, wish, &doors, &wired);
    plan.fold(postfix, fresh);
    plan.warn(postfix, &wired);
    let keeps = |edit: &Edit| matches!(&edit.spot, Spot::Main { name } if wish.keep.contains(name));
    plan.edits
        .retain(|edit| edit.before != edit.after && !keeps(edit));
    only_once(postfix, &plan)?;
    Ok(plan)
}

/// A service as the file has it, with the milters and the chroot of this host.
fn fresh_service(host: &Postfix, config: &Config, snippets: &[Snippet], name: &str) -> Snippet {
    let encrypted = choice::is_wrapped(name);
    let wanted = if encrypted {
        "submissions"
    } else {
        "submission"
    };
    let found = snippets.iter().find(|snippet| snippet.name == wanted);
    let Some(mut service) = found.or(snippets.first()).cloned() else {
        return Snippet::default();
    };
    if let Some(ours) = service.get(MILTERS).map(str::to_owned) {
        let theirs = messages::global_milters(host, config);
        let is_list = |edit: &&Edit| matches!(&edit.spot, Spot::Main { name } if name == MILTERS);
        let theirs = theirs
            .iter()
            .find(is_list)
            .and_then(|edit| edit.after.clone());
        let raw = host.settings.get(MILTERS).unwrap_or_default().to_owned();
        service.set(MILTERS, &behind(&ours, &theirs.unwrap_or(raw)));
    }
    let mut smtpd = host
        .services
        .iter()
        .filter(|s| s.is_smtpd() && s.kind == "inet");
    if let Some(like) = smtpd.next()
        && service.is_chrooted()
    {
        service = service.with_chroot(like.chroot_column());
    }
    service.named(name)
}

/// Puts a service among those of a host.
fn add(host: &mut Postfix, new: &Snippet) {
    let options: Vec<_> = new
        .options()
        .iter()
        .map(|(name, value)| format!("{}/inet/{name} = {value}", new.name))
        .collect();
    let services = service::parse(&new.line(), &options.join("\n"), &host.settings);
    host.services.extend(services);
}

/// A wiring that leaves passwords to others needs others.
fn somebody_checks_passwords(
    host: &Postfix,
    doors: &[Door<'_>],
    wish: &Wish,
) -> Result<(), Failed> {
    let own = |name: &str| host.settings.is_own(name);
    // Cyrus needs no word in main.cf.
    let asked =
        own("smtpd_sasl_path") || own("smtpd_sasl_type") || doors.iter().any(Door::has_logins);
    if wish.wiring.checks_passwords() || asked {
        return Ok(());
    }
    let with = match wish.wiring.is_milter() {
        true => "auth-milter",
        false => "auth-policy",
    };
    Err(Failed::refused(
        format!(
            "wiring {} leaves passwords to Dovecot or Cyrus, and this Postfix asks neither",
            wish.wiring.name()
        ),
        format!(
            "--wiring {with}: outgate checks them; or set smtpd_sasl_type and smtpd_sasl_path in main.cf first"
        ),
    ))
}

/// What is there twice cannot be edited: postconf does not say which one it means.
fn only_once(postfix: &Postfix, plan: &Plan) -> Result<(), Failed> {
    let is_twice = |id: &&str| {
        let same = postfix
            .services
            .iter()
            .filter(|service| service.id() == **id);
        same.count() > 1
    };
    let mut services = plan.edits.iter().filter_map(|edit| edit.spot.service());
    let Some(id) = services.find(is_twice) else {
        return Ok(());
    };
    Err(Failed::refused(
        format!("master.cf has the service {id} more than once"),
        format!("take out all but one; postconf -M {id} shows them"),
    ))
}

/// Before a proxy filter, a milter sees neither the header nor the end of a message.
fn no_proxy(wired: &[&Door<'_>], wish: &Wish) -> Result<(), Failed> {
    const FILTER: &str = "smtpd_proxy_filter";
    let behind = |door: &&&Door<'_>| !door.value(FILTER).is_empty();
    let Some(door) = wired
        .iter()
        .find(behind)
        .filter(|_| wish.wiring.is_milter())
    else {
        return Ok(());
    };
    let with = match wish.wiring.checks_passwords() {
        true => "auth-policy",
        false => "policy",
    };
    Err(Failed::refused(
        format!(
            "{} has {FILTER} = {}, before which a milter sees neither the header nor the end of a message",
            door.service.name,
            door.value(FILTER)
        ),
        format!("--wiring {with}; or filter after the queue (content_filter) instead"),
    ))
}

impl Plan {
    /// The options of a service that is there.
    fn options(
        &mut self,
        host: &Postfix,
        door: &Door<'_>,
        options: &[(String, String)],
        outside: bool,
    ) {
        let id = door.service.id();
        for (name, value) in options {
            self.edits.push(Edit::option(host, &id, name, value));
        }
        if outside && door.service.chroot {
            let spot = Spot::Chroot { service: id };
            self.edits.push(Edit::new(host, spot, Some("n".to_owned())));
        }
    }

    /// What is said for the whole host, and what other services say because of it.
    fn main(
        &mut self,
        host: &Postfix,
        config: &Config,
        wish: &Wish,
        doors: &[Door<'_>],
        wired: &[&Door<'_>],
    ) {
        let services: Vec<_> = wired.iter().map(|door| door.service).collect();
        self.edits.extend(messages::cleanup(host, &services));
        self.edits.extend(messages::global_milters(host, config));
        let keep = |name: &str| wish.keep.iter().any(|kept| kept == name);
        let action = messages::default_action(host, wish.wiring, keep("milter_default_action"));
        if action.len() > 1 {
            self.notes.push(
                "milter_default_action becomes tempfail in main.cf; services with other milters keep the old value"
                    .to_owned(),
            );
        }
        self.edits.extend(action);
        if keep(LOGINS) {
            return;
        }
        let global = messages::global_logins(host);
        let mut networks = Vec::new();
        let is_wired = |door: &Door<'_>| services.contains(&door.service);
        for door in doors
            .iter()
            .filter(|door| global.is_some() && door.has_logins())
        {
            let apart = door.is_mail_exchange() || door.service.is_local() || is_wired(door);
            if !apart && choice::is_for_networks(door) {
                networks.push(door.service.name.as_str());
            } else if !apart && !door.has_own_logins() {
                self.edits
                    .push(Edit::option(host, &door.service.id(), LOGINS, "yes"));
            }
        }
        let mail_exchange = doors.iter().filter(|door| door.is_mail_exchange());
        let mut ended = Vec::new();
        for door in mail_exchange.filter(|door| door.has_logins()) {
            ended.push(door.service.name.as_str());
            if door.has_own_logins() {
                self.edits
                    .push(Edit::option(host, &door.service.id(), LOGINS, "no"));
            }
        }
        if !networks.is_empty() {
            self.notes.push(format!(
                "{}: left as it is, without logins: only clients of some networks may send here (to wire it: --service)",
                networks.join(", ")
            ));
        }
        if !ended.is_empty() {
            self.notes.push(format!(
                "{}: logins end here, where they would pass outgate by; clients that use it have to move to port 587 or 465 \
                 (to leave it: --keep {LOGINS})",
                ended.join(", ")
            ));
        }
        self.edits.extend(global);
    }

    /// Edits of services that are yet to be made go into them.
    fn fold(&mut self, postfix: &Postfix, fresh: Vec<Snippet>) {
        for mut service in fresh {
            let id = format!("{}/inet", service.name);
            self.edits.retain(|edit| match &edit.spot {
                Spot::Option { service: of, name } if *of == id => {
                    service.set(name, edit.after.as_deref().unwrap_or_default());
                    false
                }
                Spot::Option { .. }
                | Spot::Main { .. }
                | Spot::Chroot { .. }
                | Spot::Service { .. } => true,
            });
            let spot = Spot::Service { service: id };
            self.edits
                .push(Edit::new(postfix, spot, Some(service.line())));
        }
    }

    /// What is not ours to change.
    fn warn(&mut self, postfix: &Postfix, wired: &[&Door<'_>]) {
        if postfix.value("soft_bounce").eq_ignore_ascii_case("yes") {
            self.notes.push(
                "soft_bounce = yes stays in main.cf: each refusal becomes a \"try again later\""
                    .to_owned(),
            );
        }
        if let Some(door) = wired.iter().find(|door| !door.has_certificate()) {
            self.notes.push(format!(
                "{}: there is no certificate (smtpd_tls_cert_file), so clients cannot use TLS there",
                door.service.name
            ));
        }
        if postfix.directory.is_none() && !postfix.value("multi_instance_directories").is_empty() {
            self.notes.push(format!(
                "this host has more instances of Postfix, each wired by itself (--postfix DIR): {}",
                postfix.value("multi_instance_directories")
            ));
        }
    }
}
