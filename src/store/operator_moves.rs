//! What operators have moved without another's approval, as long as it counts together with what they move next.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{BigInt, Numeric, Text, Uuid as SqlUuid};
use rust_decimal::Decimal;

use super::clock_check::require_past;
use super::error::StoreError;
use super::sql::numeric::Exact;
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute};
use crate::clock::HeldBy;
use crate::domain::approval::OperatorMove;
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::money::CurrencyCode;

/// Longer than moves count together.
const KEPT_FOR: TimeDelta = TimeDelta::days(2);
/// Rows that are forgotten at once.
const FORGOTTEN_AT_ONCE: i64 = 5_000;

/// What each operator has moved of each of the accounts since then, by currency.
pub async fn moved_since(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    since: DateTime<Utc>,
) -> Result<Vec<(AccountId, String, CurrencyCode, Decimal)>, StoreError> {
    let statement = Statement::<(BigInt, Text, Text, Numeric)>::new(
        "SELECT account_id, moved_by, currency, sum(amount) FROM operator_moves WHERE account_id = ANY(",
    )
    .accounts(accounts)
    .sql(") AND id >= ")
    .uuid(OwnedId::first_at(since).uuid())
    .sql(" GROUP BY account_id, moved_by, currency");
    let found: Vec<(i64, String, String, Exact)> = statement.load(&mut conn).await?;
    let moved = found.into_iter().map(|(account, by, currency, Exact(amount))| {
        let currency = CurrencyCode::parse(&currency)
            .ok_or_else(|| StoreError::Corrupt(format!("operator_moves: the currency {currency}")))?;
        Ok((AccountId(account), by, currency, amount))
    });
    moved.collect()
}

pub async fn move_insert(conn: Conn<'_>, moves: &[OperatorMove]) -> Result<(), StoreError> {
    if moves.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", moves.iter().map(|m| m.transaction.account().0))
        .column::<SqlUuid, _>("id", moves.iter().map(|m| m.transaction.uuid()))
        .column::<Text, _>("moved_by", moves.iter().map(|m| m.by.clone()))
        .column::<Text, _>("currency", moves.iter().map(|m| m.money.currency.to_string()))
        .column::<Numeric, _>("amount", moves.iter().map(|m| m.money.amount));
    execute(conn, columns.insert_into("operator_moves")).await.map(drop)
}

/// Forgets what counts no longer at `now`, which is not still to come; whether there may be more of it.
pub async fn moves_forget(conn: Conn<'_>, held_by: HeldBy, now: DateTime<Utc>) -> Result<bool, StoreError> {
    require_past(conn, held_by, now, "what operators' moves are forgotten by").await?;
    let before = OwnedId::first_at(now.checked_sub_signed(KEPT_FOR).unwrap_or_default());
    let statement = Statement::new(
        "DELETE FROM operator_moves WHERE (account_id, id) IN (SELECT account_id, id FROM operator_moves WHERE id < ",
    )
    .uuid(before.uuid())
    .sql(" ORDER BY id LIMIT ")
    .bigint(FORGOTTEN_AT_ONCE)
    .sql(")");
    let forgotten = execute(conn, statement).await?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten >= FORGOTTEN_AT_ONCE))
}
