//! What accounts used.

use chrono::{DateTime, TimeDelta, Utc};

use super::{AccessError, Repository};
use crate::domain::closing::Month;
use crate::domain::idempotency::Attempt;
use crate::domain::ids::AccountId;
use crate::domain::money::OutOfRange;
use crate::domain::plan::Resource;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::usage::{Gathering, Gauge, HOUR, Hour, Reports, ToVoid, Voided};
use crate::store::error::StoreError;
use crate::store::usage::account_usage::{self, GaugeSlot, GaugesOf};

/// So much of what adds up is read by one statement, and so much of gauges, which have twelve samples an hour.
const HOURS_READ_AT_ONCE: TimeDelta = TimeDelta::days(7);
const GAUGES_READ_AT_ONCE: TimeDelta = TimeDelta::days(1);
/// The most samples that are looked at for one answer: those of 2,200 things that report all month.
const SAMPLES_MAX: i64 = 20_000_000;

/// A window in parts, in their order.
fn parts(window: Month, length: TimeDelta) -> impl Iterator<Item = Month> {
    let end_of = move |start: DateTime<Utc>| {
        start.checked_add_signed(length).map_or(window.end, |end| end.min(window.end))
    };
    let first = (window.start < window.end).then(|| Month { start: window.start, end: end_of(window.start) });
    std::iter::successors(first, move |part| {
        (part.end < window.end).then(|| Month { start: part.end, end: end_of(part.end) })
    })
}

fn with_hour_before(window: Month) -> Month {
    let start = window.start.checked_sub_signed(HOUR).unwrap_or(window.start);
    Month { start, ..window }
}

impl Repository {
    /// Takes back usage that was recorded.
    pub async fn usage_void(&self, wanted: ToVoid, attempt: Attempt) -> Result<Voided, AccessError> {
        self.require_operator()?;
        let account = self.account(wanted.account).await?.ok_or(AccessError::NoSuchAccount)?;
        if account.erased_at.is_some() {
            let message = "the account is erased: its usage is gone";
            let refusal = Refusal::new(RefusalCode::AccountSuspended, "accountId", message);
            return Err(AccessError::Refused(refusal));
        }
        self.once(self.store.cells.place_of(account.id), attempt, wanted).await
    }

    /// What an account used of a resource by the hour; nothing of an account that the viewer may not see.
    pub async fn usage_hours(
        &self,
        account: AccountId,
        resource: &Resource,
        window: Month,
    ) -> Result<Vec<Hour>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut hours = Vec::new();
        for part in parts(window, HOURS_READ_AT_ONCE) {
            let conn = self.slow_connection_of(account).await?;
            let (code, kind) = (&resource.code, resource.aggregation);
            hours.extend(account_usage::usage_hours(&conn, account, code, kind, part).await?);
        }
        Ok(hours)
    }

    /// What was reported of all resources of an account; nothing of an account that the viewer may not see. Each statement reads
    /// a part of the window, and leaves its connection to others before the next.
    pub async fn usage_reports(&self, account: AccountId, window: Month) -> Result<Vec<Reports>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut gathering = Gathering::new(window.start, window.end);
        for part in parts(window, HOURS_READ_AT_ONCE) {
            let conn = self.slow_connection_of(account).await?;
            for (resource, kind, hour) in account_usage::all_usage_hours(&conn, account, part).await? {
                gathering.hour(resource, kind, hour);
            }
        }
        let take = |slot: GaugeSlot| gathering.slot(slot.resource, slot.aggregation, &slot.reports);
        self.each_gauge_slot(account, GaugesOf::All, window, take).await?;
        Ok(gathering.finish())
    }

    /// A gauge of an account, from the first of the stretches in which it was reported on, until `end`; none where nothing was
    /// reported, and of an account that the viewer may not see.
    pub async fn gauge(
        &self,
        account: AccountId,
        resource: &str,
        starts: &[DateTime<Utc>],
        end: DateTime<Utc>,
    ) -> Result<Option<Result<Gauge, OutOfRange>>, StoreError> {
        let Some(start) = starts.first().copied() else { return Ok(None) };
        if self.account(account).await?.is_none() {
            return Ok(None);
        }
        let window = with_hour_before(Month { start, end });
        let conn = self.slow_connection_of(account).await?;
        let Some(first) = account_usage::first_slot(&conn, account, resource, window).await? else {
            return Ok(None);
        };
        drop(conn);
        let begun = starts.partition_point(|start| *start <= first);
        let start = begun.checked_sub(1).and_then(|begun| starts.get(begun)).copied().unwrap_or(start);
        let mut gauge = Ok(Gauge::new(start, end));
        let take = |slot: GaugeSlot| {
            if let Err(error) =
                gauge.as_mut().map_or(Ok(()), |gauge: &mut Gauge| gauge.add_slot(&slot.reports))
            {
                gauge = Err(error);
            }
        };
        self.each_gauge_slot(account, GaugesOf::One(resource), Month { start, end }, take).await?;
        Ok(Some(gauge))
    }

    /// Reads what gauges came to, part by part; what was reported in the hour before is held.
    async fn each_gauge_slot(
        &self,
        account: AccountId,
        gauges: GaugesOf<'_>,
        window: Month,
        mut take: impl FnMut(GaugeSlot),
    ) -> Result<(), StoreError> {
        let mut samples: i64 = 0;
        for part in parts(with_hour_before(window), GAUGES_READ_AT_ONCE) {
            let conn = self.slow_connection_of(account).await?;
            let slots = account_usage::gauge_slots(&conn, account, gauges, part).await?;
            drop(conn);
            for slot in slots {
                samples = samples.saturating_add(slot.samples);
                take(slot);
            }
            if samples > SAMPLES_MAX {
                let message = format!("there are more than {SAMPLES_MAX} samples of gauges in that time");
                return Err(StoreError::TooMuch { argument: "startTime", message });
            }
        }
        Ok(())
    }
}
