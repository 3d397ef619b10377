//! Accounts that were dated into the future, and that an operator has said are to be followed there.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Timestamptz};

use super::Conn;
use super::clock_check::PRESENT;
use super::error::StoreError;
use super::sql::statement::Statement;
use crate::domain::ids::AccountId;

/// Those of the accounts that are followed, and up to where.
pub async fn accepted_until(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(AccountId, DateTime<Utc>)>, StoreError> {
    let statement = Statement::<(BigInt, Timestamptz)>::new(
        "SELECT account_id, until FROM accepted_futures WHERE account_id = ANY(",
    )
    .accounts(accounts)
    .sql(")");
    let found: Vec<(i64, DateTime<Utc>)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, until)| (AccountId(account), until)).collect())
}

/// What is dated more than a minute ahead: whose it is, what it is, which, and when.
pub(super) fn dated_ahead() -> String {
    let of = |kind: &str, named: &str, table: &str, owner: &str, at: &str| {
        format!(
            "SELECT {owner} AS account_id, '{kind}' AS kind, {named}::text AS named, {at} AS at FROM {table} \
             WHERE {at} > {PRESENT} + interval '1 minute'"
        )
    };
    let parts = [
        of("last entry", "last_entry_seq", "accounts", "id", "last_entry_at"),
        of("order", "number", "orders", "account_id", "created_at"),
        of("bill", "number", "bills", "account_id", "created_at"),
        of("transaction", "id", "transactions", "account_id", "created_at"),
        of("prepayment", "id", "prepayments", "account_id", "paid_at"),
        of("invoice", "number", "invoices", "account_id", "issued_at"),
    ];
    format!("({})", parts.join(" UNION ALL "))
}
