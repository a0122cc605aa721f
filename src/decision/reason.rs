//! The closed list of reasons. Each has a stable name that scripts hold on to.

use std::fmt;

/// Why an answer is what it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// Nothing speaks against it.
    Allowed,
    /// A milter daemon that is declared as authenticated has a session without a login.
    Unauthenticated,
    /// Wrong password.
    BadPassword,
    /// Nobody has this name (AUTH).
    NoSuchUser,
    /// The user is suspended.
    Suspended,
    /// Not PLAIN or LOGIN, a broken response, or an authorization identity of somebody else.
    Mechanism,
    /// A password over a connection without TLS.
    TlsRequired,
    /// The client's address is not on the user's IP list.
    IpNotAuthorized,
    /// Too many wrong passwords from there, or for that name.
    Throttled,
    /// Nobody has this login (after AUTH), or it has come to mean somebody else.
    UnknownUser,
    /// The envelope sender is not among the user's domains.
    SenderNotAllowed,
    /// The envelope sender has no domain, or none that parses.
    SenderMalformed,
    /// The plan of the account does not include this sender.
    Plan,
    /// The sender domain is verified on another account of this host.
    OwnedByAnotherAccount,
    /// A mailbox of the header From is not among the user's domains.
    HeaderFromNotAllowed,
    /// The header From names nobody.
    HeaderFromMissing,
    /// The header From cannot be read, or can be read in two ways.
    HeaderFromMalformed,
    /// The lockdown record of the sender domain does not list the user.
    LockedDown,
    /// The sender domain publishes no SPF record.
    SpfMissing,
    /// The SPF record of the sender domain, or one that it leads to, cannot be used.
    SpfInvalid,
    /// The SPF record of the sender domain does not lead to that of this relay.
    SpfNotIncludingRelay,
    /// The SPF record of the sender domain does not let mail from this relay pass.
    SpfNotPassing,
    /// The sender domain publishes no DMARC record.
    DmarcMissing,
    /// What the sender domain's DNS says cannot be known now.
    DnsUnavailable,
    /// A quota of the user or its account is used up, or what is left does not suffice.
    QuotaExceeded,
    /// More recipients than the user may have in a message, or than a quota could ever let pass.
    TooManyRecipients,
    /// The store does not answer.
    StoreUnavailable,
    /// A fault of ours, or a fact that Postfix did not hand over.
    InternalError,
}

