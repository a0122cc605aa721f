//! What the keys come to: the configuration in the words of those who work by it.

use std::path::PathBuf;

use ipnet::IpNet;

use super::{
    AllowOrRefuse, Config, EnforcementMode, LockdownApply, OverLimit, RefuseOrAllow, Relay,
    RequireSpf,
};
use crate::decision::facts::Rules;
use crate::decision::sentence::Wording;
use crate::model::dns::DnsName;
use crate::model::network::Network;
use crate::spf::Requirement;
use crate::standing::{Criteria, checkup};

impl Relay {
    /// The name with which this host greets other mail hosts: as configured, else the host's own.
    pub fn helo(&self) -> DnsName {
        if let Some(name) = self.name.domain() {
            return DnsName::from(name);
        }
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        DnsName::parse(&host).unwrap_or_else(|_| DnsName::localhost())
    }
}

impl Config {
    /// The control socket: as configured, else `control.sock` beside the database.
    pub fn control_socket(&self) -> PathBuf {
        if self.listen.control.as_os_str().is_empty() {
            self.store.url.beside("control.sock")
        } else {
            self.listen.control.clone()
        }
    }

    /// The rules that decisions depend on.
    pub fn rules(&self) -> Rules {
        Rules {
            recipient_delimiter: self.sender.recipient_delimiter.clone(),
            refuse_display_name_addresses: self.sender.display_name_addresses
                == AllowOrRefuse::Refuse,
            allow_unknown_users: self.enforcement.unknown_user == RefuseOrAllow::Allow,
            lockdown_always: self.lockdown.apply == LockdownApply::Always,
            refuse_over_quota: self.quota.over_limit == OverLimit::Reject,
            audit: self.enforcement.mode == EnforcementMode::Audit,
        }
    }

    /// What is asked of domains that nobody here has verified.
    pub fn criteria(&self) -> Criteria {
        Criteria {
            lockdown_label: self.lockdown.label.0.clone(),
            spf: self.spf_requirement(),
            dmarc: self.any_domain.require_dmarc,
            helo: self.relay.helo(),
        }
    }

    /// `any-domain.require-spf`, with `auto` resolved: the strictest that `[relay]` makes possible.
    pub fn spf_requirement(&self) -> Requirement {
        // A choice that lacks its key does not get past the reading of the file.
        match self.any_domain.require_spf {
            RequireSpf::Published => None,
            RequireSpf::Include => self.includable(),
            RequireSpf::Pass => self.passable(),
            RequireSpf::Auto => self.passable().or_else(|| self.includable()),
        }
        .unwrap_or(Requirement::Published)
    }

    fn includable(&self) -> Option<Requirement> {
        let relay = self.relay.spf_include.name()?.clone();
        let first = self.relay.egress.0.first();
        let address = first.map(|network| network.net().addr());
        Some(Requirement::Include { relay, address })
    }

    fn passable(&self) -> Option<Requirement> {
        let egress: Vec<IpNet> = self.relay.egress.0.iter().map(Network::net).collect();
        (!egress.is_empty()).then_some(Requirement::Pass { egress })
    }

    /// This relay as it can stand in other people's SPF records.
    pub fn spf_relay(&self) -> checkup::Relay {
        checkup::Relay {
            include: self.relay.spf_include.name().cloned(),
            requirements: self
                .includable()
                .into_iter()
                .chain(self.passable())
                .collect(),
        }
    }

    /// How replies are worded.
    pub fn wording(&self) -> Wording {
        Wording {
            report_url: self.reply.report_url.as_str().to_owned(),
            detail: self.reply.detail,
            hide_ip_reason: self.auth.hide_ip_reason,
            time_zone: self.quota.time_zone.0.clone(),
        }
    }
}
