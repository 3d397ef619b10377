//! Drafts: what the invoices of months would say by now.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::account::Account;
use crate::domain::closing::{Month, month_from};
use crate::domain::ids::{AccountId, InvoiceId};
use crate::domain::invoice::{Contents, HeldUp, Invoice, contents_of, period_of};
use crate::domain::money::OutOfRange;
use crate::store::error::StoreError;
use crate::store::invoices::invoice_movements::{Happened, happened};
use crate::store::invoices::open_invoices::{self, OpenInvoice};
use crate::store::{Conn, accounts};

/// What there is to be said of a month that has no invoice.
#[derive(Debug, Clone)]
pub struct InvoiceDraft {
    pub open: OpenInvoice,
    /// Without contents, where these are not known.
    pub invoice: Arc<Invoice>,
    /// Why it could not be issued, even if its month were over.
    pub held_up: Option<HeldUp>,
    /// When the month after it ends.
    pub next_end: DateTime<Utc>,
}

impl InvoiceDraft {
    /// Whether there is anything on it.
    pub fn is_shown(&self) -> bool {
        !self.invoice.contents.groups.is_empty()
    }

    /// Whether what is on it cannot be read or added up.
    pub fn is_unknown(&self) -> bool {
        self.held_up.as_ref().is_some_and(|why| *why != HeldUp::UnderWay)
    }
}

/// Drafts of months; those of accounts that there are not are left out.
pub async fn drafts(conn: Conn<'_>, open: Vec<OpenInvoice>) -> Result<Vec<InvoiceDraft>, StoreError> {
    let owners = owners_of(conn, &open).await?;
    drafts_with(conn, open, &owners).await
}

async fn owners_of(conn: Conn<'_>, open: &[OpenInvoice]) -> Result<HashMap<AccountId, Account>, StoreError> {
    let mut numbers: Vec<i64> = open.iter().map(|open| open.account.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let owners = accounts::account_by_ids(conn, numbers).await?;
    Ok(owners.into_iter().map(|owner| (owner.id, owner)).collect())
}

async fn drafts_with(
    conn: Conn<'_>,
    open: Vec<OpenInvoice>,
    owners: &HashMap<AccountId, Account>,
) -> Result<Vec<InvoiceDraft>, StoreError> {
    let mut months = Vec::with_capacity(open.len());
    for open in open {
        if let Some(owner) = owners.get(&open.account) {
            let (month, next) =
                month_of(&open, owner).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            months.push((open, month, next.end, owner));
        }
    }
    let windows: Vec<(AccountId, Month)> =
        months.iter().map(|(open, month, ..)| (open.account, *month)).collect();
    let happened = happened(conn, &windows).await?;
    let drafts = months.into_iter().zip(happened).map(|((open, month, next_end, owner), happened)| {
        let (invoice, held_up) = draft(&open, month, owner, happened);
        InvoiceDraft { open, invoice: Arc::new(invoice), held_up, next_end }
    });
    Ok(drafts.collect())
}

/// A month's draft, without what is on it.
pub async fn without_contents(conn: Conn<'_>, open: OpenInvoice) -> Result<Option<InvoiceDraft>, StoreError> {
    let Some(owner) = accounts::account_by_ids(conn, vec![open.account.0]).await?.pop() else {
        return Ok(None);
    };
    let (month, next) = month_of(&open, &owner).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let (invoice, held_up) = draft(&open, month, &owner, Ok(Default::default()));
    Ok(Some(InvoiceDraft { open, invoice: Arc::new(invoice), held_up, next_end: next.end }))
}

/// The drafts of all months of accounts that have no invoice: of each also of the month after the last one on the list, which
/// has begun where the last is over and waits for its invoice.
pub async fn drafts_of(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<InvoiceDraft>, StoreError> {
    let mut open = open_invoices::open_of(conn, accounts).await?;
    let owners = owners_of(conn, &open).await?;
    let last = open.iter().filter(|open| open.end.is_none());
    let after = last.filter_map(|open| {
        let (month, _) = month_of(open, owners.get(&open.account)?).ok()?;
        Some(OpenInvoice { start: month.end, ..*open })
    });
    let after: Vec<OpenInvoice> = after.collect();
    open.extend(after);
    drafts_with(conn, open, &owners).await
}

/// The month, and the one after it. One that is held up stays what it was; another ends by the account's calendar.
fn month_of(open: &OpenInvoice, owner: &Account) -> Result<(Month, Month), OutOfRange> {
    let month = match open.end {
        Some(end) => Month { start: open.start, end },
        None => month_from(open.start, owner.time_zone)?,
    };
    Ok((month, month_from(month.end, owner.time_zone)?))
}

fn draft(open: &OpenInvoice, month: Month, owner: &Account, happened: Happened) -> (Invoice, Option<HeldUp>) {
    let valued = happened.and_then(|(movements, burst)| {
        let is_under_way = movements.iter().any(|movement| movement.is_payment() && movement.is_under_way());
        Ok((contents_of(&movements, &burst)?, is_under_way.then_some(HeldUp::UnderWay)))
    });
    let (contents, held_up) = match valued {
        Ok(valued) => valued,
        Err(why) => (Contents::default(), Some(why)),
    };
    let invoice = Invoice {
        id: InvoiceId::of(open.account, open.start),
        month,
        period: period_of(month, owner.time_zone),
        issue: None,
        customer: owner.name.clone(),
        contents,
    };
    (invoice, held_up)
}
