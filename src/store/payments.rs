//! Payments by card.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{
    BigInt, Binary, Bool, Integer, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::error::StoreError;
use super::list::{self, DuePage};
use super::rows::{PaymentRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::ids::{OwnedId, PaymentId, PrepaymentId, TransactionId};
use crate::domain::payment::Payment;

pub async fn payment_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Payment>, StoreError> {
    rows::<PaymentRow>(conn, list::by_ids::<PaymentRow>("payments", ids)).await
}

/// The payments that led to these transactions.
pub async fn payment_of_transactions(
    conn: Conn<'_>,
    transactions: &[OwnedId],
) -> Result<Vec<Payment>, StoreError> {
    let statement = list::each_key(
        Statement::new("SELECT ").sql(select_list::<PaymentRow>("t.")),
        transactions,
    )
    .sql(
        "(SELECT * FROM payments t WHERE t.account_id = k.account_id AND t.transaction_id = k.id LIMIT 1) t",
    );
    rows::<PaymentRow>(conn, statement).await
}

/// Payments that have to be carried on by `now`, those that have waited longest first.
pub async fn payment_due(
    mut conn: Conn<'_>,
    due: &DuePage,
) -> Result<Vec<(PaymentId, DateTime<Utc>)>, StoreError> {
    let found: Vec<(Uuid, DateTime<Utc>)> = list::due("payments", due).load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, at)| (PaymentId(OwnedId::from_uuid(id)), at)).collect())
}

/// Keeps payments, or what has changed of them.
pub async fn payment_put(
    conn: Conn<'_>,
    payments: &[Arc<Payment>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", payments.iter().map(|p| p.account().0))
        .column::<SqlUuid, _>("id", payments.iter().map(|p| p.id.uuid()))
        .column::<Text, _>("purpose", payments.iter().map(|p| p.purpose.code()))
        .column::<Text, _>("state", payments.iter().map(|p| p.state.code()))
        .column::<Text, _>("currency", payments.iter().map(|p| p.currency.to_string()))
        .column::<Numeric, _>("amount", payments.iter().map(|p| p.amount))
        .column::<Text, _>("description", payments.iter().map(|p| p.description.clone()))
        .column::<SqlUuid, _>("method_id", payments.iter().map(|p| p.card.method.uuid()))
        .column::<Text, _>("provider", payments.iter().map(|p| p.card.provider.clone()))
        .column::<Text, _>("provider_token", payments.iter().map(|p| p.card.token.clone()))
        .column::<Nullable<Text>, _>("provider_customer", payments.iter().map(|p| p.card.customer.clone()))
        .column::<Text, _>("brand", payments.iter().map(|p| p.card.brand.clone()))
        .column::<Bool, _>("on_session", payments.iter().map(|p| p.on_session))
        .column::<Nullable<SqlUuid>, _>(
            "prepayment_id",
            payments.iter().map(|p| p.prepayment.map(PrepaymentId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "refund_of",
            payments.iter().map(|p| p.refund_of.map(PaymentId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "transaction_id",
            payments.iter().map(|p| p.transaction.map(TransactionId::uuid)),
        )
        .column::<Nullable<Text>, _>("reference", payments.iter().map(|p| p.reference.clone()))
        .column::<Nullable<Text>, _>("failure", payments.iter().map(|p| p.failure.clone()))
        .column::<Nullable<Text>, _>("action_url", payments.iter().map(|p| p.action_url.clone()))
        .column::<Integer, _>("attempts", payments.iter().map(|p| p.attempts))
        .column::<Nullable<Timestamptz>, _>("next_step_at", payments.iter().map(|p| p.next_step_at))
        .column::<Nullable<Binary>, _>("seal", payments.iter().map(|p| seals.seal(&**p)));
    let statement = columns.insert_into("payments").sql(
        " ON CONFLICT (account_id, id) DO UPDATE SET state = excluded.state, transaction_id = excluded.transaction_id, \
         reference = excluded.reference, failure = excluded.failure, action_url = excluded.action_url, \
         attempts = excluded.attempts, next_step_at = excluded.next_step_at, seal = excluded.seal",
    );
    execute(conn, statement).await.map(drop)
}
