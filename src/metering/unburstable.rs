//! Licences of which no more may be used than is subscribed: what is reported beyond that is refused.
//!
//! Decided before the events are counted, without a lock: of reports that come at the same instant in two requests both may be
//! let through. Nothing is charged for what is refused, nor for what is let through.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use quick_cache::sync::Cache;
use rust_decimal::Decimal;

use crate::clock::Clock;
use crate::domain::command::{Action, Command, UsageRefused};
use crate::domain::ids::AccountId;
use crate::domain::money::format_decimal;
use crate::domain::usage::{Fault, SLOT, held_from};
use crate::engine::{Engine, Urgency};
use crate::store::burst;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::usage::Metered;

/// Refusals that are remembered, so that each owner is told of each licence once a day.
const TOLD_KEPT: usize = 100_000;

pub(super) struct Unburstable {
    database: Database,
    engine: Arc<Engine>,
    clock: Clock,
    told: Cache<(AccountId, String), NaiveDate>,
}

/// What is used of a licence, by slot and subject, in the order of the slots.
type Accepted = HashMap<(AccountId, String), Vec<(DateTime<Utc>, String, Decimal)>>;

impl Unburstable {
    pub fn new(database: Database, engine: Arc<Engine>, clock: Clock) -> Self {
        Self { database, engine, clock, told: Cache::new(TOLD_KEPT) }
    }

    /// Turns events of a request that go beyond what is subscribed into faults.
    pub async fn refuse_beyond(&self, events: &mut [Result<Metered, Fault>]) -> Result<(), StoreError> {
        let mut groups: BTreeMap<(AccountId, String, DateTime<Utc>), Vec<usize>> = BTreeMap::new();
        for (place, event) in events.iter().enumerate() {
            if let Ok(Metered { event, bucket, is_limited: true, .. }) = event {
                groups.entry((event.account, event.resource.clone(), *bucket)).or_default().push(place);
            }
        }
        let mut accepted = Accepted::new();
        for ((account, resource, slot), places) in groups {
            let refused =
                self.refuse_in_slot(events, &mut accepted, (account, &resource, slot), places).await?;
            if let Some(message) = refused {
                self.tell(account, resource, message);
            }
        }
        Ok(())
    }

    /// Refuses what goes beyond in a slot of a licence; answers why the last one was.
    async fn refuse_in_slot(
        &self,
        events: &mut [Result<Metered, Fault>],
        accepted: &mut Accepted,
        (account, resource, slot): (AccountId, &str, DateTime<Utc>),
        mut places: Vec<usize>,
    ) -> Result<Option<String>, StoreError> {
        places.sort_by_key(|place| {
            events.get(*place).and_then(|event| event.as_ref().ok()).map(|one| one.event.time)
        });
        let conn = self.database.connection().await?;
        let mut used = burst::used_by_subjects(&conn, account, resource.to_owned(), slot).await?;
        let end = slot.checked_add_signed(SLOT).unwrap_or(slot);
        let subscribed =
            burst::subscribed_until(&conn, vec![account.0], vec![resource.to_owned()], end).await?;
        drop(conn);
        let subscribed = subscribed.first().map(|held| held.amount).unwrap_or_default();
        let earlier = accepted.entry((account, resource.to_owned())).or_default();
        for (_, subject, quantity) in earlier.iter().filter(|(at, ..)| *at >= held_from(slot)) {
            used.insert(subject.clone(), *quantity);
        }
        let mut refused = None;
        for place in places {
            let Some(Ok(metered)) = events.get(place) else { continue };
            let subject = metered.event.subject.clone().unwrap_or_default();
            let others = used.iter().filter(|(other, _)| **other != subject).map(|(_, quantity)| *quantity);
            let total = others.fold(metered.counted, Decimal::saturating_add);
            if metered.counted > Decimal::ZERO && total > subscribed {
                let message = format!(
                    "{} of {resource} would be used, and {} are subscribed",
                    format_decimal(total, 0),
                    format_decimal(subscribed, 0)
                );
                refused = Some(message.clone());
                if let Some(event) = events.get_mut(place) {
                    *event = Err(Fault::new("quantity", message));
                }
                continue;
            }
            used.insert(subject.clone(), metered.counted);
            earlier.push((slot, subject, metered.counted));
        }
        Ok(refused)
    }

    /// Tells the account's owner, of each licence once a day. The answer to the report does not wait for that.
    fn tell(&self, account: AccountId, resource: String, message: String) {
        let today = self.clock.now().date_naive();
        if self.told.get(&(account, resource.clone())) == Some(today) {
            return;
        }
        self.told.insert((account, resource.clone()), today);
        let action = Action::TellUsageRefused(UsageRefused { resource, message });
        let command = Command { account, key: None, dry_run: false, action };
        let engine = Arc::clone(&self.engine);
        tokio::spawn(async move {
            if let Err(error) = engine.submit(command, Urgency::Job).await {
                tracing::error!(%account, %error, "an owner could not be told of refused usage");
            }
        });
    }
}
