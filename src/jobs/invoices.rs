//! Invoices are issued: of each account, a while after its month is over (docs/adr/0015).
//!
//! What is due is read page by page, without locks. A page is settled in one short transaction, in which those of its months
//! that another server has settled meanwhile are passed over; so each is issued once, and numbers have no gaps.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::submit::submit;
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::decide::{Action, RaiseNotice};
use crate::domain::invoice::{HeldUp, Invoice};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::notice::NoticeKind;
use crate::store::cells::ACCOUNT_IS_MOVING;
use crate::store::error::StoreError;
use crate::store::invoices::invoice_drafts::{InvoiceDraft, drafts, without_contents};
use crate::store::invoices::open_invoices::{self, OpenInvoice};
use crate::store::invoices::{Settled, Settling, ToSettle, settle};

/// Months of one transaction.
const PAGE: i64 = 100;
/// What is held up is tried again after as long as it has been, within these bounds.
const AGAIN_AFTER: (TimeDelta, TimeDelta) = (TimeDelta::days(1), TimeDelta::days(30));
/// What could not be read is tried again after this time at first.
const AGAIN_SOON: TimeDelta = TimeDelta::minutes(10);
/// What cannot be read is tried for so long before operators are told.
const UNREADABLE_MAX: TimeDelta = TimeDelta::hours(6);
/// What is given back may be on its way so long before operators are told.
const UNDER_WAY_MAX: TimeDelta = TimeDelta::days(7);

/// Issues every invoice that is due.
pub async fn invoice_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    while guard.renew(jobs).await? {
        let now = jobs.clock.now();
        let open =
            open_invoices::open_due(&*jobs.database.connection().await?, due_by(jobs, now), PAGE).await?;
        if open.is_empty() {
            break;
        }
        let months: Vec<Decided> =
            read(jobs, open).await?.into_iter().map(|draft| decided(jobs, &draft, now)).collect();
        let settled = settle_all(jobs, &months, now).await?;
        for _ in 0..settled.issued {
            runs.count(JobOutcome { kind: JobKind::Invoice, succeeded: true });
        }
        if settled.months.is_empty() {
            // Another is at it.
            break;
        }
        let to_tell = months.iter().filter(|month| settled.months.contains(&month.to_settle.open));
        for (month, why) in to_tell.filter_map(|month| Some((month, month.to_tell.as_ref()?))) {
            tell(jobs, month, why).await;
        }
    }
    Ok(runs)
}

/// When an invoice is due next, after `seen`.
pub async fn next_due(jobs: &JobContext, seen: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let conn = jobs.database.connection().await?;
    let next = open_invoices::open_next(&conn, due_by(jobs, seen)).await?;
    Ok(next.and_then(|due| due.checked_add_signed(jobs.invoice_delay)))
}

/// What was due then is done now.
fn due_by(jobs: &JobContext, now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_sub_signed(jobs.invoice_delay).unwrap_or(now)
}

/// Drafts of months. Where they cannot be read together each is read by itself, so that what one account holds keeps up no
/// other. It fails only where the database cannot be asked.
async fn read(jobs: &JobContext, open: Vec<OpenInvoice>) -> Result<Vec<InvoiceDraft>, StoreError> {
    let mut all = Vec::with_capacity(open.len());
    for open in jobs.database.topology().group_of(open, |open| open.account) {
        all.extend(read_of_place(jobs, open).await?);
    }
    Ok(all)
}

