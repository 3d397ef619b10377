//! Licences of which no more may be used than is subscribed: what is reported beyond that is refused.
//!
//! Decided before the events are counted, without a lock: of reports that come at the same instant in two requests both may be
//! let through. Nothing is charged for what is refused, nor for what is let through.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use quick_cache::sync::Cache;
use rust_decimal::Decimal;

use super::refused::{Refused, refuse};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::decide::{Action, RaiseNotice};
use crate::domain::ids::AccountId;
use crate::domain::money::format_decimal;
use crate::domain::notice::NoticeKind;
use crate::domain::usage::{Fault, SLOT, Together, carried_from, carried_to};
use crate::engine::{Engine, Priority};
use crate::store::burst;
use crate::store::cells::Cells;
use crate::store::error::StoreError;
use crate::store::usage::Metered;

/// Refusals that are remembered, so that each owner is told of each licence once a day.
const TOLD_KEPT: usize = 100_000;

pub(super) struct LicenseCap {
    cells: Cells,
    engine: Arc<Engine>,
    clock: Clock,
    told: Arc<Cache<(AccountId, String), NaiveDate>>,
}

/// Places of events by the slots that they count in.
type BySlot = BTreeMap<DateTime<Utc>, Vec<usize>>;

impl LicenseCap {
    pub fn new(cells: Cells, engine: Arc<Engine>, clock: Clock) -> Self {
        Self { cells, engine, clock, told: Arc::new(Cache::new(TOLD_KEPT)) }
    }

    /// Turns events of a request that go beyond what is subscribed into faults. What was counted before is let through, to be
    /// answered as a duplicate.
    pub async fn refuse_beyond(&self, events: &mut [Result<Metered, Fault>]) -> Result<(), StoreError> {
        let mut licenses: BTreeMap<(AccountId, String), BySlot> = BTreeMap::new();
        for (place, event) in events.iter().enumerate() {
            if let Ok(Metered { event, bucket, is_limited: true, .. }) = event {
                let license = licenses.entry((event.account, event.resource.clone())).or_default();
                license.entry(*bucket).or_default().push(place);
            }
        }
        for ((account, resource), by_slot) in licenses {
            let refused = self.beyond_of(events, account, &resource, by_slot).await?;
            let told = refuse(&self.cells, events, refused).await?;
            if let Some(message) = told {
                self.tell(account, resource, message);
            }
        }
        Ok(())
    }

    /// The events of a licence that go beyond what is subscribed in any slot that they hold in; those of the request that come
    /// first are let through.
    async fn beyond_of(
        &self,
        events: &[Result<Metered, Fault>],
        account: AccountId,
        resource: &str,
        by_slot: BySlot,
    ) -> Result<Vec<Refused>, StoreError> {
        let (Some((first, _)), Some((last, _))) = (by_slot.first_key_value(), by_slot.last_key_value())
        else {
            return Ok(Vec::new());
        };
        let window = (carried_from(*first), carried_to(*last));
        let conn = self.cells.of(account).database.connection().await?;
        let reported = burst::reported_by_subjects(&conn, account, resource.to_owned(), window).await?;
        drop(conn);
        let mut together = Together::default();
        for (slot, subject, quantity) in reported {
            together.report(slot, &subject, quantity);
        }
        let mut refused = Vec::new();
        for (slot, mut places) in by_slot {
            let subscribed = self.subscribed(account, resource, slot).await?;
            let of_place = |place: &usize| events.get(*place).and_then(|event| event.as_ref().ok());
            places.sort_by_key(|place| of_place(place).map(|metered| metered.event.time));
            for place in places {
                let Some(metered) = of_place(&place) else { continue };
                let subject = metered.event.subject.as_deref().unwrap_or_default();
                let total = together.most_with(slot, subject, metered.counted);
                if metered.counted > Decimal::ZERO && total > subscribed {
                    let message = format!(
                        "{} of {resource} would be used, and {} are subscribed",
                        format_decimal(total, 0),
                        format_decimal(subscribed, 0)
                    );
                    refused.push(Refused { place, message });
                } else {
                    together.report(slot, subject, metered.counted);
                }
            }
        }
        Ok(refused)
    }

    async fn subscribed(
        &self,
        account: AccountId,
        resource: &str,
        slot: DateTime<Utc>,
    ) -> Result<Decimal, StoreError> {
        let end = slot.checked_add_signed(SLOT).unwrap_or(slot);
        let conn = self.cells.of(account).database.connection().await?;
        let subscribed =
            burst::subscribed_until(&conn, vec![account.0], vec![resource.to_owned()], end).await?;
        Ok(subscribed.first().map(|held| held.amount).unwrap_or_default())
    }

    /// Tells the account's owner, of each licence once a day. The answer to the report does not wait for that.
    fn tell(&self, account: AccountId, resource: String, message: String) {
        let today = self.clock.now().date_naive();
        let key = (account, resource.clone());
        if self.told.get(&key) == Some(today) {
            return;
        }
        self.told.insert(key.clone(), today);
        let notice = RaiseNotice {
            subject: Some(format!("res_{resource}")),
            ..RaiseNotice::about_account(NoticeKind::UsageRefused, format!("Usage was refused: {message}."))
        };
        let command = Command::by_itself(account, Action::RaiseNotice(notice));
        let (engine, told) = (Arc::clone(&self.engine), Arc::clone(&self.told));
        tokio::spawn(async move {
            if let Err(error) = engine.submit(command, Priority::Background).await {
                told.remove(&key);
                tracing::error!(%account, %error, "an owner could not be told of refused usage");
            }
        });
    }
}
