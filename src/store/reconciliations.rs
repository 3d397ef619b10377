//! What providers and this server do not say alike, and how far providers' movements were held against the ledger.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, Numeric, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

use super::clock_check::require_past;
use super::error::StoreError;
use super::sql::row::{answered, row};
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::clock::HeldBy;
use crate::domain::ids::{AccountId, OwnedId, PaymentId};
use crate::domain::money::CurrencyCode;
use crate::domain::payment::Payment;
use crate::domain::reversal::ProviderReference;
use crate::domain::unmatched::{OutsideKind, Unmatched};

row! {
    unmatched_payments => Unmatched {
        provider: String,
        reference: String,
        kind: OutsideKind,
        payment_id: PaymentId,
        account_id: Option<AccountId>,
        currency: CurrencyCode,
        amount: Decimal,
        status: String,
        why: String,
        seen_at: DateTime<Utc>,
    }
    Self {
        provider,
        reference,
        kind,
        payment: payment_id,
        account: account_id,
        currency,
        amount,
        status,
        why,
        seen_at,
    }
}

/// Keeps what does not match, or how it stands now; answers whether operators were told of it.
pub async fn unmatched_keep(mut conn: Conn<'_>, unmatched: &Unmatched) -> Result<bool, StoreError> {
    let statement = Statement::<Bool>::new(
        "INSERT INTO unmatched_payments (provider, reference, kind, payment_id, account_id, currency, amount, status, why, \
         seen_at) VALUES (",
    )
    .text(unmatched.provider.clone())
    .sql(", ")
    .text(unmatched.reference.clone())
    .sql(", ")
    .text(unmatched.kind.code().to_owned())
    .sql(", ")
    .uuid(unmatched.payment.uuid())
    .sql(", ")
    .value::<Nullable<BigInt>, _>(unmatched.account.map(|id| id.0))
    .sql(", ")
    .text(unmatched.currency.to_string())
    .sql(", ")
    .value::<Numeric, _>(unmatched.amount)
    .sql(", ")
    .text(unmatched.status.clone())
    .sql(", ")
    .text(unmatched.why.clone())
    .sql(", ")
    .instant(unmatched.seen_at)
    .sql(
        ") ON CONFLICT (provider, reference) DO UPDATE SET status = excluded.status, amount = excluded.amount, \
         why = excluded.why, account_id = excluded.account_id RETURNING told",
    );
    Ok(statement.get_result(&mut conn).await?)
}

/// Operators were told of these, or nobody can be.
pub async fn unmatched_told(conn: Conn<'_>, names: &BTreeSet<ProviderReference>) -> Result<(), StoreError> {
    if names.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<Text, _>("provider", names.iter().map(|(provider, _)| provider.clone()))
        .column::<Text, _>("reference", names.iter().map(|(_, reference)| reference.clone()))
        .column::<Bool, _>("told", names.iter().map(|_| true));
    execute(conn, columns.update("unmatched_payments", 2)).await.map(drop)
}

/// Those of these that operators were not told of.
pub async fn unmatched_untold(
    mut conn: Conn<'_>,
    names: &[ProviderReference],
) -> Result<BTreeSet<ProviderReference>, StoreError> {
    let statement = Statement::<(Text, Text)>::new("SELECT t.provider, t.reference FROM UNNEST(")
        .keys::<Text, _>(names.iter().map(|(provider, _)| provider.clone()).collect::<Vec<_>>())
        .sql(", ")
        .keys::<Text, _>(names.iter().map(|(_, reference)| reference.clone()).collect::<Vec<_>>())
        .sql(
            ") k (provider, reference) JOIN unmatched_payments t ON t.provider = k.provider \
         AND t.reference = k.reference AND NOT t.told",
        );
    let found: Vec<ProviderReference> = statement.load(&mut conn).await?;
    Ok(found.into_iter().collect())
}

/// The newest of what does not match.
pub async fn unmatched_newest(conn: Conn<'_>, limit: i64) -> Result<Vec<Unmatched>, StoreError> {
    let statement = select_from::<Unmatched>("unmatched_payments")
        .sql(" ORDER BY seen_at DESC, provider, reference LIMIT ")
        .bigint(limit);
    rows::<Unmatched>(conn, statement).await
}

/// Payments of a provider that have succeeded and were made from `from` up to `to`, after one, oldest first.
pub async fn payments_made(
    conn: Conn<'_>,
    provider: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    after: Option<PaymentId>,
    limit: i64,
) -> Result<Vec<Payment>, StoreError> {
    let first = after.map_or_else(|| OwnedId::first_at(from), |last| last.0);
    let statement = select_from::<Payment>("payments")
        .sql(" WHERE id > ")
        .uuid(first.uuid())
        .sql(" AND id < ")
        .uuid(OwnedId::first_at(to).uuid())
        .sql(" AND state = 'SUCCEEDED' AND provider = ")
        .text(provider.to_owned())
        .sql(" ORDER BY id LIMIT ")
        .bigint(limit);
    rows::<Payment>(conn, statement).await
}

/// How far a provider's movements were held against the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconciled {
    /// When that is done next, by the server's clock.
    pub next_at: DateTime<Utc>,
    /// Up to where it was done, by the machines' clocks.
    pub held_until: DateTime<Utc>,
    /// From where on this server's own payments are still to be looked for, by its clock.
    pub own_from: DateTime<Utc>,
}

answered! {
    Reconciled {
        next_at: DateTime<Utc> as Timestamptz,
        held_until: DateTime<Utc> as Timestamptz,
        own_from: DateTime<Utc> as Timestamptz,
    }
    Self { next_at, held_until, own_from }
}

/// None: nobody has begun.
pub async fn reconciled(conn: Conn<'_>, provider: &str) -> Result<Option<Reconciled>, StoreError> {
    let statement =
        Statement::new("SELECT next_at, held_until, own_from FROM reconciliations WHERE provider = ")
            .text(provider.to_owned());
    Ok(rows::<Reconciled>(conn, statement).await?.pop())
}

/// The next time is within a day.
const NEXT_WITHIN: TimeDelta = TimeDelta::days(1);

/// Keeps how far it was done, which is not beyond the present.
pub async fn set_reconciled(
    conn: Conn<'_>,
    held_by: HeldBy,
    provider: &str,
    reconciled: Reconciled,
) -> Result<(), StoreError> {
    let latest = reconciled.next_at.checked_sub_signed(NEXT_WITHIN).unwrap_or(reconciled.next_at);
    let latest = latest.max(reconciled.held_until).max(reconciled.own_from);
    require_past(conn, held_by, latest, "what was held against payment providers").await?;
    let statement =
        Statement::new("INSERT INTO reconciliations (provider, next_at, held_until, own_from) VALUES (")
            .text(provider.to_owned())
            .sql(", ")
            .instant(reconciled.next_at)
            .sql(", ")
            .instant(reconciled.held_until)
            .sql(", ")
            .instant(reconciled.own_from)
            .sql(
                ") ON CONFLICT (provider) DO UPDATE SET next_at = excluded.next_at, held_until = excluded.held_until, \
                 own_from = excluded.own_from",
            );
    execute(conn, statement).await.map(drop)
}