/// The verdict of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Never like this.
    Refuse,
    /// Not now.
    Defer,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 3] = [Verdict::Allow, Verdict::Refuse, Verdict::Defer];
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 28] = [
        Reason::Allowed,
        Reason::Unauthenticated,
        Reason::BadPassword,
        Reason::NoSuchUser,
        Reason::Suspended,
        Reason::Mechanism,
        Reason::TlsRequired,
        Reason::IpNotAuthorized,
        Reason::Throttled,
        Reason::UnknownUser,
        Reason::SenderNotAllowed,
        Reason::SenderMalformed,
        Reason::Plan,
        Reason::OwnedByAnotherAccount,
        Reason::HeaderFromNotAllowed,
        Reason::HeaderFromMissing,
        Reason::HeaderFromMalformed,
        Reason::LockedDown,
        Reason::SpfMissing,
        Reason::SpfInvalid,
        Reason::SpfNotIncludingRelay,
        Reason::SpfNotPassing,
        Reason::DmarcMissing,
        Reason::DnsUnavailable,
        Reason::QuotaExceeded,
        Reason::TooManyRecipients,
        Reason::StoreUnavailable,
        Reason::InternalError,
    ];

    /// The name in the log, in `explain` and in scripts.
    pub fn id(self) -> &'static str {
        match self {
            Reason::Allowed => "allowed",
            Reason::Unauthenticated => "unauthenticated",
            Reason::BadPassword => "bad-password",
            Reason::NoSuchUser => "no-such-user",
            Reason::Suspended => "suspended",
            Reason::Mechanism => "mechanism",
            Reason::TlsRequired => "tls-required",
            Reason::IpNotAuthorized => "ip-not-authorized",
            Reason::Throttled => "throttled",
            Reason::UnknownUser => "unknown-user",
            Reason::SenderNotAllowed => "sender-not-allowed",
            Reason::SenderMalformed => "sender-malformed",
            Reason::Plan => "plan",
            Reason::OwnedByAnotherAccount => "owned-by-another-account",
            Reason::HeaderFromNotAllowed => "header-from-not-allowed",
            Reason::HeaderFromMissing => "header-from-missing",
            Reason::HeaderFromMalformed => "header-from-malformed",
            Reason::LockedDown => "locked-down",
            Reason::SpfMissing => "spf-missing",
            Reason::SpfInvalid => "spf-invalid",
            Reason::SpfNotIncludingRelay => "spf-not-including-relay",
            Reason::SpfNotPassing => "spf-not-passing",
            Reason::DmarcMissing => "dmarc-missing",
            Reason::DnsUnavailable => "dns-unavailable",
            Reason::QuotaExceeded => "quota-exceeded",
            Reason::TooManyRecipients => "too-many-recipients",
            Reason::StoreUnavailable => "store-unavailable",
            Reason::InternalError => "internal-error",
        }
    }

    /// What the reason amounts to. A site may turn a deferral for a quota into a refusal:
    /// [`Finding::verdict`](super::Finding::verdict) knows.
    pub fn verdict(self) -> Verdict {
        match self {
            Reason::Allowed => Verdict::Allow,
            Reason::DnsUnavailable
            | Reason::QuotaExceeded
            | Reason::StoreUnavailable
            | Reason::InternalError => Verdict::Defer,
            Reason::Unauthenticated
            | Reason::BadPassword
            | Reason::NoSuchUser
            | Reason::Suspended
            | Reason::Mechanism
            | Reason::TlsRequired
            | Reason::IpNotAuthorized
            | Reason::Throttled
            | Reason::UnknownUser
            | Reason::SenderNotAllowed
            | Reason::SenderMalformed
            | Reason::Plan
            | Reason::OwnedByAnotherAccount
            | Reason::HeaderFromNotAllowed
            | Reason::HeaderFromMissing
            | Reason::HeaderFromMalformed
            | Reason::LockedDown
            | Reason::SpfMissing
            | Reason::SpfInvalid
            | Reason::SpfNotIncludingRelay
            | Reason::SpfNotPassing
            | Reason::DmarcMissing
            | Reason::TooManyRecipients => Verdict::Refuse,
        }
    }

    /// Whether audit mode turns the refusal into an allow. It never touches who a user is
    /// (password, throttle, mechanism, TLS, unknown names at AUTH), a suspension, or trouble.
    pub fn bows_to_audit(self) -> bool {
        match self {
            Reason::Unauthenticated
            | Reason::IpNotAuthorized
            | Reason::UnknownUser
            | Reason::SenderNotAllowed
            | Reason::SenderMalformed
            | Reason::Plan
            | Reason::OwnedByAnotherAccount
            | Reason::HeaderFromNotAllowed
            | Reason::HeaderFromMissing
            | Reason::HeaderFromMalformed
            | Reason::LockedDown
            | Reason::SpfMissing
            | Reason::SpfInvalid
            | Reason::SpfNotIncludingRelay
            | Reason::SpfNotPassing
            | Reason::DmarcMissing
            | Reason::QuotaExceeded
            | Reason::TooManyRecipients => true,
            Reason::Allowed
            | Reason::BadPassword
            | Reason::NoSuchUser
            | Reason::Suspended
            | Reason::Mechanism
            | Reason::TlsRequired
            | Reason::Throttled
            | Reason::DnsUnavailable
            | Reason::StoreUnavailable
            | Reason::InternalError => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Verdict {
    /// The name in the log and in `explain`.
    pub fn id(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Refuse => "refuse",
            Verdict::Defer => "defer",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_the_list() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
        }
        assert_eq!(Reason::ALL.last(), Some(&Reason::InternalError));
    }
}
