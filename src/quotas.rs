//! The quotas that apply to a message: what has been used of them, and the charge.
//!
//! For the engine. What may be charged is a rule and stands in `decision`; where use is kept is the
//! store's affair. Here windows are made from the time, by the calendar of the site.

use jiff::Timestamp;

use crate::calendar::{Calendar, Span};
use crate::decision::facts::Allowance;
use crate::model::quota::{Counter, MessageKey, Quota, Subject};
use crate::model::user::{AccountTerms, User};
use crate::store::{Charge, Charged, Due, Held, Store, StoreError};

/// What has been used of each quota of a user and of its account, the user's first.
pub async fn allowances(
    store: &dyn Store,
    user: &User,
    account: Option<&AccountTerms>,
    now: Timestamp,
    calendar: &Calendar,
) -> Result<Vec<Allowance>, StoreError> {
    let of_account = account.map_or(&[][..], |terms| &terms.quotas);
    if user.quotas.is_empty() && of_account.is_empty() {
        return Ok(Vec::new());
    }
    let fresh = |subject: Subject, quota: &Quota| {
        let Span { starts, resets_at } = calendar.span(quota.window, now);
        Allowance {
            starts,
            resets_at,
            limit: quota.limit,
            used: 0,
            counter: Counter {
                subject,
                window: quota.window,
                unit: quota.unit,
            },
        }
    };
    let of_user = user
        .quotas
        .iter()
        .map(|quota| fresh(Subject::User(user.id), quota));
    let of_account = of_account
        .iter()
        .map(|quota| fresh(Subject::Account(user.account.clone()), quota));
    let mut allowances: Vec<Allowance> = of_user.chain(of_account).collect();
    let counters: Vec<_> = allowances
        .iter()
        .map(|allowance| (allowance.counter.clone(), allowance.starts))
        .collect();
    let held = store.used(&counters).await?;
    for (allowance, Held { starts, used }) in allowances.iter_mut().zip(held) {
        allowance.used = used;
        // The clock went back: what is counted belongs to a window that ends later.
        if starts > allowance.starts {
            allowance.starts = starts;
            allowance.resets_at = calendar.end(allowance.counter.window, starts);
        }
    }
    Ok(allowances)
}

/// Charges a message to all its quotas, or to none. `Some`: one did not have enough left, by now.
/// With `forced`, limits do not matter (audit mode).
pub async fn charge(
    store: &dyn Store,
    key: MessageKey,
    now: Timestamp,
    allowances: &[Allowance],
    recipients: u32,
    forced: bool,
) -> Result<Option<Allowance>, StoreError> {
    if allowances.is_empty() {
        return Ok(None);
    }
    let dues = allowances.iter().map(|allowance| Due {
        counter: allowance.counter.clone(),
        starts: allowance.starts,
        amount: allowance.needed(recipients),
        limit: if forced { 0 } else { allowance.limit },
    });
    let charge = Charge {
        key,
        at: now,
        dues: dues.collect(),
    };
    match store.charge(charge).await? {
        Charged::Done | Charged::Already => Ok(None),
        Charged::Over { due, used } => {
            let over = allowances.get(due).map(|allowance| Allowance {
                used,
                ..allowance.clone()
            });
            over.map(Some).ok_or_else(|| {
                StoreError::Unusable("it refused a charge that nobody asked for".to_owned())
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use uuid::Uuid;

    use super::*;
    use crate::model::name::{Name, UserId};
    use crate::model::quota::{Unit, Window};
    use crate::model::user::{CheckFrom, Enforce, Mode, Status};
    use crate::store::memory::MemoryStore;

    fn shop(quotas: Vec<Quota>) -> User {
        User {
            id: UserId(Uuid::nil()),
            name: Name::parse("shop").unwrap(),
            account: Name::parse("default").unwrap(),
            status: Status::Active,
            mode: Mode::Default,
            grants: Vec::new(),
            networks: Vec::new(),
            check_from: CheckFrom::Both,
            enforce: Enforce::On,
            enforce_until: None,
            max_recipients: None,
            quotas,
            credential_version: 0,
        }
    }

    #[tokio::test]
    async fn after_the_clock_went_back_the_window_that_is_counted_in_is_told() {
        let store = MemoryStore::new();
        let calendar = Calendar::new(TimeZone::UTC);
        let user = shop(vec!["2/day".parse().unwrap()]);
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let allowance = async |now| {
            let mut all = allowances(&store, &user, None, now, &calendar)
                .await
                .unwrap();
            all.remove(0)
        };
        let ahead = allowance(at("2026-11-26T10:00:00Z")).await;
        assert_eq!(ahead.resets_at, Some(at("2026-11-27T00:00:00Z")));
        let key = MessageKey([1; 16]);
        let charged = charge(&store, key, at("2026-11-26T10:00:00Z"), &[ahead], 1, false).await;
        assert_eq!(charged, Ok(None));
        let back = allowance(at("2026-11-25T10:00:00Z")).await;
        assert_eq!(back.counter.window, Window::Day);
        assert_eq!(back.counter.unit, Unit::Messages);
        assert_eq!(back.used, 1);
        assert_eq!(back.resets_at, Some(at("2026-11-27T00:00:00Z")));
    }
}