async fn read_of_place(jobs: &JobContext, open: Vec<OpenInvoice>) -> Result<Vec<InvoiceDraft>, StoreError> {
    let conn = jobs.database.connection().await?;
    match drafts(&conn, open.clone()).await {
        Err(error) if can_be_asked(&error) => {}
        read => return read,
    }
    let mut all = Vec::with_capacity(open.len());
    for open in open {
        match drafts(&conn, vec![open]).await {
            Ok(read) => all.extend(read),
            Err(error) if can_be_asked(&error) => all.extend(unread(jobs, open, &error).await?),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn can_be_asked(error: &StoreError) -> bool {
    let cannot = error.is_of_the_machinery() || matches!(error, StoreError::Overloaded);
    !cannot || error.is_timeout()
}

/// A month whose payments cannot be read.
async fn unread(
    jobs: &JobContext,
    open: OpenInvoice,
    error: &StoreError,
) -> Result<Option<InvoiceDraft>, StoreError> {
    let conn = jobs.database.connection().await?;
    let empty = without_contents(&conn, open).await?;
    Ok(empty.map(|draft| InvoiceDraft { held_up: Some(HeldUp::Unreadable(error.to_string())), ..draft }))
}

/// What becomes of a month, and what operators are to be told of it.
struct Decided {
    to_settle: ToSettle,
    period: NaiveDate,
    to_tell: Option<HeldUp>,
}

fn decided(jobs: &JobContext, draft: &InvoiceDraft, now: DateTime<Utc>) -> Decided {
    let end = draft.invoice.month.end;
    let (settled, to_tell) = match &draft.held_up {
        _ if end > due_by(jobs, now) => (Settled::Runs { until: end }, None),
        None => (Settled::Issued(draft.is_shown().then(|| Invoice::clone(&draft.invoice))), None),
        Some(why) => held(jobs, draft, why, now),
    };
    let to_settle = ToSettle { open: draft.open, settled, end, next_end: draft.next_end };
    Decided { to_settle, period: draft.invoice.period, to_tell }
}

fn held(
    jobs: &JobContext,
    draft: &InvoiceDraft,
    why: &HeldUp,
    now: DateTime<Utc>,
) -> (Settled, Option<HeldUp>) {
    let due = due_by(jobs, now);
    let held_for = now.signed_duration_since(draft.invoice.month.end);
    let tried_for = due.signed_duration_since(draft.invoice.month.end);
    let (is_to_be_told, again_after) = match why {
        // It may be that the database was busy.
        HeldUp::Unreadable(_) => (tried_for >= UNREADABLE_MAX, tried_for.clamp(AGAIN_SOON, AGAIN_AFTER.0)),
        HeldUp::UnderWay => (held_for > UNDER_WAY_MAX, held_for.clamp(AGAIN_AFTER.0, AGAIN_AFTER.1)),
        HeldUp::OutOfRange | HeldUp::TooMany => (true, held_for.clamp(AGAIN_AFTER.0, AGAIN_AFTER.1)),
    };
    let until = due.checked_add_signed(again_after).unwrap_or(now);
    let to_tell = (is_to_be_told && !draft.open.told).then(|| why.clone());
    (Settled::HeldUp { until, told: draft.open.told }, to_tell)
}

/// Settles a page, the months of each place by themselves.
async fn settle_all(
    jobs: &JobContext,
    months: &[Decided],
    now: DateTime<Utc>,
) -> Result<Settling, StoreError> {
    let mut settled = Settling::default();
    let of_places =
        jobs.database.topology().group_of(months.iter().collect(), |month| month.to_settle.open.account);
    for months in of_places {
        let of_place = settle_place(jobs, &months, now).await?;
        settled.issued = settled.issued.saturating_add(of_place.issued);
        settled.months.extend(of_place.months);
    }
    Ok(settled)
}

/// Settles months. Where those cannot be written together each month is settled by itself, and held up if it still cannot be.
async fn settle_place(
    jobs: &JobContext,
    months: &[&Decided],
    now: DateTime<Utc>,
) -> Result<Settling, StoreError> {
    let held_by = jobs.clock.held_by();
    let mut connection = jobs.database.connection().await?;
    let all = months.iter().map(|month| month.to_settle.clone()).collect();
    let is_of_a_month =
        |error: &StoreError| can_be_asked(error) && !matches!(error, StoreError::Contended(_));
    match settle(&mut connection, jobs.cell, all, held_by, now).await {
        Err(error) if is_of_a_month(&error) => {}
        settled => return settled,
    }
    let mut settled = Settling::default();
    for month in months {
        let one = match settle(&mut connection, jobs.cell, vec![month.to_settle.clone()], held_by, now).await
        {
            Err(error) if is_of_a_month(&error) => {
                let (account, period) = (month.to_settle.open.account, month.period);
                metrics::counter!("abacus_job_errors_total").increment(1);
                tracing::error!(%account, %period, %error, "an invoice cannot be written; it is tried again");
                let until = now.checked_add_signed(AGAIN_AFTER.0).unwrap_or(now);
                let held = match month.to_settle.settled {
                    Settled::Runs { .. } => Settled::Runs { until },
                    _ => Settled::HeldUp { until, told: month.to_settle.open.told },
                };
                let held = ToSettle { settled: held, ..month.to_settle.clone() };
                match settle(&mut connection, jobs.cell, vec![held], held_by, now).await {
                    // Its account is between two cells, and has it issued where it comes to.
                    Err(error) if error.is_violation_of(ACCOUNT_IS_MOVING) => continue,
                    settled => settled?,
                }
            }
            one => one?,
        };
        settled.issued = settled.issued.saturating_add(one.issued);
        settled.months.extend(one.months);
    }
    Ok(settled)
}

/// Tells operators.
async fn tell(jobs: &JobContext, month: &Decided, why: &HeldUp) {
    let (account, period) = (month.to_settle.open.account, month.period);
    metrics::counter!("abacus_invoices_held_up_total").increment(1);
    tracing::warn!(%account, %period, %why, "an invoice is not issued; it is tried again");
    let message =
        format!("The invoice of {} is not issued: {why}. It is tried again.", period.format("%Y-%m"));
    let notice = RaiseNotice::about_account(NoticeKind::InvoiceHeldUp, message);
    let told = match submit(jobs, account, Action::RaiseNotice(notice)).await {
        Ok(_) => keep_told(jobs, &month.to_settle.open).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = told {
        tracing::error!(%account, %error, "nor could that be told and kept; it is told with the next try");
    }
}

async fn keep_told(jobs: &JobContext, month: &OpenInvoice) -> Result<(), StoreError> {
    open_invoices::open_told(&*jobs.database.connection().await?, month).await
}
