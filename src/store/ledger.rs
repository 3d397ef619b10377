//! Ledger entries, and what they come to.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Integer, Numeric};
use rust_decimal::Decimal;

use super::accounts::account_range::Range;
use super::error::StoreError;
use super::list::{Narrow, Window};
use super::owned::owned;
use super::sql::numeric::Exact;
use super::sql::row::{WriteRow, row};
use super::sql::statement::Statement;
use super::{Conn, execute};
use crate::domain::account::Hash;
use crate::domain::ids::{AccountId, EntryId, OwnedId};
use crate::domain::ledger::Entry;
use crate::domain::money::CurrencyCode;
use crate::domain::viewer::Scope;

owned!(Entry = EntryId, EntryFilter);

row! {
    ledger_entries => Entry as e {
        kept {
            id: EntryId = e.id,
            seq: i64 = e.seq,
            time: DateTime<Utc> = e.time,
            poll_time: Option<DateTime<Utc>> = e.poll_time,
            currency: CurrencyCode = e.currency,
            amount: Decimal = e.amount,
            initial: Decimal = e.initial,
            end: Decimal = e.end,
            reason: String = e.reason,
            billing_cycle: Option<i32> = e.billing_cycle,
            interval: Option<i32> = e.interval,
            resource_code: Option<String> = e.resource,
            resource_amount: Decimal = e.resource_amount,
            hash: Hash = e.hash,
            key_version: i16 = e.key,
        }
        written {
            account_id: AccountId = e.id.account(),
        }
    }
    Self {
        id,
        seq,
        time,
        poll_time,
        currency,
        amount,
        initial,
        end,
        reason,
        billing_cycle,
        interval,
        resource: resource_code,
        resource_amount,
        hash,
        key: key_version,
    }
}

/// What a list of entries is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    pub window: Window,
    pub billing_cycle: Option<i32>,
}

impl Narrow for EntryFilter {
    fn along<ST>(&self, _: Scope, statement: Statement<ST>) -> Statement<ST> {
        let statement = self.window.restrict(statement);
        match self.billing_cycle {
            Some(cycle) => statement.sql(" AND t.billing_cycle = ").value::<Integer, _>(cycle),
            None => statement,
        }
    }

    fn is_walked(&self, _: Scope) -> bool {
        false
    }
}

/// The balances that accounts' last entries up to and including `at` left; none before an account's first.
pub async fn balances_at(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Vec<(AccountId, Decimal)>, StoreError> {
    let next = at.checked_add_signed(chrono::Duration::microseconds(1)).unwrap_or(at);
    let statement = Statement::<(BigInt, Numeric)>::new(
        "SELECT a.id, l.\"end\" FROM accounts a CROSS JOIN LATERAL (SELECT t.\"end\" FROM ledger_entries t \
         WHERE t.account_id = a.id AND t.id < ",
    )
    .uuid(OwnedId::first_at(next).uuid())
    .sql(" ORDER BY t.id DESC LIMIT 1) l WHERE a.id = ANY(")
    .accounts(accounts)
    .sql(")");
    let found: Vec<(i64, Exact)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, Exact(balance))| (AccountId(account), balance)).collect())
}

pub async fn entry_insert(conn: Conn<'_>, entries: &[Entry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    execute(conn, Entry::columns(entries.iter()).insert_into("ledger_entries")).await.map(drop)
}

/// Over the accounts of a range of numbers, by currency: what their balances and the transfers between the other ledgers and
/// theirs differ by. Nothing when the books balance. It is added up account by account, each balance with its transfers: of all
/// balances and all transfers a cluster would read the one at another moment than the other (docs/adr/0035). A transfer in another
/// currency than the account's counts against it.
pub async fn imbalances_of(mut conn: Conn<'_>, range: Range) -> Result<Vec<Decimal>, StoreError> {
    let statement = Statement::<Numeric>::new(
        "SELECT sum(a.balance - coalesce((SELECT sum(CASE \
         WHEN t.credit_ledger = 'customer' THEN CASE WHEN t.currency = a.currency THEN t.amount ELSE -t.amount END \
         WHEN t.debit_ledger = 'customer' THEN CASE WHEN t.currency = a.currency THEN -t.amount ELSE t.amount END END) \
         FROM transactions t WHERE t.account_id = a.id AND t.status IN ('FINISHED', 'REFUNDED')), 0)) \
         FROM accounts a WHERE a.id",
    );
    let found: Vec<Exact> = range.restrict(statement).sql(" GROUP BY a.currency").load(&mut conn).await?;
    Ok(found.into_iter().map(|Exact(difference)| difference).collect())
}
