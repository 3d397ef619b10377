//! What is taken back of charges outside this server.

use std::sync::Arc;

use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Numeric, Text, Uuid as SqlUuid};

use super::error::StoreError;
use super::list;
use super::rows::{ReversalRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::ids::{AccountId, OwnedId, TransactionId};
use crate::domain::reversal::Reversal;

/// Of one payment so many are read: a charge has one refund for each cent at most, and as a rule one dispute.
const OF_ONE_MAX: i64 = 1_000;

/// What is, or was, taken back of these charges.
pub async fn reversals_of(conn: Conn<'_>, payments: &[OwnedId]) -> Result<Vec<Reversal>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<ReversalRow>("t."));
    let statement = list::each_key(select, payments)
        .sql("(SELECT * FROM reversals t WHERE t.account_id = k.account_id AND t.payment_id = k.id LIMIT ")
        .bigint(OF_ONE_MAX)
        .sql(") t");
    rows::<ReversalRow>(conn, statement).await
}

/// Those that something may still become of, or is still to be booked of, after one, in the order of their names.
pub async fn reversals_to_look_at(
    conn: Conn<'_>,
    after: Option<&Reversal>,
    limit: i64,
) -> Result<Vec<Reversal>, StoreError> {
    let (account, provider, reference) = match after {
        Some(last) => (last.account(), last.told.provider.clone(), last.told.reference.clone()),
        None => (AccountId(0), String::new(), String::new()),
    };
    let statement = select_from::<ReversalRow>("reversals")
        .sql(
            " WHERE (is_open OR booked <> greatest(withdrawn - reinstated, 0)) AND (account_id, provider, reference) > (",
        )
        .bigint(account.0)
        .sql(", ")
        .text(provider)
        .sql(", ")
        .text(reference)
        .sql(") ORDER BY account_id, provider, reference LIMIT ")
        .bigint(limit);
    rows::<ReversalRow>(conn, statement).await
}

/// Keeps reversals, or what has changed of them.
pub async fn reversal_put(
    conn: Conn<'_>,
    reversals: &[Arc<Reversal>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", reversals.iter().map(|r| r.account().0))
        .column::<Text, _>("provider", reversals.iter().map(|r| r.told.provider.clone()))
        .column::<Text, _>("reference", reversals.iter().map(|r| r.told.reference.clone()))
        .column::<Text, _>("kind", reversals.iter().map(|r| r.told.kind.code()))
        .column::<SqlUuid, _>("payment_id", reversals.iter().map(|r| r.told.payment.uuid()))
        .column::<Text, _>("currency", reversals.iter().map(|r| r.told.currency.to_string()))
        .column::<Numeric, _>("amount", reversals.iter().map(|r| r.told.amount))
        .column::<Text, _>("status", reversals.iter().map(|r| r.told.status.clone()))
        .column::<Numeric, _>("withdrawn", reversals.iter().map(|r| r.told.withdrawn))
        .column::<Numeric, _>("reinstated", reversals.iter().map(|r| r.told.reinstated))
        .column::<Bool, _>("is_open", reversals.iter().map(|r| r.told.is_open))
        .column::<Numeric, _>("booked", reversals.iter().map(|r| r.booked))
        .column::<Numeric, _>("beyond", reversals.iter().map(|r| r.beyond))
        .column::<Nullable<SqlUuid>, _>(
            "taken_by",
            reversals.iter().map(|r| r.taken_by.map(TransactionId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "returned_by",
            reversals.iter().map(|r| r.returned_by.map(TransactionId::uuid)),
        )
        .column::<Nullable<Binary>, _>("seal", reversals.iter().map(|r| seals.seal(&**r)));
    let statement = columns.insert_into("reversals").sql(
        " ON CONFLICT (account_id, provider, reference) DO UPDATE SET amount = excluded.amount, status = excluded.status, \
         withdrawn = excluded.withdrawn, reinstated = excluded.reinstated, is_open = excluded.is_open, booked = excluded.booked, \
         beyond = excluded.beyond, taken_by = excluded.taken_by, returned_by = excluded.returned_by, \
         seal = excluded.seal",
    );
    execute(conn, statement).await.map(drop)
}
