//! Invoices are issued: of each account, a while after its month is over (docs/adr/0015).
//!
//! What is due is read page by page, without locks. A page is settled in one short transaction, in which those of its months
//! that another server has settled meanwhile are passed over; so each is issued once, and numbers have no gaps.

use chrono::{DateTime, TimeDelta, Utc};

use super::submit::submit;
use super::{JobContext, Permit, Runs};
use crate::domain::command::{Action, InvoiceHeldUp, JobDone, JobKind};
use crate::domain::invoice::{HeldUp, Invoice};
use crate::store::error::StoreError;
use crate::store::invoice_drafts::{Draft, drafts, without_contents};
use crate::store::invoices::{Settled, ToSettle, settle};
use crate::store::open_invoices::{self, OpenInvoice};

/// Months of one transaction.
const PAGE: i64 = 100;
/// What is held up is tried again after as long as it has been, within these bounds.
const AGAIN_AFTER: (TimeDelta, TimeDelta) = (TimeDelta::days(1), TimeDelta::days(30));
/// What is given back may be on its way so long before operators are told.
const UNDER_WAY_MAX: TimeDelta = TimeDelta::days(7);

/// Issues every invoice that is due.
pub async fn invoice_pass(jobs: &JobContext, permit: &Permit<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    while permit.goes_on(jobs).await? {
        let now = jobs.clock.now();
        let open =
            open_invoices::open_due(&*jobs.database.connection().await?, due_by(jobs, now), PAGE).await?;
        if open.is_empty() {
            break;
        }
        let mut months = Vec::with_capacity(open.len());
        for draft in read(jobs, open).await? {
            months.push(decided(jobs, draft, now).await);
        }
        let mut connection = jobs.database.connection().await?;
        let settled = settle(&mut connection, months, now).await?;
        for _ in 0..settled.issued {
            runs.count(JobDone { kind: JobKind::Invoice, succeeded: true });
        }
        if settled.months == 0 {
            // Another is at it.
            break;
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
async fn read(jobs: &JobContext, open: Vec<OpenInvoice>) -> Result<Vec<Draft>, StoreError> {
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
    !matches!(error, StoreError::Unavailable(_) | StoreError::Overloaded) || error.is_timeout()
}

/// A month whose payments cannot be read.
async fn unread(
    jobs: &JobContext,
    open: OpenInvoice,
    error: &StoreError,
) -> Result<Option<Draft>, StoreError> {
    let conn = jobs.database.connection().await?;
    let empty = without_contents(&conn, open).await?;
    Ok(empty.map(|draft| Draft { held_up: Some(HeldUp::Unreadable(error.to_string())), ..draft }))
}

async fn decided(jobs: &JobContext, draft: Draft, now: DateTime<Utc>) -> ToSettle {
    let end = draft.invoice.month.end;
    let settled = match &draft.held_up {
        _ if end > due_by(jobs, now) => Settled::Runs { until: end },
        None => Settled::Issued(draft.is_shown().then(|| Invoice::clone(&draft.invoice))),
        Some(why) => hold(jobs, &draft, why, now).await,
    };
    ToSettle { open: draft.open, settled, end, next_end: draft.next_end }
}

async fn hold(jobs: &JobContext, draft: &Draft, why: &HeldUp, now: DateTime<Utc>) -> Settled {
    let held_for = now.signed_duration_since(draft.invoice.month.end);
    let is_to_be_told = *why != HeldUp::UnderWay || held_for > UNDER_WAY_MAX;
    let told = draft.open.told || (is_to_be_told && tell(jobs, draft, why).await);
    let (least, most) = AGAIN_AFTER;
    let until = due_by(jobs, now).checked_add_signed(held_for.clamp(least, most)).unwrap_or(now);
    Settled::HeldUp { until, told }
}

/// Tells operators; false where that was not possible.
async fn tell(jobs: &JobContext, draft: &Draft, why: &HeldUp) -> bool {
    let (account, period) = (draft.open.account, draft.invoice.period);
    metrics::counter!("abacus_invoices_held_up_total").increment(1);
    tracing::warn!(%account, %period, %why, "an invoice is not issued; it is tried again");
    let held = InvoiceHeldUp { period, message: why.to_string() };
    match submit(jobs, account, Action::TellInvoiceHeldUp(held)).await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(%account, %error, "nor could that be told");
            false
        }
    }
}
